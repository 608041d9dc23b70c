#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Measures on a guest what a call of kfree(NULL) costs. Usage: measure.sh DIRECTORY ROUNDS
# DIRECTORY holds cp_controller.ko, my_payload1.ko, bench_target.ko and bench_other.ko.
# Answers with lines "ROUND WAY CALLER NANOSECONDS CALLS", or "none WAY REASON" for a way that this kernel has not.
# Ways take turns within each round. Nothing but one way is on at a time.
set -u
directory=$1
rounds=$2
tracing=/sys/kernel/tracing
calls=1000

die() {
	echo "measure.sh: $1" >&2
	exit 1
}

read_one() {
	nanoseconds=$(taskset -c 0 cat "/sys/module/bench_$2/parameters/nanoseconds") || die "bench_$2 cannot be read"
	echo "$round $1 $2 $nanoseconds $calls"
}

# both WAY: the watched module and the other one.
both() {
	read_one "$1" target
	read_one "$1" other
}

# lacks WAY FILE TEXT: tells once why a way is not measured, when it could not be set up.
lacks() {
	[ "$round" != 1 ] || echo "none $1 the kernel takes no '$3' in $2: $said"
}

# set_to FILE TEXT: writes to a file of tracing; sets said to what the kernel says against it.
set_to() {
	said=$({ printf '%s\n' "$2" >"$tracing/$1"; } 2>&1)
}

# append FILE TEXT
append() {
	said=$({ printf '%s\n' "$2" >>"$tracing/$1"; } 2>&1)
}

quiet() {
	set_to events/enable 0
	set_to current_tracer nop
	set_to trace ''
}

# event WAY DEFINITION: a dynamic event on kfree.
event() {
	if append dynamic_events "$2"; then
		set_to "events/bench/on_kfree/enable" 1 || die "event of $1: $said"
		both "$1"
		set_to "events/bench/on_kfree/enable" 0
		append dynamic_events "-:bench/on_kfree" || die "event of $1: $said"
	else
		lacks "$1" dynamic_events "$2"
	fi
	quiet
}

# tracer WAY: one of the tracers, for kfree alone.
tracer() {
	if grep -qw "$1" "$tracing/available_tracers" && set_to set_ftrace_filter kfree && set_to current_tracer "$1"; then
		both "$1"
	else
		lacks "$1" current_tracer "$1"
	fi
	quiet
	set_to set_ftrace_filter ''
}

load() {
	module=$1
	shift
	insmod "$directory/$module.ko" "$@" || die "$module cannot be loaded: $(dmesg | tail -n 3)"
}

watched() {
	rmmod bench_target
	load cp_controller target_name=bench_target
	load my_payload1
	load bench_target "calls=$calls"
	grep -q '^site kfree call core' /sys/kernel/kedr/report || die "the call was not intercepted"
	both intercepted-off
	set_to events/my_payload1/called_kfree/enable 1 || die "the payload's event: $said"
	both intercepted-on
	set_to events/my_payload1/called_kfree/enable 0
	rmmod bench_target
	rmmod my_payload1
	rmmod cp_controller
	load bench_target "calls=$calls"
	quiet
}

[ -d "$tracing/events" ] || mount -t tracefs tracefs "$tracing" || die "no tracefs"
quiet
for caller in target other; do load "bench_$caller" "calls=$calls"; done
round=0
while [ $round -lt "$rounds" ]; do
	round=$((round + 1))
	both plain
	watched
	event kprobe 'p:bench/on_kfree kfree p=%di'
	event kretprobe 'r:bench/on_kfree kfree'
	event fprobe "f:bench/on_kfree kfree p=\$arg1"
	tracer function
	tracer function_graph
done
for caller in target other; do rmmod "bench_$caller"; done
