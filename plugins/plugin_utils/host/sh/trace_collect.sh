# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Reads the evidence of a run; after tracefs.sh and kernel_log.sh. What is missing is named; nothing fails.
# k_instance, k_events, k_witness: as for trace.sh; k_stop: yes to turn tracing off first; k_bytes: limit of the trace;
# k_text: yes to read the trace as text as well.
: "${k_witness?}" "${k_instance?}" "${k_events?}" "${k_stop?}" "${k_bytes?}" "${k_text=yes}"
k_place=
k_own=no
k_word=
k_uptime=

# tracing: answers with the buffer, its counters and the formats of its events.
tracing() {
	find_tracing
	if [ -z "$k_tracing" ]; then
		value missing tracefs
		return
	fi
	choose_place "$k_instance"
	value tracing_dir "$k_place"
	if [ ! -d "$k_place" ]; then
		value missing "instance $k_instance"
	elif [ -n "$k_events" ] || [ "$k_own" = yes ]; then
		buffer
	else
		value missing events
	fi
	witness
	formats
}

# witness: answers with the kernel's own events and their counters.
witness() {
	k_kernel_events=
	choose_witness "$k_instance"
	[ -n "$k_witness" ] && [ -d "$k_place" ] || return 0
	kernel_events "$k_witness"
	[ "$k_stop" = no ] || printf '0\n' >"$k_place/tracing_on"
	cd "$k_place/per_cpu" || return 0
	headed cpu*/stats | text witness_stats
	cd /
	text witness "$k_bytes" <"$k_place/trace"
}

# formats: answers with the formats of the events, each under a line "== system/event".
formats() {
	set --
	for k_event in $k_events$k_kernel_events; do
		if [ -r "$k_tracing/events/$k_event/format" ]; then
			set -- "$@" "$k_event/format"
		else
			value missing "event ${k_event%%/*}:${k_event#*/}"
		fi
	done
	[ $# -gt 0 ] && cd "$k_tracing/events" || return 0
	headed "$@" | text formats
	cd /
}

# headed NAME/FILE...: prints the files, each under a line "== NAME".
headed() {
	awk 'FNR == 1 { name = FILENAME; sub("/[^/]*$", "", name); print "== " name } { print }' "$@"
}

# buffer: answers with the counters, then with the records, since reading these may change the counters.
buffer() {
	first_word "$k_place/tracing_on"
	if [ "$k_stop" = yes ] && [ "$k_word" = 1 ]; then
		value stopped yes
		printf '0\n' >"$k_place/tracing_on"
	fi
	if cd "$k_place/per_cpu"; then
		headed cpu*/stats | text stats
		cd /
	fi
	[ "$k_text" = no ] || text trace "$k_bytes" <"$k_place/trace"
}

# calls: prints each event of payloads that count, and how often its function was called.
calls() {
	for k_event in $k_events; do
		first_line "/sys/module/${k_event%%/*}/parameters/${k_event#*/}"
		[ -z "$k_line" ] || printf '%s %s\n' "$k_event" "$k_line"
	done
}

tracing
calls | text calls
if [ -r /sys/kernel/kedr/report ]; then
	text sites </sys/kernel/kedr/report
else
	value missing "report of call sites"
fi
send_log "$k_bytes"
value taint "$(cat /proc/sys/kernel/tainted)"
text modules </proc/modules
uptime
value uptime "$k_uptime"
