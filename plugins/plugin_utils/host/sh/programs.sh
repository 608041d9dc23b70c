# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Functions that end programs which run in our directories.
k_found=
k_four='[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
# Names of private directories: nothing else may match, since what matches is removed.
# shellcheck disable=SC2034  # for the programs that follow
k_private=kedr-$k_four$k_four$k_four$k_four$k_four$k_four

# inside PROCESS DIRECTORY: whether the process runs there or below. It goes up from the process's directory and reads no
# names, since any user can choose them. It stops after some levels, since a user can nest directories without end.
# shellcheck disable=SC3013  # every sh of a host has it
inside() {
	k_up=/proc/$1/cwd
	while [ -d "$k_up" ] && [ ${#k_up} -lt 200 ]; do
		[ ! "$k_up" -ef "$2" ] || return 0
		[ ! "$k_up/.." -ef "$k_up" ] || return 1
		k_up=$k_up/..
	done
	return 1
}

# end_inside DIRECTORY: kills what runs there; sets k_found to the numbers of those processes, a blank before each.
end_inside() {
	k_found=
	for k_process in /proc/[0-9]*; do
		k_process=${k_process#/proc/}
		case $k_process in
		*[!0-9]*) continue ;;
		esac
		if inside "$k_process" "$1"; then
			kill -KILL "$k_process" 2>/dev/null
			k_found="$k_found $k_process"
		fi
	done
}

# end_programs DIRECTORY...: ends what an interrupted run left running in private directories, and removes these.
end_programs() {
	for k_left; do
		ours "$k_left" || continue
		cd /
		k_tries=0
		end_inside "$k_left"
		while [ -n "$k_found" ]; do
			[ "$k_tries" -gt 0 ] || value ended_program "$k_left"
			[ "$k_tries" -lt 30 ] || stop INFRA "processes$k_found of an interrupted run in $k_left of the host cannot be ended: restart the host"
			rest
			k_tries=$((k_tries + 1))
			end_inside "$k_left"
		done
		rm -rf "$k_left"
	done
}

# end_private PATTERN: the same for all private directories with such names.
end_private() {
	: "${k_bases?}"
	for k_base in $k_bases; do
		# shellcheck disable=SC2086  # a pattern
		set -- "$@" "$k_base"/$1
	done
	shift
	end_programs "$@"
}
