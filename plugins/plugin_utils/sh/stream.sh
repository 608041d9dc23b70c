# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Sends the pages of a trace buffer as they appear; after tracefs.sh. Standard input is the reins: a line, or
# its end, stops tracing; what is left in the buffer is sent then, and the counts of the ring buffer last.
# k_instance, k_events: as for trace.sh; k_page: bytes of a page; k_pages: pages of one packet at most;
# k_pause: seconds between two looks at empty buffers.
#
# A packet is one line "packet KIND NAME RAW SENT SHA256", then SENT bytes, packed as "packing" said.
# SHA256 is that of the RAW bytes before packing, or - where the host has no sha256sum.
: "${k_instance?}" "${k_events?}" "${k_page?}" "${k_pages?}" "${k_pause?}" "${k_dir=}"
k_place=
k_sum=-
k_more=

# pack FILE: to the file packed.
pack() {
	case $k_packer in
	zstd) zstd -q -1 -c <"$1" >packed ;;
	gzip) gzip -1 -c <"$1" >packed ;;
	*) cat <"$1" >packed ;;
	esac
}

# packet KIND NAME FILE
packet() {
	pack "$3" || stop INFRA "$k_packer failed on the host, or /tmp is full"
	if [ -n "$k_summer" ]; then
		k_sum=$(sha256sum <"$3")
		k_sum=${k_sum%% *}
	fi
	printf 'packet %s %s %d %d %s\n' "$1" "$2" "$(wc -c <"$3")" "$(wc -c <packed)" "$k_sum"
	cat packed
}

# pages CPU-DIRECTORY: sends what its buffer holds, up to one packet; sets k_more when there was something.
# A read gives whole pages; dd ends quietly where the buffer is empty.
pages() {
	: >pages
	dd if="$1/trace_pipe_raw" of=pages bs="$k_page" count="$k_pages" iflag=nonblock 2>dd.log || :
	[ -s pages ] || return 0
	k_more=yes
	packet pages "${1##*/}" pages
}

# round: one look at every CPU.
round() {
	k_more=
	for k_cpu in "$k_place"/per_cpu/cpu*; do
		pages "$k_cpu"
	done
}

# describe: what is needed to read the pages.
describe() {
	cat "$k_tracing/events/header_page" >header
	packet header page header
	for k_event in $k_events; do
		printf '== %s\n' "$k_event"
		cat "$k_tracing/events/$k_event/format"
	done >formats
	packet formats - formats
}

# count: what only the end knows.
count() {
	for k_cpu in "$k_place"/per_cpu/cpu*; do
		printf '== %s\n' "${k_cpu##*/}"
		cat "$k_cpu/stats"
	done >stats
	packet stats - stats
	cat "$k_tracing/saved_cmdlines" >comms
	packet comms - comms
}

need_root Streaming
find_tracing
[ -n "$k_tracing" ] || stop INFRA "tracefs is not mounted on the host"
choose_place "$k_instance"
set -- "$k_place"/per_cpu/cpu*/trace_pipe_raw
[ -r "$1" ] || stop INFRA "the kernel offers no trace_pipe_raw in $k_place: use a snapshot"
private_dir
dd if=/dev/null of=pages bs=1 count=1 iflag=nonblock 2>/dev/null ||
	stop INFRA "dd of this host cannot read without waiting (iflag=nonblock): use a snapshot"
k_packer=none
for k_one in zstd gzip; do
	if have "$k_one"; then
		k_packer=$k_one
		break
	fi
done
k_summer=
if have sha256sum; then k_summer=yes; fi
exec 3<&0
(
	head -n 1 <&3 >/dev/null
	: >"$k_dir/stop"
) &
value packing "$k_packer"
describe
while [ ! -e stop ]; do
	round
	[ -n "$k_more" ] || sleep "$k_pause"
done
printf '0\n' >"$k_place/tracing_on"
k_more=yes
while [ -n "$k_more" ]; do
	round
done
count
