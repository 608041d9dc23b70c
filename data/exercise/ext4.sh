#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Uses ext4: a file becomes a disk with an ext4, then with an ext2 file system, which is written, grown and checked.
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

work() {
	check "$1-make" mke2fs -q -F -t "$1" -O "$2" "$disk" 12M
	check "$1-mount" mount -t "$1" "$disk" place
	check "$1-write" cp written.bin place/file
	check "$1-directories" mkdir -p place/a/b/c place/many
	i=0
	while [ "$i" -lt 100 ]; do
		i=$((i + 1))
		echo "$i" >"place/many/$i"
	done
	check "$1-link" ln place/file place/a/link
	check "$1-symlink" ln -s ../file place/a/b/symlink
	check "$1-rename" mv place/a/b place/d
	check "$1-truncate" truncate -s 100000 place/file
	check "$1-remove" rm -r place/many
	check "$1-sync" sync
	check "$1-unmount" umount place
	check "$1-again" mount -t "$1" "$disk" place
	check "$1-read" sh -c 'dd if=written.bin bs=100000 count=1 2>/dev/null | cmp - place/a/link'
	check "$1-grow" resize2fs "$disk" 16M
	check "$1-unmount-again" umount place
	check "$1-check" e2fsck -fn "$disk"
}

check loop modprobe loop
mkdir place
dd if=/dev/zero of=disk.bin bs=65536 count=256 2>/dev/null
dd if=/dev/urandom of=written.bin bs=65536 count=16 2>/dev/null
disk=$(losetup -f)
check attach losetup "$disk" disk.bin
work ext4 has_journal
work ext2 none
check detach losetup -d "$disk"
check unload-loop modprobe -r loop
