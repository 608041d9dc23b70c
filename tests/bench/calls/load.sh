#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Measures on a guest what loading a target costs. Usage: load.sh DIRECTORY ROUNDS TARGET PAYLOAD...
# Answers with lines "ROUND PAYLOAD NANOSECONDS BYTES SITES", as the controller's report says: time from the start of
# the search to the end of the writing, bytes of instructions decoded, sites written. Payloads take turns.
set -u
directory=$1
rounds=$2
target=$3
shift 3

die() {
	echo "load.sh: $1: $(dmesg | tail -n 3)" >&2
	exit 1
}

# The modules that the target needs stay loaded; it is itself loaded for each measurement.
modprobe "$target" || die "$target cannot be loaded"
rmmod "$target" || die "$target cannot be unloaded"
round=0
while [ $round -lt "$rounds" ]; do
	round=$((round + 1))
	for payload; do
		insmod "$directory/cp_controller.ko" "target_name=$target" || die cp_controller
		insmod "$directory/$payload.ko" || die "$payload"
		modprobe "$target" || die "$target with $payload"
		awk -v start="$round $payload" '
			$1 == "text" { bytes += $5 }
			$1 == "nanoseconds" { nanoseconds = $2 }
			$1 == "site" { sites++ }
			END { print start, nanoseconds, bytes, sites + 0 }' /sys/kernel/kedr/report
		for module in "$target" "$payload" cp_controller; do rmmod "$module" || die "$module stays"; done
	done
done
