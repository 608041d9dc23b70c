#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Uses zram: a compressed disk in memory is written, read back, reset, added and removed.
# Prints "check NAME ok" or "check NAME bad DETAIL" per check.

# check NAME COMMAND...: whether the command succeeds; its output is the detail.
check() {
	name=$1
	shift
	if said=$("$@" 2>&1); then
		echo "check $name ok"
	else
		echo "check $name bad $(echo "$said" | tr '\n' ' ') ($*)"
	fi
}

set_to() {
	echo "$2" >"$1"
}

# Waits until udev or the kernel has made the device.
i=0
while [ ! -b /dev/zram0 ] && [ "$i" -lt 50 ]; do
	i=$((i + 1))
	sleep 0.1
done

# Half of what is written can be compressed, half cannot.
{
	dd if=/dev/zero bs=65536 count=32
	dd if=/dev/urandom bs=65536 count=32
} >written.bin 2>/dev/null

check size set_to /sys/block/zram0/disksize 16M
check write dd if=written.bin of=/dev/zram0 bs=65536 conv=fsync
check read dd if=/dev/zram0 of=back.bin bs=65536 count=64
check compare cmp written.bin back.bin
check statistics grep -q '[1-9]' /sys/block/zram0/mm_stat
check compact set_to /sys/block/zram0/compact 1
check reset set_to /sys/block/zram0/reset 1

number=
read -r number </sys/class/zram-control/hot_add
check added [ -e "/sys/block/zram$number" ]
check removed set_to /sys/class/zram-control/hot_remove "$number"
