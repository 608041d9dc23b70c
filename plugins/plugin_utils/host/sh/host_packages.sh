# shellcheck shell=sh disable=SC2034  # some values are for the other programs
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs what building kernel modules needs, with the host's own package manager; after prepared.sh,
# packages_choose.sh and the packages_MANAGER.sh. k_check: yes to change nothing.
: "${k_check?}" "${k_newline?}" "${k_dir?}" "${k_family?}" "${k_manager?}" "${k_wanted?}" "${k_absent?}"
: "${k_next?}"
k_seconds=0

# managed COMMAND...: runs the package manager, keeps its output and counts its seconds; sets k_status.
managed() {
	k_begun=$(date +%s)
	"$@" >"$k_dir/said" 2>&1 </dev/null
	k_status=$?
	k_seconds=$((k_seconds + $(date +%s) - k_begun))
}

# refresh: fetches the package lists; sets k_complaint if that fails.
refresh() {
	"${k_manager}_refresh"
	# apt does not fail when it cannot fetch some of the lists.
	if [ "$k_status" != 0 ] || grep -q '^[EW]: Failed to fetch' "$k_dir/said"; then
		k_complaint="; fetching the package lists failed: $(tail -n 3 "$k_dir/said")"
	fi
}

# installed: prints each installed package and its version, sorted.
installed() {
	"${k_manager}_installed" | sort
}

# install_wanted: installs k_wanted; if that fails, fetches the package lists and tries once more.
install_wanted() {
	k_ifs=$IFS
	IFS=$k_newline
	# shellcheck disable=SC2086  # one per line
	set -- $k_wanted
	IFS=$k_ifs
	"${k_manager}_install" "$@"
	if [ "$k_status" != 0 ]; then
		k_first_error=$(tail -n 5 "$k_dir/said")
		refresh
		"${k_manager}_install" "$@"
		if [ "$k_status" != 0 ]; then
			text said 20000 <"$k_dir/said"
			stop INFRA "installing $* failed: $(tail -n 5 "$k_dir/said")${k_newline}at the first try: $k_first_error"
		fi
	fi
}

# look RELEASE: sets k_lacking to what building for that kernel needs and the host lacks.
look() {
	kernel_tree "$1"
	compiler
	k_lacking=$(lacks "$1" | sed 's/^v lacks //')
	kernel_gcc
}

# offer: chooses packages; fetches the package lists and chooses again if a package is not in them.
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

# changes: answers with the packages that were installed and removed since the list `before`.
changes() {
	installed >"$k_dir/after"
	k_more=$(comm -13 "$k_dir/before" "$k_dir/after")
	k_less=$(comm -23 "$k_dir/before" "$k_dir/after")
	[ -z "$k_more" ] || printf '%s\n' "$k_more" | text installed
	[ -z "$k_less" ] || printf '%s\n' "$k_less" | text gone
	value manager_seconds "$k_seconds"
}

# undo: after a failure, answers with what was changed before it.
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
	k_lacking=$(printf '%s' "$k_lacking" | tr '\n' ' ')
	stop INFRA "no package manager of data/packages.yml fits the host; install what it lacks by hand: $k_lacking"
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
	[ "$k_one" = compiler_version ] ||
		stop INFRA "all packages were installed, but kernel ${k_next:-$k_release} still lacks: $k_one"
done
changes
