# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Sends the pages of a trace buffer as they appear; after tracefs.sh. Standard input carries lines. "ack NUMBER": the
# sender has the packets up to this one on disk. "pause": end, and leave tracing on. "stop": end tracing, send the rest
# and the counts. Its end without "pause" or "stop" is a lost connection.
# k_instance, k_events: as for trace.sh; k_bytes: bytes of a packet at most; k_pause: seconds between two looks at
# empty buffers; k_packers: programs to pack with, best first; k_session: a secret name of this stream, the same after
# a lost connection; k_kept: the last packet that the sender has.
#
# A packet is one line "packet KIND NAME NUMBER RAW SENT SHA256", then SENT bytes, packed as "packing" said. SHA256 is
# that of the RAW bytes before packing, or - where the host has no sha256sum. The NAME of pages counts them for each
# CPU: cpu0:3,cpu2:1. A packet whose NUMBER is not 0 holds what the kernel gives only once: it stays on the host until it
# is acknowledged, and is sent again after a lost connection.
: "${k_instance?}" "${k_events?}" "${k_bytes?}" "${k_pause?}" "${k_packers?}" "${k_session?}" "${k_kept?}" "${k_dir=}"
: "${k_tracing=}" "${k_line=}" "${k_token=}"
k_place=
k_more=
k_all=
k_summer=
k_packer=none
k_form=pages
k_page=4096
k_seq=$k_kept
k_gone=$k_kept
k_window=16
k_room=0
k_names=
k_idle=0

# keep_place: changes to the directory of packets that are not acknowledged; one program at a time uses it.
keep_place() {
	for k_base in /tmp /var/tmp; do
		k_spool=$k_base/kedr-stream-$k_session
		mkdir "$k_spool" 2>/dev/null
		ours "$k_spool" && take_over && sweep && return 0
	done
	stop INFRA "no directory could be made in /tmp or /var/tmp of the host"
}

# sweep: removes the directory of an older stream of the same instance, whose control node is gone.
sweep() {
	printf '%s\n' "$k_instance" >instance
	for k_file in "$k_base"/kedr-stream-*; do
		[ "$k_file" = "$k_spool" ] || (
			ours "$k_file" && first_line instance && [ "$k_line" = "$k_instance" ] && rm -rf "$k_file"
		)
	done
}

# take_over: ends the program of a lost connection. One that hangs while it sends has its packet on disk.
take_over() {
	printf '%s\n' "$k_token" >owner || return 1
	first_line pid
	k_old=$k_line
	k_tries=0
	while works_here "$k_old"; do
		[ $k_tries -lt 20 ] || [ ! -s sending ] || kill -KILL "$k_old" 2>/dev/null
		[ $k_tries -lt 300 ] || stop INFRA "process $k_old of an earlier connection still streams and cannot be ended"
		k_tries=$((k_tries + 1))
		rest
	done
	rm -f word acked sending
	printf '%s\n' $$ >pid
}

# listen: keeps the words of the sender in files, until standard input ends.
listen() {
	while read -r k_said k_number; do
		case $k_said in
		ack) printf '%s\n' "$k_number" >acked ;;
		stop | pause) printf '%s\n' "$k_said" >word ;;
		esac
	done
	[ -e word ] || printf 'lost\n' >word
}

# forget: removes acknowledged packets.
forget() {
	first_line acked
	case $k_line in
	'' | *[!0-9]*) return 0 ;;
	esac
	set --
	while [ "$k_gone" -lt "$k_line" ] && [ "$k_gone" -lt "$k_seq" ]; do
		k_gone=$((k_gone + 1))
		set -- "$@" "head.$k_gone" "body.$k_gone"
	done
	[ $# -eq 0 ] || rm -f "$@"
}

# room: waits until there is room for another packet; meanwhile the kernel's buffer may overrun, and counts that. Only
# called when all that was read is on disk, since this program may end here.
room() {
	forget
	while [ $((k_seq - k_gone)) -ge "$k_window" ]; do
		mine
		rest
		forget
	done
}

# mine: ends this program if another one has taken over, or the connection is lost.
mine() {
	first_line owner
	[ "$k_line" = "$k_token" ] || exit 1
	first_line word
	[ "$k_line" != lost ] || exit 1
}

# pack FILE PACKED
pack() {
	case $k_packer in
	zstd) zstd -q -1 -c <"$1" >"$2" ;;
	gzip) gzip -1 -c <"$1" >"$2" ;;
	*) cat <"$1" >"$2" ;;
	esac
}

# measure FILE PACKED: prints the lengths of both, and the checksum of the first.
measure() {
	wc -c "$1" "$2"
	[ -z "$k_summer" ] || sha256sum "$1"
}

# packet KIND NAME FILE
packet() {
	case $1 in
	pages | text)
		k_seq=$((k_seq + 1))
		k_number=$k_seq
		;;
	*) k_number=0 ;;
	esac
	pack "$3" "body.$k_number" || stop INFRA "$k_packer failed on the host, or $k_spool is full"
	k_heading="packet $1 $2 $k_number"
	# shellcheck disable=SC2046 # lengths and names, of which the names are ours
	set -- $(measure "$3" "body.$k_number")
	printf '%s %s %s %s\n' "$k_heading" "$1" "$3" "${7:--}" >"head.$k_number" ||
		stop INFRA "$k_spool of the host is full"
	printf '%s\n' "$k_number" >sending
	cat "head.$k_number" "body.$k_number"
	: >sending
	k_idle=0
}

# again: sends the packets that were not acknowledged before the connection was lost.
again() {
	for k_file in head.*; do
		k_number=${k_file#head.}
		case $k_number in
		*[!0-9]*) ;;
		*) [ "$k_number" -gt "$k_kept" ] || rm -f "$k_file" "body.$k_number" ;;
		esac
	done
	while [ -f "head.$((k_seq + 1))" ]; do
		k_seq=$((k_seq + 1))
		cat "head.$k_seq" "body.$k_seq"
	done
}

