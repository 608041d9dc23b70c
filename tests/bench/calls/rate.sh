#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the target of the bench call kfree(NULL) at a steady rate. Usage: rate.sh RATE SECONDS
# Twenty bursts in a second; where the guest cannot keep up, they follow each other without a pause.
set -u
parameters=/sys/module/bench_target/parameters
echo $(($1 / 20)) >$parameters/calls || exit 1
echo 1 >$parameters/repeats || exit 1

# hundredths: sets now to the uptime in hundredths of a second.
hundredths() {
	read -r now rest </proc/uptime
	now=${now%.*}${now#*.}
}

hundredths
begun=$now
burst=0
while [ $burst -lt $((20 * $2)) ]; do
	# shellcheck disable=SC2034 # reading it makes the calls
	read -r nanoseconds <$parameters/nanoseconds
	burst=$((burst + 1))
	hundredths
	early=$((begun + 5 * burst - now))
	[ $early -le 0 ] || sleep "0.0$early" 2>/dev/null || sleep 0.05
done
