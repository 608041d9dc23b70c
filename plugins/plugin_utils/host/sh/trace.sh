# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Sets up or removes our trace buffer; after tracefs.sh.
# k_instance: its name, empty for the global buffer; k_events: lines of system/event;
# k_clock (auto: the first of k_clocks that the kernel offers), k_size (KiB per CPU), k_tracer;
# k_overwrite: 1 to keep the newest records when the buffer is full, 0 to keep the oldest, or empty; k_check: yes to
# change nothing and answer what would change; k_witness: lines of the kernel's own events, recorded in a second instance
# where modules cause them, or empty.
: "${k_witness?}" "${k_instance?}" "${k_events?}" "${k_clock?}" "${k_size?}" "${k_tracer?}" "${k_check?}"
: "${k_overwrite=}" "${k_clocks=}"
k_place=
k_own=no
k_line=
k_word=
k_made=no
k_memory=/run/kedr-trace
# Options that change the text of records, record other things too, or stop recording. A new instance has them as the
# host left them for the global buffer.
k_options_on='annotate context-info irq-info print-parent'
k_options_off='bin block disable_on_free event-fork fields func-args function-fork hash-ptr hex latency-format
	markers pause-on-trace printk-msg-only raw record-tgid stacktrace sym-addr sym-offset sym-userobj test_nop_accept
	test_nop_refuse trace_printk userstacktrace verbose'

# change NAME BEFORE AFTER: answers that a setting changes, or would change.
change() {
	value changed "$1"
	value before "$1: $2"
	value after "$1: $3"
}

# setting FILE: sets k_line to the value of a file of tracing, as it can be written.
setting() {
	first_line "$k_tracing/$1"
	case $k_line in
	*\[*\]*)
		k_line=${k_line#*\[}
		k_line=${k_line%%\]*}
		;;
	*'(expanded: '*)
		k_line=${k_line#*: }
		k_line=${k_line%%)*}
		;;
	esac
}

# remember NAME FILE...: saves the values of files of tracing for put_back, unless they are saved already.
remember() {
	[ "$k_check" = no ] && [ ! -e "$k_memory-$1" ] && [ -d "${k_memory%/*}" ] || return 0
	k_kept=$k_memory-$1
	shift
	for k_file; do
		setting "$k_file"
		case $k_line in
		'' | X) ;;
		*) printf '%s %s\n' "$k_file" "$k_line" ;;
		esac
	done >"$k_kept"
}

# put_back NAME: restores the saved values.
put_back() {
	[ -f "$k_memory-$1" ] || return 0
	while read -r k_file k_was; do
		setting "$k_file"
		[ "$k_line" != "$k_was" ] || continue
		change "${k_file##*/}" "$k_line" "$k_was"
		[ "$k_check" = no ] || continue
		{ printf '%s\n' "$k_was" >"$k_tracing/$k_file"; } 2>/dev/null ||
			stop INFRA "${k_file##*/} could not be restored to $k_was"
	done <"$k_memory-$1"
	[ "$k_check" = yes ] || rm -f "$k_memory-$1"
}

# set_to FILE VALUE WHAT: writes a setting if it differs, and reads it back.
set_to() {
	first_word "$1"
	[ "$k_word" != "$2" ] || return 0
	change "$3" "$k_word" "$2"
	[ "$k_check" = no ] || return 0
	{ printf '%s\n' "$2" >"$1"; } 2>/dev/null
	first_word "$1"
	[ "$k_word" = "$2" ] || stop INFRA "$3 could not be set to $2: $(why "$1" "$2")"
}

# why FILE VALUE: writes the value again; prints the error.
why() {
	k_error=$(printf '%s\n' "$2" | tee "$1" 2>&1 >/dev/null)
	first_line "$1"
	printf '%s; it reads %s' "${k_error:-no error}" "$k_line"
}

