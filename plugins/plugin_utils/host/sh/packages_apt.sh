# shellcheck shell=sh disable=SC2034,SC2154  # the values are set and read by packages_choose.sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The functions of packages_choose.sh for apt.

apt_there() {
	have apt-get && have apt-cache && have dpkg-query
}

apt_refresh() {
	managed apt-get -q -o "DPkg::Lock::Timeout=$k_wait" update
}

apt_offered() {
	asked apt-cache show "$@" | sed -n 's/^Package: //p'
}

apt_seek() {
	[ -z "$(asked apt-cache show "$1")" ] || k_found=$1
}

apt_gcc() {
	echo "$1"
}

apt_kernels() {
	fill "${1%%\{release\}*}" "$k_release"
	asked apt-cache pkgnames "$k_filled" | sed -n "s/^$k_filled\([0-9]\)/\1/p" | flavours |
		awk -v flavour="$k_own" '$2 == flavour { print $1 }'
}

apt_install() {
	managed env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y -o "DPkg::Lock::Timeout=$k_wait" \
		-o Dpkg::Options::=--force-confold --no-install-recommends --no-remove install "$@"
}

apt_installed() {
	# shellcheck disable=SC2016  # dpkg-query fills it in
	dpkg-query -W -f '${Status} ${Package}:${Architecture} ${Version}\n' | sed -n 's/^[a-z]* ok installed //p'
}
