# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes sure of what building kernel modules needs, with the host's own package manager; after prepared.sh.
# k_data: lines "NUMBER WHAT VALUE", the families of data/packages.yml; k_upgrade: yes to install another kernel where
# the running one's headers are gone; k_check: yes to change nothing. Nothing is removed for what is installed, and a
# package of which several versions may be installed replaces no other version of it.
: "${k_data?}" "${k_upgrade?}" "${k_check?}" "${k_newline?}" "${k_tree?}" "${k_gcc?}" "${k_dir?}"
k_wait=300
k_family=
k_manager=
k_wanted=
k_absent=
k_asked=
k_offered=
k_newest=
k_next=
k_seconds=0
k_complaint=

# names WHAT: prints what the family calls it, one per line.
names() {
	printf '%s\n' "$k_data" | sed -n "s/^$k_family $1 //p"
}

# os_words: prints ID and ID_LIKE of os-release.
os_words() {
	for k_file in /etc/os-release /usr/lib/os-release; do
		if [ -r "$k_file" ]; then
			# shellcheck disable=SC1090  # made to be read like this
			(. "$k_file" >/dev/null 2>&1 && printf '%s %s' "${ID-}" "${ID_LIKE-}")
			return
		fi
	done
}

# find_family: sets k_family and k_manager; k_dnf too. Both stay empty for a system that no family names.
find_family() {
	k_words=$(os_words)
	for k_word in $k_words; do
		k_family=$(printf '%s\n' "$k_data" |
			awk -v word="$k_word" '$2 == "ids" { for (i = 3; i <= NF; i++) if ($i == word) { print $1; exit } }')
		[ -z "$k_family" ] || break
	done
	for k_one in apt dnf zypper; do
		if [ -z "$k_words" ] && [ -z "$k_family" ] && manager_there "$k_one"; then
			k_family=$(printf '%s\n' "$k_data" | awk -v name="$k_one" '$2 == "manager" && $3 == name { print $1; exit }')
		fi
	done
	[ -n "$k_family" ] || return 0
	k_manager=$(names manager)
	manager_there "$k_manager" || k_manager=
}

# manager_there MANAGER: whether the host has it.
manager_there() {
	case $1 in
	apt) have apt-get && have apt-cache && have dpkg-query ;;
	dnf) { have dnf || have dnf5; } && have rpm ;;
	zypper) have zypper && have rpm ;;
	*) return 1 ;;
	esac
}

# split RELEASE: sets k_version and k_flavour, as the family names its packages.
split() {
	k_version=$1
	k_flavour=
	case $k_manager in
	zypper)
		k_flavour=${1##*-}
		case $k_flavour in
		[a-z]*) k_version=${1%-*} ;;
		*) k_flavour=default ;;
		esac
		;;
	dnf)
		case $1 in
		*+*)
			k_flavour=${1#*+}
			k_version=${1%%+*}
			;;
		esac
		;;
	apt)
		k_flavour=${1#*-}
		# 6.12.107+deb13-amd64 counts its builds before the first dash, 6.8.0-45-generic after it.
		case $1 in
		*+*-*) ;;
		*-[0-9]*-*) k_flavour=${k_flavour#*-} ;;
		esac
		;;
	esac
}

# fill TEMPLATE RELEASE: sets k_filled to the name it gives for a kernel.
fill() {
	split "$2"
	k_filled=$1
	k_word=$k_gcc
	case $k_manager:$k_gcc in
	zypper:*.*) k_word=${k_gcc%.*}${k_gcc#*.} ;;
	esac
	for k_pair in "release $2" "version $k_version" "flavour $k_flavour" "-flavour ${k_flavour:+-$k_flavour}" "gcc $k_word"; do
		k_mark="{${k_pair%% *}}"
		while :; do
			case $k_filled in
			*"$k_mark"*) k_filled=${k_filled%%"$k_mark"*}${k_pair#* }${k_filled#*"$k_mark"} ;;
			*) break ;;
			esac
		done
	done
}

# managed COMMAND...: runs the package manager, keeps what it says, counts its seconds; sets k_status.
managed() {
	k_begun=$(date +%s)
	"$@" >"$k_dir/said" 2>&1 </dev/null
	k_status=$?
	k_seconds=$((k_seconds + $(date +%s) - k_begun))
}

