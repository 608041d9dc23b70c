#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: enter.sh TREE PLACE COMMAND...
# Runs a command in a root of its own: the tree TREE with PLACE/upper over it. Started in mount and PID namespaces of
# its own, which take every mount along when they end. PLACE/standin is /standin inside; when it holds the files
# version and boot_id, they stand for those of the kernel; the Python that its file python-home names is in its python.
set -eu
tree=$1
place=$2
shift 2
root=$place/root
mkdir -p "$place/upper" "$place/work" "$root" "$place/standin"
mount -t overlay -o "lowerdir=$tree,upperdir=$place/upper,workdir=$place/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
while read -r name major minor; do
    mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root/standin"
mount --bind "$place/standin" "$root/standin"
if [ -f "$root/standin/version" ]; then
    mount --bind "$root/standin/version" "$root/proc/version"
    mount --bind "$root/standin/boot_id" "$root/proc/sys/kernel/random/boot_id"
fi
if [ -d "$root/standin/python" ]; then
    mount --bind -o ro "$(cat "$root/standin/python-home")" "$root/standin/python"
fi
exec chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    LC_ALL=C.UTF-8 "$@"
