#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Uses loop: a file becomes a disk that is written, read back, grown, and removed.
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

dd if=/dev/zero of=disk.bin bs=65536 count=32 2>/dev/null
dd if=/dev/urandom of=written.bin bs=65536 count=16 2>/dev/null

disk=$(losetup -f)
check attach losetup "$disk" disk.bin
check write dd if=written.bin of="$disk" bs=65536 conv=fsync
check file dd if=disk.bin of=back.bin bs=65536 count=16
check compare cmp written.bin back.bin

dd if=/dev/zero bs=65536 count=32 >>disk.bin 2>/dev/null
check grow losetup -c "$disk"
check sectors [ "$(blockdev --getsz "$disk")" -eq 8192 ]
check detach losetup -d "$disk"

# The kernel removes a disk when nothing has it open.
i=0
while [ -e "/sys/block/${disk#/dev/}/loop" ] && [ "$i" -lt 50 ]; do
	i=$((i + 1))
	sleep 0.1
done
check gone [ ! -e "/sys/block/${disk#/dev/}/loop" ]