# asked COMMAND...: prints what the package manager answers to a question.
asked() {
	"$@" 2>/dev/null </dev/null
}

# dnf_ COMMAND...: dnf, of whichever age.
dnf_() {
	if have dnf; then dnf -q "$@"; else dnf5 -q "$@"; fi
}

# zypper_ COMMAND...: zypper that asks nobody and waits for its lock.
zypper_() {
	ZYPP_LOCK_TIMEOUT=$k_wait zypper --non-interactive "$@"
}

# refresh: fetches the lists of packages anew; sets k_complaint when that fails.
refresh() {
	case $k_manager in
	apt) managed apt-get -q -o "DPkg::Lock::Timeout=$k_wait" update ;;
	dnf) managed dnf_ --refresh makecache ;;
	zypper) managed zypper_ --quiet refresh ;;
	esac
	# apt goes on without the lists that it cannot fetch.
	if [ "$k_status" != 0 ] || grep -q '^[EW]: Failed to fetch' "$k_dir/said"; then
		k_complaint="; fetching the package lists failed: $(tail -n 3 "$k_dir/said")"
	fi
}

# seek NAME: sets k_found to what to install for a package or a capability that the repositories have, or to nothing.
seek() {
	k_found=
	case $k_asked in
	*"$k_newline$1$k_newline"*)
		case $k_newline$k_offered$k_newline in
		*"$k_newline$1$k_newline"*) k_found=$1 ;;
		esac
		return
		;;
	esac
	case $k_manager:$1 in
	apt:*) [ -z "$(asked apt-cache show "$1")" ] || k_found=$1 ;;
	dnf:*' = '*)
		k_found=$(asked dnf_ repoquery --whatprovides "$1" |
			awk -v machine="$k_machine" '{ sub(/-0:/, "-") } $0 ~ "[.](" machine "|noarch)$" { last = $0 } END { print last }')
		;;
	dnf:*) [ -z "$(asked dnf_ repoquery "$1")" ] || k_found=$1 ;;
	zypper:*' = '*) k_found=$(zypper_rows --provides "$1" | awk -F'|' '{ print $2 "=" $4; exit }') ;;
	zypper:*) [ -z "$(zypper_rows "$1")" ] || k_found=$1 ;;
	esac
}

# seek_at_once: asks for the packages of what is lacking that are the same for every kernel; sets k_asked to them and
# k_offered to those that are there. dnf and zypper take their time for every question.
seek_at_once() {
	k_asked=$k_newline
	k_offered=
	for k_purpose in $k_lacking compiler_version; do
		for k_template in $(names "$k_purpose" | grep -v -e release -e version -e ' = '); do
			fill "$k_template" "$k_release"
			[ -z "$k_filled" ] || k_asked=$k_asked$k_filled$k_newline
		done
	done
	# shellcheck disable=SC2086  # names hold no blanks
	case $k_manager in
	dnf) k_offered=$(asked dnf_ repoquery --qf '%{name}\n' $k_asked) ;;
	zypper) k_offered=$(zypper_rows $k_asked | awk -F'|' '{ print $2 }') ;;
	*) k_asked= ;;
	esac
}

# zypper_rows ARGUMENTS...: prints the packages that zypper finds: |NAME|KIND|VERSION|ARCHITECTURE|, no blanks.
zypper_rows() {
	asked zypper_ --no-refresh search --details --match-exact --type package "$@" |
		awk -F'|' 'NF == 6 && $3 ~ /package/ && $6 !~ /System Packages/ { gsub(/ /, ""); print }'
}

# find_first WHAT RELEASE: sets k_found to the first name of the family that the repositories have.
find_first() {
	k_found=
	k_tried=
	names "$1" >"$k_dir/names"
	while read -r k_template; do
		case $k_template:$k_gcc in
		*'{gcc}'*:) continue ;;
		esac
		fill "$k_template" "$2"
		k_tried="${k_tried:+$k_tried, }$k_filled"
		seek "$k_filled"
		[ -z "$k_found" ] || break
	done <"$k_dir/names"
}

# want WHAT RELEASE: adds it to k_wanted, or to k_absent.
want() {
	find_first "$1" "$2"
	if [ -n "$k_found" ]; then
		k_wanted="$k_wanted$k_found$k_newline"
	else
		k_absent="$k_absent$1 $k_tried$k_newline"
	fi
}

