#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Uses nbd: a server on the loopback device offers a file as a disk, which is written and read back.
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

dd if=/dev/zero of=disk.bin bs=65536 count=64 2>/dev/null
dd if=/dev/urandom of=written.bin bs=65536 count=16 2>/dev/null

mkdir config
cat >config/server.conf <<END
[generic]
	listenaddr = 127.0.0.1
	port = 10809
	allowlist = true
[disk]
	exportname = $PWD/disk.bin
	sync = true
END

connected() {
	[ "$(cat /sys/block/nbd0/pid 2>/dev/null)" ]
}

nbd-server -C config/server.conf -p "$PWD/server.pid" >server.txt 2>&1
i=0
while ! nbd-client -l 127.0.0.1 >list.txt 2>&1 && [ "$i" -lt 50 ]; do
	i=$((i + 1))
	sleep 0.1
done
check server grep -q disk list.txt
check connect nbd-client -N disk 127.0.0.1 /dev/nbd0
check connected connected
check write dd if=written.bin of=/dev/nbd0 bs=65536 conv=fsync
check file dd if=disk.bin of=back.bin bs=65536 count=16
check compare cmp written.bin back.bin
check disconnect nbd-client -d /dev/nbd0
i=0
while connected && [ "$i" -lt 50 ]; do
	i=$((i + 1))
	sleep 0.1
done
check disconnected [ ! -e /sys/block/nbd0/pid ]
check server-ends kill "$(cat server.pid)"