# set_size: sets the buffer size of each CPU; the global buffer is never made smaller. X: the CPUs differ.
set_size() {
	first_line "$k_place/buffer_size_kb"
	case $k_line in
	*[!0-9]* | '') ;;
	"$k_size") return 0 ;;
	*) [ "$k_own" = yes ] || [ "$k_line" -lt "$k_size" ] || return 0 ;;
	esac
	change buffer_size_kb "$k_line" "$k_size"
	[ "$k_check" = no ] || return 0
	{ printf '%s\n' "$k_size" >"$k_place/buffer_size_kb"; } 2>/dev/null
	first_word "$k_place/buffer_size_kb"
	[ "${k_word:-0}" != X ] && [ "${k_word:-0}" -ge "$k_size" ] && return 0
	stop INFRA "no trace buffer of $k_size KiB per CPU: $(why "$k_place/buffer_size_kb" "$k_size")"
}

# choose_clock: for auto, sets k_clock to the first of k_clocks that the kernel offers, or to nothing.
choose_clock() {
	[ "$k_clock" = auto ] || return 0
	k_clock=
	for k_one in $k_clocks; do
		case " $k_line " in
		*" [$k_one] "* | *" $k_one "*)
			k_clock=$k_one
			return 0
			;;
		esac
	done
}

# set_clock: sets the clock if it differs, since setting it clears the buffer.
set_clock() {
	[ -n "$k_clock" ] && [ -f "$k_place/trace_clock" ] || return 0
	first_line "$k_place/trace_clock"
	choose_clock
	[ -n "$k_clock" ] || return 0
	case " $k_line " in
	*" [$k_clock] "*) return 0 ;;
	*" $k_clock "*) ;;
	*) stop INFRA "the kernel has no trace clock '$k_clock'; it offers: $k_line" ;;
	esac
	k_line=${k_line#*\[}
	change trace_clock "${k_line%%\]*}" "$k_clock"
	[ "$k_check" = yes ] || printf '%s\n' "$k_clock" >"$k_place/trace_clock"
}

# missing_events: stops if the kernel lacks one of the events.
missing_events() {
	k_lacking=
	for k_event in $k_events; do
		[ -f "$k_tracing/events/$k_event/enable" ] || k_lacking="$k_lacking ${k_event%%/*}:${k_event#*/}"
	done
	[ -z "$k_lacking" ] || stop FAIL "the kernel has no event$k_lacking: is the module that defines it loaded?"
}

# undo: removes an instance that could not be set up.
undo() {
	[ "$k_made" = no ] || rmdir "$k_tracing/instances/$k_instance"
}

present() {
	if [ "$k_check" = yes ]; then
		find_tracing
		if [ -z "$k_tracing" ]; then
			change tracefs "not mounted" mounted
			return
		fi
	else
		mount_tracing
	fi
	missing_events
	choose_place "$k_instance"
	value tracing_dir "$k_place"
	value instance "$k_own"
	if [ ! -d "$k_place" ]; then
		change "instance $k_instance" absent present
		[ "$k_check" = no ] || return 0
		k_error=$(mkdir "$k_place" 2>&1) || stop INFRA "the trace instance cannot be made: $k_error"
		k_made=yes
	fi
	settings
	witness
}

# lowest_text: prints the lowest address at which the text of a module is, in hexadecimal digits.
lowest_text() {
	cat /sys/module/*/sections/.text 2>/dev/null | sort | head -n 1
}

# witness: sets up the second instance, if the kernel can have one. It records events caused from the addresses of
# modules, which are above the kernel's; a target may be loaded a little below the other modules.
witness() {
	kernel_events "$k_witness"
	choose_witness "$k_instance"
	k_lowest=$(lowest_text)
	[ "$k_check" = no ] && [ -n "$k_place" ] && [ -n "$k_kernel_events" ] && [ -n "$k_lowest" ] || return 0
	if [ ! -d "$k_place" ]; then
		k_error=$(mkdir "$k_place" 2>&1) || stop INFRA "the second trace instance cannot be made: $k_error"
		change "instance ${k_place##*/}" absent present
	fi
	set_size
	set_options
	for k_event in $k_kernel_events; do
		printf 'call_site >= %s\n' "${k_lowest%??????}000000" >"$k_place/events/$k_event/filter"
		printf '1\n' >"$k_place/events/$k_event/enable"
		value witness "${k_event%%/*}:${k_event#*/}"
	done
}

