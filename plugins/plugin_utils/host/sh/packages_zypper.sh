# shellcheck shell=sh disable=SC2034,SC2154  # the values are set and read by packages_choose.sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The functions of packages_choose.sh for zypper.

# zypper_run ARGUMENT...: asks no questions and waits for the lock.
zypper_run() {
	ZYPP_LOCK_TIMEOUT=$k_wait zypper --non-interactive "$@"
}

# zypper_rows ARGUMENT...: prints the packages found, as |NAME|KIND|VERSION|ARCHITECTURE| without blanks.
zypper_rows() {
	asked zypper_run --no-refresh search --details --match-exact --type package "$@" |
		awk -F'|' 'NF == 6 && $3 ~ /package/ && $6 !~ /System Packages/ { gsub(/ /, ""); print }'
}

zypper_there() {
	have zypper && have rpm
}

zypper_refresh() {
	managed zypper_run --quiet refresh
}

zypper_offered() {
	zypper_rows "$@" | awk -F'|' '{ print $2 }'
}

zypper_seek() {
	case $1 in
	*' = '*) k_found=$(zypper_rows --provides "$1" | awk -F'|' '{ print $2 "=" $4; exit }') ;;
	*) [ -z "$(zypper_rows "$1")" ] || k_found=$1 ;;
	esac
}

# gcc 4.5 is in gcc45.
zypper_gcc() {
	printf '%s\n' "$1" | tr -d .
}

# The last number of a package's release counts its rebuilds; the kernel's release does not have it.
zypper_kernels() {
	fill "${1%% = *}" "$k_release"
	zypper_rows "$k_filled" | awk -F'|' -v flavour="$k_own" '{ sub(/[.][0-9]+$/, "", $4); print $4 "-" flavour }'
}

# zypp_conf: makes a zypp.conf that keeps several versions of kernel packages, whatever the host's own says.
zypp_conf() {
	k_conf=/dev/null
	for k_file in /usr/etc/zypp/zypp.conf /etc/zypp/zypp.conf; do
		[ ! -r "$k_file" ] || k_conf=$k_file
	done
	k_kept=$(sed -n 's/^[[:blank:]]*multiversion[[:blank:]]*=[[:blank:]]*//p' "$k_conf" | tail -n 1)
	{
		sed 's/^[[:blank:]]*multiversion[[:blank:]]*=/#&/' "$k_conf"
		printf '\n[main]\nmultiversion = provides:multiversion(kernel)%s%s\n' "${k_kept:+,$k_kept}" \
			"$(multiversion | sed 's/^/,/' | tr -d '\n')"
	} >"$k_dir/zypp.conf"
}

zypper_install() {
	zypp_conf
	ZYPP_CONF=$k_dir/zypp.conf
	export ZYPP_CONF
	managed zypper_run install --no-recommends --oldpackage --auto-agree-with-licenses "$@"
	# Installed, but: reboot, restart zypper, a repository was left out, a script of a package failed.
	case $k_status in
	102 | 103 | 106 | 107) k_status=0 ;;
	esac
}

zypper_installed() {
	rpm -qa --qf '%{NAME}.%{ARCH} %{VERSION}-%{RELEASE}\n'
}
