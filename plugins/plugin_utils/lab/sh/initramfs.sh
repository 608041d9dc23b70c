# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# First program of an embedded guest, run by busybox from the initramfs: load the drivers of the disk and the network,
# mount the disk, put this guest's own files (keys, name, address) onto it, hand over to kedr-init.
bb=/bin/busybox

die() {
	echo "kedr-lab: $*"
	$bb poweroff -f
}

$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev

case " $($bb cat /proc/cmdline) " in
*" kedr.probe "*)
	# A probe run only asks: does a guest get this far with this accelerator?
	echo "kedr-lab: probe reached user space"
	$bb poweroff -f
	;;
esac

while read -r module; do
	$bb insmod "/drivers/$module" || echo "kedr-lab: driver $module was not loaded"
done </drivers/order

tries=0
while [ ! -b /dev/vda ]; do
	tries=$((tries + 1))
	[ "$tries" -le 100 ] || die "the disk did not appear as /dev/vda"
	$bb usleep 50000
done
# A guest on the disk uses ext4. A guest in memory does not, so that ext4 can be loaded afresh and watched. What only a
# build on the guest or a reader needs is hidden from the copy; what the kernel exports is not.
hidden="/disk/boot /disk/usr/src/*-common* /disk/usr/include /disk/usr/lib/gcc /disk/usr/libexec/gcc
	/disk/usr/share/doc /disk/usr/share/locale /disk/var/cache /disk/var/lib/apt"
in_memory() {
	$bb mkdir /disk
	$bb mount -t ext4 -o ro,noload /dev/vda /disk || die "the disk cannot be mounted"
	$bb mount -t tmpfs -o size=80%,mode=755 root /root
	for dir in $hidden; do
		[ ! -d "$dir" ] || $bb mount -t tmpfs hidden "$dir"
	done
	$bb cp -a /disk/. /root/ || die "the guest does not fit into its memory"
	for dir in $hidden; do
		[ ! -d "$dir" ] || $bb umount "$dir"
	done
	$bb umount /disk || die "the disk is still in use"
	$bb rmmod ext4 || die "the driver of the disk's file system is still in use"
}

case " $($bb cat /proc/cmdline) " in
*" kedr.root=memory "*) in_memory ;;
*) $bb mount -t ext4 -o noatime /dev/vda /root || die "the disk cannot be mounted" ;;
esac

$bb cp -a /guest/. /root/ || die "this guest's files cannot be written to the disk"
for dir in proc sys dev; do
	$bb mount -o move "/$dir" "/root/$dir" || die "/$dir cannot be moved to the disk"
done
exec $bb switch_root /root /usr/sbin/kedr-init
