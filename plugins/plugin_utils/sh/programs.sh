# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Words for ending programs that work in directories of ours.
k_found=
k_four='[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
# Names of private directories: nothing else may match, since what matches is removed.
# shellcheck disable=SC2034  # for the programs that follow
k_private=kedr-$k_four$k_four$k_four$k_four$k_four$k_four

# inside DIRECTORY: sets k_found to the processes that work there, a blank between them.
inside() {
	# shellcheck disable=SC2012  # one process for all, whose lines are as expected for links of /proc
	k_found=$(ls -l /proc/[0-9]*/cwd 2>/dev/null | awk -v directory="$1/" '{
		at = index($0, " /proc/"); to = index($0, " -> ")
		if (!at || !to || index(substr($0, to + 4) "/", directory) != 1) next
		split(substr($0, at + 7), pid, "/"); printf "%s ", pid[1] }')
}

# end_programs DIRECTORY...: ends what an interrupted run left running in private directories, and removes those.
end_programs() {
	for k_left; do
		if [ ! -d "$k_left" ] || [ -L "$k_left" ] || [ ! -O "$k_left" ]; then continue; fi
		k_tries=0
		inside "$k_left"
		while [ -n "$k_found" ]; do
			[ "$k_tries" -gt 0 ] || value ended_program "$k_left"
			[ "$k_tries" -lt 30 ] || stop INFRA "a program of an interrupted run works in $k_left of the host and cannot be ended (processes $k_found): restart the host"
			# shellcheck disable=SC2086  # numbers
			kill -KILL $k_found 2>/dev/null
			rest
			k_tries=$((k_tries + 1))
			inside "$k_left"
		done
		rm -rf "$k_left"
	done
}

# end_private PATTERN: ends what works in private directories with such names, wherever those may be, and removes them.
end_private() {
	: "${k_bases?}"
	for k_base in $k_bases; do
		# shellcheck disable=SC2086  # a pattern
		set -- "$@" "$k_base"/$1
	done
	shift
	end_programs "$@"
}
