# shellcheck shell=sh disable=SC2034  # some values are for the other programs
# SPDX-License-Identifier: GPL-3.0-or-later
# Chooses the packages that building kernel modules needs; after prepared.sh.
# k_data: lines "NUMBER WHAT VALUE", the families of data/packages.yml; k_upgrade: yes to install a newer kernel where
# the running kernel's headers cannot be had.
#
# packages_MANAGER.sh knows one package manager. It defines:
#   MANAGER_there             whether the host has it
#   MANAGER_refresh           fetches the package lists, with `managed`
#   MANAGER_offered NAME...   prints those packages that the repositories have
#   MANAGER_seek WHAT         sets k_found to what to install for a package or a capability, if the repositories have it
#   MANAGER_gcc VERSION       prints the version of gcc as it stands in a package's name
#   MANAGER_kernels TEMPLATE  prints the releases of flavour k_own that the repositories have
#   MANAGER_install NAME...   installs packages, with `managed`; removes nothing, keeps other versions of a kernel
#   MANAGER_installed         prints each installed package and its version
: "${k_data?}" "${k_upgrade?}" "${k_newline?}" "${k_gcc?}" "${k_flavour?}" "${k_version?}" "${k_dir?}"
k_wait=300
k_release=
k_machine=
k_lacking=
k_family=
k_manager=
k_own=
k_wanted=
k_absent=
k_asked=
k_offered=
k_newest=
k_next=
k_complaint=

# names WHAT: prints the family's templates for it, one per line.
names() {
	printf '%s\n' "$k_data" | sed -n "s/^$k_family $1 //p"
}

# os_words: prints ID and ID_LIKE of os-release.
os_words() {
	for k_file in /etc/os-release /usr/lib/os-release; do
		if [ -r "$k_file" ]; then
			# shellcheck disable=SC1090  # meant to be read like this
			(. "$k_file" >/dev/null 2>&1 && printf '%s %s' "${ID-}" "${ID_LIKE-}")
			return
		fi
	done
}

# find_family: sets k_family and k_manager. Both stay empty for a system that no family names.
find_family() {
	k_words=$(os_words)
	for k_word in $k_words; do
		k_family=$(printf '%s\n' "$k_data" |
			awk -v word="$k_word" '$2 == "ids" { for (i = 3; i <= NF; i++) if ($i == word) { print $1; exit } }')
		[ -z "$k_family" ] || break
	done
	[ -n "$k_words" ] || k_family=$(family_by_manager)
	[ -n "$k_family" ] || return 0
	k_manager=$(names manager)
	there "$k_manager" || k_manager=
}

# family_by_manager: prints the first family whose package manager the host has.
family_by_manager() {
	printf '%s\n' "$k_data" | sed -n 's/ manager / /p' | while read -r k_one k_word; do
		if there "$k_word"; then
			echo "$k_one"
			break
		fi
	done
}

# there MANAGER: whether the host has it.
there() {
	[ "$1" != none ] && "${1}_there"
}

# fill TEMPLATE RELEASE: sets k_filled to the name that it gives for a kernel.
fill() {
	split "$2"
	k_filled=$1
	k_word=$("${k_manager}_gcc" "$k_gcc")
	for k_pair in "release $2" "version $k_version" "flavour ${k_flavour:-default}" \
		"-flavour ${k_flavour:+-$k_flavour}" "gcc $k_word"; do
		k_mark="{${k_pair%% *}}"
		while :; do
			case $k_filled in
			*"$k_mark"*) k_filled=${k_filled%%"$k_mark"*}${k_pair#* }${k_filled#*"$k_mark"} ;;
			*) break ;;
			esac
		done
	done
}

# asked COMMAND...: prints what the package manager answers to a question.
asked() {
	"$@" 2>/dev/null </dev/null
}

# seek WHAT: like MANAGER_seek; sets k_found to nothing if the repositories do not have it.
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
	"${k_manager}_seek" "$1"
}

# seek_at_once: asks in one question for those lacking packages whose names are the same for every kernel; sets k_asked
# to them and k_offered to those that the repositories have. dnf and zypper take long for every question.
seek_at_once() {
	k_asked=$k_newline
	k_offered=
	for k_purpose in $k_lacking compiler_version; do
		for k_template in $(names "$k_purpose" | grep -v -e release -e version -e ' = '); do
			fill "$k_template" "$k_release"
			[ -z "$k_filled" ] || k_asked=$k_asked$k_filled$k_newline
		done
	done
	[ "$k_asked" != "$k_newline" ] || return 0
	# shellcheck disable=SC2086  # names hold no blanks
	k_offered=$("${k_manager}_offered" $k_asked)
}

# find_first WHAT RELEASE: sets k_found to the family's first package for it that the repositories have.
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

# want_if_there WHAT RELEASE: adds it to k_wanted if the repositories have it.
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

# kernels WHAT: prints the releases of the running kernel's flavour for which the repositories have WHAT.
kernels() {
	split "$k_release"
	k_own=$k_flavour
	"${k_manager}_kernels" "$(names "$1" | tail -n 1)"
}

# find_newest: sets k_newest to the newest kernel that the repositories have with its headers, or to nothing.
find_newest() {
	k_newest=$({
		kernels headers
		echo '='
		kernels kernel
	} | awk '/^=/ { second = 1; next } !second { there[$1]; next } $1 in there { print $1 }' | sort -V | tail -n 1)
}

# headers_gone: where the headers cannot be had, names the newest kernel that has headers, or chooses it if the kernel
# may be upgraded. Removes the first line of k_absent.
headers_gone() {
	k_tried=${k_absent%%"$k_newline"*}
	k_tried=${k_tried#headers }
	k_rest=${k_absent#*"$k_newline"}
	find_newest
	value newest "$k_newest"
	k_gone="the headers of the running kernel $k_release are not in the host's repositories ($k_tried)"
	if [ -z "$k_newest" ]; then
		stop INFRA "$k_gone, and neither is another kernel with its headers: check the package sources$k_complaint"
	fi
	k_also="the newest kernel there with its headers is $k_newest"
	if [ "$k_upgrade" = no ]; then
		stop INFRA "$k_gone; $k_also: set kedr_upgrade_kernel: true to install both and reboot the host$k_complaint"
	fi
	k_next=$k_newest
	k_absent=
	want headers "$k_next"
	want kernel "$k_next"
	[ -z "$k_absent" ] || stop INFRA "$k_also, but it cannot be installed: no package for ${k_absent%"$k_newline"}"
	k_absent=$k_rest
	want_if_there kernel_extra "$k_next"
}

# absent: stops for the first package that the repositories do not have.
absent() {
	k_first=${k_absent%%"$k_newline"*}
	stop INFRA "the host's repositories have no package for ${k_first%% *} (${k_first#* })$k_complaint"
}

# multiversion: prints the packages of which several versions stay installed, one per line.
multiversion() {
	names multiversion | while read -r k_template; do
		fill "$k_template" "$k_release"
		echo "$k_filled"
	done
}
