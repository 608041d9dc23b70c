# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Reads the evidence of a run; after tracefs.sh. What is not there is named, and nothing is a failure.
# k_instance, k_events: as for trace.sh; k_stop: yes to turn tracing off first; k_bytes: limit of the trace.
: "${k_instance?}" "${k_events?}" "${k_stop?}" "${k_bytes?}"
k_place=
k_own=no

# tracing: the buffer, its counters and the formats of its events.
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
	for k_event in $k_events; do
		if [ -r "$k_tracing/events/$k_event/format" ]; then
			text "format/$k_event" <"$k_tracing/events/$k_event/format"
		else
			value missing "event ${k_event%%/*}:${k_event#*/}"
		fi
	done
}

# buffer: counters come before the records, since reading records may count as reading.
buffer() {
	if [ "$k_stop" = yes ] && [ "$(first_word "$k_place/tracing_on")" = 1 ]; then
		value stopped yes
		printf '0\n' >"$k_place/tracing_on"
	fi
	for k_cpu in "$k_place"/per_cpu/cpu*; do
		[ ! -r "$k_cpu/stats" ] || text "stats/${k_cpu##*/}" <"$k_cpu/stats"
	done
	text trace "$k_bytes" <"$k_place/trace"
}

tracing
if [ -r /sys/kernel/kedr/report ]; then
	text sites </sys/kernel/kedr/report
else
	value missing "report of call sites"
fi
k_error=$(dmesg 2>&1 >/dev/null) || value missing "kernel log ($k_error)"
dmesg 2>/dev/null | text dmesg "$k_bytes"
value taint "$(cat /proc/sys/kernel/tainted)"
text modules </proc/modules
value uptime "$(cut -d' ' -f1 /proc/uptime)"
