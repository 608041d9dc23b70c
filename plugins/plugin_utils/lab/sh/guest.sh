# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh disable=SC1091
# PID 1 of an embedded guest, in place of an init system: file systems, the
# network, an SSH server kept running. A shell that waits also reaps orphans.
# tracefs stays unmounted: finding or mounting it is the job of the runs.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/root
export PATH HOME

# KEDR_NAME, KEDR_ADDRESS (with prefix length), KEDR_GATEWAY, KEDR_NAMESERVER
. /etc/kedr-guest

mkdir -p /dev/pts /dev/shm /run /tmp
mount -t devpts -o mode=620,gid=5,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm /dev/shm
mount -t tmpfs -o mode=755,nosuid,nodev run /run
mount -t tmpfs -o mode=1777,nosuid,nodev tmp /tmp
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
ln -sfn /proc/self/fd /dev/fd
mkdir -p /run/sshd /run/lock

busybox hostname "$KEDR_NAME"
busybox ip link set lo up
busybox ip address add "$KEDR_ADDRESS" dev eth0
busybox ip link set eth0 up
busybox ip route add default via "$KEDR_GATEWAY"
echo "nameserver $KEDR_NAMESERVER" >/etc/resolv.conf

# Without an init system poweroff and reboot must ask the kernel themselves;
# a reboot ends the guest too, because the machine is started with -no-reboot.
for verb in poweroff reboot; do
	printf '#!/bin/sh\nsync\nexec busybox %s -f\n' "$verb" >"/usr/local/sbin/$verb"
	chmod 755 "/usr/local/sbin/$verb"
done

# Port 22 is 0016 in the kernel's table, 0A is the state "listening".
say_when_ready() {
	until grep -q ':0016 0*:0000 0A ' /proc/net/tcp; do
		busybox usleep 50000
	done
	echo "kedr-lab: guest $KEDR_NAME is ready for logins" >/dev/console
}
say_when_ready &

while :; do
	/usr/sbin/sshd -D -f /etc/ssh/kedr_sshd_config
	echo "kedr-lab: the SSH server of guest $KEDR_NAME ended and is started again" >/dev/console
	sleep 1
done
