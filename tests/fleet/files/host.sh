#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: host.sh PLACE ADDRESS
# The first process of a simulated host, in network, mount and PID namespaces of its own, which take everything along
# when it ends: waits for a line on standard input, which says that its network device is there, and becomes sshd.
# PLACE/tracing lies where the sh programs look for tracefs.
set -eu
place=$1
address=$2
read -r _word
mount --make-rprivate /
mount -t proc proc /proc
grep -q ' /sys/kernel/tracing tracefs ' /proc/mounts || mount -t tracefs tracefs /sys/kernel/tracing
mount --bind "$place/tracing" /sys/kernel/tracing
mount --bind "$place" /mnt
mount -t tmpfs -o size=64m tmpfs /tmp
mount -t tmpfs -o size=1m tmpfs /run
mount -t tmpfs -o size=1m tmpfs /root
mkdir -p /run/sshd
printf 'root:*:::::::\n' >/run/shadow
mount --bind /run/shadow /etc/shadow
ip link set lo up
ip address add "$address/16" dev eth0
ip link set eth0 up
cd /
exec /usr/sbin/sshd -D -E /mnt/sshd.log -f /mnt/sshd_config
