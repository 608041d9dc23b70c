# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Functions that relate the trace clock to the clock of day; after tracefs.sh, which sets k_place and k_tracing.
# plugin_utils/trace/clocks.py reads what they print.
: "${k_place=}" "${k_tracing=}" "${k_line=}"

# trace_clock: sets k_clock_now to the clock that k_place uses.
trace_clock() {
	k_clock_now=
	first_line "$k_place/trace_clock"
	case $k_line in
	*\[*\]*)
		k_clock_now=${k_line#*\[}
		k_clock_now=${k_clock_now%%\]*}
		;;
	esac
}

# clock_pair WHEN: prints both clocks as they are now, on one line; nothing if they cannot be read.
clock_pair() {
	trace_clock
	k_found=
	case $k_clock_now in
	'') return 0 ;;
	mono) k_found=$(clock_timers 0) ;;
	boot) k_found=$(clock_timers 2) ;;
	tai) k_found=$(clock_timers 3) ;;
	esac
	[ -n "$k_found" ] || k_found=$(clock_marks "$k_clock_now")
	[ -z "$k_found" ] || printf 'clocks %s %s %s\n' "$1" "$k_clock_now" "$k_found"
}

# clock_timers BASE: prints what the kernel adds to its monotonic clock for the clock of day and for the clock BASE, if
# all CPUs agree. Numbers stay text, since those of awk are not exact.
clock_timers() {
	awk -v base="$1" '
		$1 == "now" && $2 == "at" { now = $3 }
		$1 == ".index:" { clock = $2 }
		$1 == ".offset:" {
			if (clock in offset && offset[clock] "" != $2 "") differ = 1
			offset[clock] = $2
		}
		END { if (now != "" && (1 in offset) && (base in offset) && !differ) print "timers", now, offset[1], offset[base] }
	' /proc/timer_list 2>/dev/null
}

# clock_marks CLOCK: prints marks from a trace buffer made for them; each pair encloses a reading of the clock of day.
clock_marks() {
	[ -d "$k_tracing/instances" ] && have date || return 0
	k_marks=$k_tracing/instances/kedr-clock
	rmdir "$k_marks" 2>/dev/null
	mkdir "$k_marks" 2>/dev/null || return 0
	if printf '%s\n' "$1" >"$k_marks/trace_clock"; then
		for k_try in 1 2 3 4 5 6 7 8; do
			(
				printf 'mark%s\n' "$k_try"
				exec date +%s%N
			) >"$k_marks/trace_marker"
		done
		awk '!/^#/ && NF > 3 { line = line " " $(NF - 2) $NF } END { if (line) print "marks" line }' "$k_marks/trace"
	fi 2>/dev/null
	rmdir "$k_marks"
}

# clock_about: prints the boot ID, and what chrony says about the clock of day.
clock_about() {
	first_line /proc/sys/kernel/random/boot_id
	[ -z "$k_line" ] || printf 'clocks boot_id %s\n' "$k_line"
	if have chronyc && k_found=$(chronyc -n -c tracking 2>/dev/null); then
		printf 'clocks chrony %s\n' "$k_found"
	fi
}