# want_if_there WHAT RELEASE: adds it to k_wanted where the repositories have it.
want_if_there() {
	find_first "$1" "$2"
	[ -z "$k_found" ] || k_wanted="$k_wanted$k_found$k_newline"
}

# choose: sets k_wanted and k_absent for what is lacking.
choose() {
	k_wanted=
	k_absent=
	seek_at_once
	for k_purpose in $k_lacking; do
		case $k_purpose in
		compiler)
			want compiler "$k_release"
			want_if_there compiler_version "$k_release"
			;;
		compiler_version) want_if_there compiler_version "$k_release" ;;
		*) want "$k_purpose" "$k_release" ;;
		esac
	done
}

# kernels WHAT: prints the releases of the running kernel's flavour whose WHAT the repositories have.
kernels() {
	k_template=$(names "$1" | tail -n 1)
	split "$k_release"
	k_own=$k_flavour
	fill "${k_template%%\{release\}*}" "$k_release"
	case $k_manager in
	apt)
		asked apt-cache pkgnames "$k_filled" | sed "s/^$k_filled//" | while read -r k_one; do
			split "$k_one"
			case $k_one:$k_flavour in
			[0-9]*:"$k_own") echo "$k_one" ;;
			esac
		done
		;;
	dnf)
		fill "${k_template%%-\{version\}*}" "$k_release"
		asked dnf_ repoquery "$k_filled" | sed -n "s/^$k_filled-\([0-9]*:\)*\(.*[.]$k_machine\)\$/\2${k_own:++$k_own}/p"
		;;
	zypper)
		# The last number of a package's release counts its rebuilds; the kernel's release is without it.
		fill "${k_template%% = *}" "$k_release"
		zypper_rows "$k_filled" | awk -F'|' -v flavour="$k_own" '{ sub(/[.][0-9]+$/, "", $4); print $4 "-" flavour }'
		;;
	esac
}

# find_newest: sets k_newest to the newest kernel that the repositories have with its headers, or to nothing.
find_newest() {
	k_newest=$({
		kernels headers
		echo '='
		kernels kernel
	} | awk '/^=/ { second = 1; next } !second { there[$1]; next } $1 in there { print $1 }' | sort -V | tail -n 1)
}

# headers_gone: says what is there instead, or chooses that when the kernel may be upgraded; takes the first line of
# k_absent.
headers_gone() {
	k_tried=${k_absent%%"$k_newline"*}
	k_tried=${k_tried#headers }
	k_rest=${k_absent#*"$k_newline"}
	find_newest
	value newest "$k_newest"
	k_gone="the headers of the running kernel $k_release are not in the host's repositories ($k_tried)"
	if [ -z "$k_newest" ]; then
		stop INFRA "$k_gone, and no kernel with its headers is: check the package sources$k_complaint"
	fi
	k_also="the newest kernel that is there together with its headers is $k_newest"
	if [ "$k_upgrade" = no ]; then
		stop INFRA "$k_gone; $k_also: set kedr_upgrade_kernel: true to install both and reboot the host$k_complaint"
	fi
	k_next=$k_newest
	k_absent=
	want headers "$k_next"
	want kernel "$k_next"
	[ -z "$k_absent" ] || stop INFRA "$k_also, but it cannot be chosen: no ${k_absent%"$k_newline"}"
	k_absent=$k_rest
	want_if_there kernel_extra "$k_next"
}

# absent: says what is lacking and cannot be had.
absent() {
	k_first=${k_absent%%"$k_newline"*}
	stop INFRA "the host's repositories have no package for ${k_first%% *} (${k_first#* })$k_complaint"
}

# multiversion: prints the packages of which several versions stay, one per line.
multiversion() {
	names multiversion | while read -r k_template; do
		fill "$k_template" "$k_release"
		echo "$k_filled"
	done
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

# install PACKAGES...: with the host's package manager; sets k_status.
install() {
	case $k_manager in
	apt)
		managed env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y -o "DPkg::Lock::Timeout=$k_wait" \
			-o Dpkg::Options::=--force-confold --no-install-recommends --no-remove install "$@"
		;;
	dnf)
		for k_one in $(multiversion); do
			set -- "--setopt=installonlypkgs=$k_one" "$@"
		done
		managed dnf_ -y --setopt=installonly_limit=0 --setopt=install_weak_deps=0 install "$@"
		;;
	zypper)
		zypp_conf
		ZYPP_CONF=$k_dir/zypp.conf
		export ZYPP_CONF
		managed zypper_ install --no-recommends --oldpackage --auto-agree-with-licenses "$@"
		# Installed, but: reboot, restart zypper, a repository was left out, a script of a package failed.
		case $k_status in
		102 | 103 | 106 | 107) k_status=0 ;;
		esac
		;;
	esac
}