# set_options: sets the options that we depend on, if k_place has them.
set_options() {
	for k_one in $k_options_on; do
		[ ! -f "$k_place/options/$k_one" ] || set_to "$k_place/options/$k_one" 1 "$k_one"
	done
	for k_one in $k_options_off; do
		[ ! -f "$k_place/options/$k_one" ] || set_to "$k_place/options/$k_one" 0 "$k_one"
	done
	if [ -n "$k_overwrite" ] && [ -f "$k_place/options/overwrite" ]; then
		set_to "$k_place/options/overwrite" "$k_overwrite" overwrite
	fi
}

# unfiltered: stops if the host would leave out some of the records, or act on them.
unfiltered() {
	for k_one in set_event_pid set_event_notrace_pid; do
		first_line "$k_place/$k_one"
		[ -z "$k_line" ] ||
			stop INFRA "$k_place/$k_one of the host is not empty, so records would be missing: empty it"
	done
	set --
	for k_event in $k_events; do
		set -- "$@" "$k_place/events/$k_event/filter" "$k_place/events/$k_event/trigger"
	done
	# A filter must be read at once, so not by first_line.
	k_error=$(grep -Hsv -e '^#' -e '^none$' "$@" /dev/null | head -n 1)
	[ -z "$k_error" ] ||
		stop INFRA "a filter or trigger of the host would change the records, $k_error: remove it (write 0, or ! and its text)"
}

# settings: sets all that is in the instance; clears the buffer before it enables events.
settings() {
	unfiltered
	remember shared saved_cmdlines_size options/record-cmd
	if [ "$k_own" = no ]; then
		set --
		for k_one in $k_options_on $k_options_off overwrite; do
			set -- "$@" "options/$k_one"
		done
		remember global trace_clock buffer_size_kb current_tracer "$@" tracing_on
	fi
	set_clock
	set_size
	[ ! -f "$k_place/current_tracer" ] || set_to "$k_place/current_tracer" "$k_tracer" current_tracer
	set_options
	[ ! -f "$k_tracing/options/record-cmd" ] || set_to "$k_tracing/options/record-cmd" 1 record-cmd
	k_file=$k_tracing/saved_cmdlines_size
	first_word "$k_file"
	if [ -n "$k_word" ] && [ "$k_word" -lt 4096 ]; then
		change saved_cmdlines_size "$k_word" 4096
		[ "$k_check" = yes ] || printf '4096\n' >"$k_file"
	fi
	k_disabled=
	for k_event in $k_events; do
		first_word "$k_place/events/$k_event/enable"
		[ "$k_word" = 1 ] || k_disabled="$k_disabled $k_event"
	done
	if [ "$k_check" = no ] && [ -n "$k_disabled" ]; then
		: >"$k_place/trace"
	fi
	for k_event in $k_disabled; do
		set_to "$k_place/events/$k_event/enable" 1 "event ${k_event%%/*}:${k_event#*/}"
	done
	set_to "$k_place/tracing_on" 1 tracing_on
}

absent() {
	find_tracing
	[ -n "$k_tracing" ] || return 0
	choose_place "$k_instance"
	value tracing_dir "$k_place"
	value instance "$k_own"
	[ -d "$k_place" ] || return 0
	for k_event in $k_events; do
		if [ -f "$k_place/events/$k_event/enable" ]; then
			set_to "$k_place/events/$k_event/enable" 0 "event ${k_event%%/*}:${k_event#*/}"
		fi
	done
	if [ "$k_own" = yes ]; then
		remove_instance
		choose_witness "$k_instance"
		[ ! -d "$k_place" ] || remove_instance
	else
		put_back global
	fi
	put_back shared
}

# remove_instance: removes it; tries for about a second while it is in use.
remove_instance() {
	change "instance ${k_place##*/}" present absent
	[ "$k_check" = no ] || return 0
	printf '0\n' >"$k_place/tracing_on"
	[ ! -f "$k_place/events/enable" ] || printf '0\n' >"$k_place/events/enable"
	k_tries=0
	while ! k_error=$(rmdir "$k_place" 2>&1); do
		[ -d "$k_place" ] || break
		k_tries=$((k_tries + 1))
		[ $k_tries -lt 10 ] || stop INFRA "the trace instance cannot be removed: $k_error"
		rest
	done
}