# entries CPU-DIRECTORY: sets k_entries to the records in its buffer, or to 1 if the kernel does not say.
entries() {
	first_line "$1/stats"
	k_entries=${k_line#entries: }
	case $k_entries in
	'' | *[!0-9]*) k_entries=1 ;;
	esac
}

# pages CPU-DIRECTORY: adds the pages of its buffer to the packet, as many as fit.
# A read gives a whole page; dd ends quietly when the buffer is empty, and says how many pages it read.
pages() {
	entries "$1"
	[ "$k_entries" -gt 0 ] || [ -n "$k_all" ] || return 0
	dd if="$1/trace_pipe_raw" bs="$k_page" count="$k_room" iflag=nonblock >>raw 2>said || :
	k_got=0
	while read -r k_count k_line; do
		[ "$k_line" != "records in" ] || k_got=${k_count%+0}
	done <said
	case $k_got in
	0) return 0 ;;
	*[!0-9]*) stop INFRA "the kernel gave an incomplete page of the trace of ${1##*/}" ;;
	esac
	k_names=$k_names${k_names:+,}${1##*/}:$k_got
	k_room=$((k_room - k_got))
	[ "$k_room" -gt 0 ] || send_pages
}

# send_pages: sends the packet, and begins the next one.
send_pages() {
	if [ -n "$k_names" ]; then
		k_more=yes
		packet pages "$k_names" raw
	fi
	room
	k_names=
	k_room=$((k_bytes / k_page))
	: >raw
}

# lines: sends the buffers as text, up to one packet. A read of empty buffers would wait, so there are only as many reads
# as there must be results: one gives at most 8 KiB and 256 records.
lines() {
	k_reads=0
	for k_cpu in "$k_place"/per_cpu/cpu*; do
		entries "$k_cpu"
		k_reads=$((k_reads + k_entries))
	done
	[ "$k_reads" -gt 0 ] || return 0
	k_reads=$(((k_reads + 255) / 256))
	[ "$k_reads" -le $((k_bytes / 8192)) ] || k_reads=$((k_bytes / 8192))
	dd if="$k_place/trace_pipe" of=raw bs=65536 count="$k_reads" 2>/dev/null || :
	[ -s raw ] || return 0
	k_more=yes
	packet text trace_pipe raw
}

# round: reads every CPU once.
round() {
	k_more=
	mine
	if [ "$k_form" = text ]; then
		room
		lines
		return
	fi
	k_names=
	send_pages
	for k_cpu in "$k_place"/per_cpu/cpu*; do
		pages "$k_cpu"
	done
	send_pages
}

# wait_a_bit: sleeps, and sometimes answers that the host is alive.
wait_a_bit() {
	sleep "$k_pause" 2>/dev/null || sleep 1
	k_idle=$((k_idle + 1))
	[ $((k_idle % 10)) -ne 0 ] || value beat "$k_idle"
}

# choose: chooses how records are read and packed, by what the host has.
choose() {
	set -- "$k_place"/per_cpu/cpu*/trace_pipe_raw
	if [ ! -r "$1" ] || ! dd if=/dev/null of=raw bs=1 count=1 iflag=nonblock 2>/dev/null; then
		k_form=text
		set -- "$k_place"/per_cpu/cpu*/stats
		if [ ! -r "$1" ] || [ ! -r "$k_place/trace_pipe" ]; then
			stop INFRA "this kernel cannot read $k_place while it traces: set kedr_mode: snapshot"
		fi
	fi
	for k_one in $k_packers; do
		if have "$k_one"; then
			k_packer=$k_one
			break
		fi
	done
	if have sha256sum; then k_summer=yes; fi
	value form "$k_form"
	value packing "$k_packer"
}

# describe: sends what is needed to read the pages. Instances may have pages of different sizes.
describe() {
	k_header=$k_place/events/header_page
	[ -r "$k_header" ] || k_header=$k_tracing/events/header_page
	cat "$k_header" >raw
	packet header page raw
	k_page=$(awk -F '[:;]' '/ data;/ { print $4 + $6 }' raw)
	for k_event in $k_events; do
		if [ -r "$k_tracing/events/$k_event/format" ]; then
			printf '== %s\n' "$k_event"
			cat "$k_tracing/events/$k_event/format"
		fi
	done >raw
	packet formats - raw
}

# count: sends what is final only at the end.
count() {
	for k_cpu in "$k_place"/per_cpu/cpu*; do
		printf '== %s\n' "${k_cpu##*/}"
		cat "$k_cpu/stats"
	done >raw
	packet stats - raw
	cat "$k_tracing/saved_cmdlines" >raw
	packet comms - raw
}

need_root Streaming
find_tracing
[ -n "$k_tracing" ] || stop INFRA "tracefs is not mounted on the host"
choose_place "$k_instance"
[ -d "$k_place" ] || stop INFRA "the trace instance $k_instance is gone: was the host restarted?"
keep_place
choose
exec 3<&0
listen <&3 &
k_reader=$!
describe
value live yes
again
while [ ! -e word ]; do
	round
	[ -n "$k_more" ] || [ -e word ] || wait_a_bit
done
mine
first_line word
if [ "$k_line" = stop ]; then
	printf '0\n' >"$k_place/tracing_on"
	k_more=yes k_all=yes
	while [ -n "$k_more" ]; do
		round
	done
	count
fi
value sent "$k_seq"
wait "$k_reader"
forget
rm -f pid
if [ "$k_gone" -eq "$k_seq" ]; then
	cd / && rm -rf "$k_spool"
fi