# installed: prints every installed package with its version, sorted.
installed() {
	if [ "$k_manager" = apt ]; then
		# shellcheck disable=SC2016  # dpkg-query fills it in
		dpkg-query -W -f '${Status} ${Package}:${Architecture} ${Version}\n' | sed -n 's/^[a-z]* ok installed //p'
	else
		rpm -qa --qf '%{NAME}.%{ARCH} %{VERSION}-%{RELEASE}\n'
	fi | sort
}

# install_wanted: installs k_wanted; when a list of packages was out of date, once more with a new one.
install_wanted() {
	k_ifs=$IFS
	IFS=$k_newline
	# shellcheck disable=SC2086  # one per line
	set -- $k_wanted
	IFS=$k_ifs
	install "$@"
	if [ "$k_status" != 0 ]; then
		k_first_error=$(tail -n 5 "$k_dir/said")
		refresh
		install "$@"
		if [ "$k_status" != 0 ]; then
			text said 20000 <"$k_dir/said"
			stop INFRA "installing $* failed: $(tail -n 5 "$k_dir/said")${k_newline}at the first try: $k_first_error"
		fi
	fi
}

# look: sets k_lacking to what building for that kernel lacks.
look() {
	kernel_tree "$1"
	compiler
	k_lacking=$(lacks "$1" | sed 's/^v lacks //')
	kernel_gcc
}

# offer: chooses what is lacking; fetches the lists of packages when they lack something.
offer() {
	choose
	if [ -n "$k_absent" ] && [ "$k_check" = no ]; then
		refresh
		choose
	fi
	[ "$k_check" = no ] || return 0
	case $k_absent in
	"headers "*) headers_gone ;;
	esac
	[ -z "$k_absent" ] || absent
}

# changes: what was installed and what went, from the lists before and after.
changes() {
	installed >"$k_dir/after"
	k_more=$(comm -13 "$k_dir/before" "$k_dir/after")
	k_less=$(comm -23 "$k_dir/before" "$k_dir/after")
	[ -z "$k_more" ] || printf '%s\n' "$k_more" | text installed
	[ -z "$k_less" ] || printf '%s\n' "$k_less" | text gone
	value manager_seconds "$k_seconds"
}

# undo: after a failure, what was changed all the same.
undo() {
	[ ! -f "$k_dir/before" ] || changes
}

k_release=$(uname -r)
k_machine=$(uname -m)
value release "$k_release"
look "$k_release"
for k_one in $k_lacking; do
	value lacking "$k_one"
done
[ -n "$k_lacking" ] || finish
find_family
value manager "$k_manager"
[ -z "$k_family" ] || value family "$(names name)"
if [ -z "$k_manager" ]; then
	stop INFRA "the host lacks what builds kernel modules ($(echo "$k_lacking" | tr '\n' ' ')), and none of apt, dnf and zypper is its package manager: install it by hand"
fi
[ "$k_check" = yes ] || need_root 'Installing packages'
private_dir
offer
printf '%s' "$k_wanted" | while read -r k_one; do
	value wanted "$k_one"
done
printf '%s' "$k_absent" | while read -r k_one; do
	value absent "${k_one%% *}"
done
value boot_next "$k_next"
if [ "$k_check" = yes ] || [ -z "$k_wanted" ]; then
	finish
fi
installed >"$k_dir/before"
install_wanted
look "${k_next:-$k_release}"
if [ "$k_lacking" = elf ]; then
	offer
	install_wanted
	look "${k_next:-$k_release}"
fi
for k_one in $k_lacking; do
	[ "$k_one" = compiler_version ] || stop INFRA "everything was installed, and still the host lacks: $k_one (for kernel ${k_next:-$k_release})"
done
changes
