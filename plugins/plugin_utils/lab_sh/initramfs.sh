# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# First program of an embedded guest, run by busybox from the initramfs:
# load the drivers of the disk and the network, mount the disk, put this
# guest's own files (keys, name, address) onto it, hand over to kedr-init.
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
$bb mount -t ext4 -o noatime /dev/vda /root || die "the disk cannot be mounted"

$bb cp -a /guest/. /root/ || die "this guest's files cannot be written to the disk"
for dir in proc sys dev; do
	$bb mount -o move "/$dir" "/root/$dir" || die "/$dir cannot be moved to the disk"
done
exec $bb switch_root /root /usr/sbin/kedr-init
