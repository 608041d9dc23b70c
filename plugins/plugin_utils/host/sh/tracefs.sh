# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Functions that find tracefs and our place in it.
k_line=

# find_tracing: sets k_tracing to the top directory of tracing, or to nothing.
find_tracing() {
	k_tracing=$(awk '
		$3 == "tracefs" && (!tracefs || $2 == "/sys/kernel/tracing") { tracefs = $2 }
		$3 == "debugfs" && !debugfs { debugfs = $2 "/tracing" }
		END { print tracefs ? tracefs : debugfs }' /proc/mounts)
	[ -f "$k_tracing/trace" ] || k_tracing=
}

# mount_tracing: like find_tracing, but mounts tracefs where it is not mounted; stops if that fails.
mount_tracing() {
	find_tracing
	[ -z "$k_tracing" ] || return 0
	k_error=
	for k_one in tracefs:/sys/kernel/tracing debugfs:/sys/kernel/debug; do
		k_where=${k_one#*:}
		[ -d "$k_where" ] || continue
		k_said=$(mount -t "${k_one%%:*}" "${k_one%%:*}" "$k_where" 2>&1) || k_error="$k_error
$k_said"
		find_tracing
		if [ -n "$k_tracing" ]; then
			value changed "mounted $k_where"
			value before "$k_where: not mounted"
			value after "$k_where: mounted"
			return 0
		fi
	done
	stop INFRA "tracefs cannot be mounted on the host: the kernel has no tracing, or it is locked down$k_error"
}

# choose_place INSTANCE: sets k_place to the instance's directory, or to k_tracing without instances.
choose_place() {
	# shellcheck disable=SC2034  # for the program that follows
	k_place=$k_tracing k_own=no
	if [ -n "$1" ] && [ -d "$k_tracing/instances" ]; then
		# shellcheck disable=SC2034
		k_place=$k_tracing/instances/$1 k_own=yes
	fi
}

# choose_witness INSTANCE: sets k_place to the instance of the kernel's own events, or to nothing without instances.
choose_witness() {
	choose_place "$1"
	if [ "$k_own" = yes ]; then k_place=$k_place-kmem; else k_place=; fi
}

# kernel_events EVENTS: sets k_kernel_events to those that the kernel has, with a blank before each.
kernel_events() {
	k_kernel_events=
	for k_event in $1; do
		[ ! -f "$k_tracing/events/$k_event/filter" ] || k_kernel_events="$k_kernel_events $k_event"
	done
}

# first_word FILE: sets k_word to what is before the first blank or star.
first_word() {
	first_line "$1"
	# shellcheck disable=SC2034
	k_word=${k_line%%[ *]*}
}
