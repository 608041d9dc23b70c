# shellcheck shell=sh disable=SC2034,SC2154  # the values are set and read by packages_choose.sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The functions of packages_choose.sh for dnf and dnf5.

# dnf_run ARGUMENT...: runs the one that the host has.
dnf_run() {
	if have dnf; then dnf -q "$@"; else dnf5 -q "$@"; fi
}

dnf_there() {
	{ have dnf || have dnf5; } && have rpm
}

dnf_refresh() {
	managed dnf_run --refresh makecache
}

dnf_offered() {
	asked dnf_run repoquery --qf '%{name}\n' "$@"
}

dnf_seek() {
	case $1 in
	*' = '*)
		k_found=$(asked dnf_run repoquery --whatprovides "$1" |
			awk -v machine="$k_machine" '{ sub(/-0:/, "-") } $0 ~ "[.](" machine "|noarch)$" { last = $0 } END { print last }')
		;;
	*) [ -z "$(asked dnf_run repoquery "$1")" ] || k_found=$1 ;;
	esac
}

dnf_gcc() {
	echo "$1"
}

dnf_kernels() {
	fill "${1%%-\{version\}*}" "$k_release"
	asked dnf_run repoquery "$k_filled" | sed -n "s/^$k_filled-\([0-9]*:\)*\(.*[.]$k_machine\)\$/\2${k_own:++$k_own}/p"
}

dnf_install() {
	for k_one in $(multiversion); do
		set -- "--setopt=installonlypkgs=$k_one" "$@"
	done
	managed dnf_run -y --setopt=installonly_limit=0 --setopt=install_weak_deps=0 install "$@"
}

dnf_installed() {
	rpm -qa --qf '%{NAME}.%{ARCH} %{VERSION}-%{RELEASE}\n'
}
