#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: enter.sh plain|mounted ROOT PLACES COMMAND...
# Runs a command in a root tree by chroot; "plain" where / is not a mount point, as in a chroot made by hand, "mounted"
# where it is one, as on a machine. Started in mount and PID namespaces of its own, which take every mount along when they
# end. PLACES is a list of folders and files of this machine, one a line, that the root sees at the same place and cannot
# change.
set -eu
kind=$1
root=$2
places=$3
shift 3
[ "$kind" = plain ] || mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
echo "$places" | while read -r place; do
    if [ -d "$place" ]; then
        mkdir -p "$root$place"
    elif [ -e "$place" ]; then
        mkdir -p "$root${place%/*}"
        : >"$root$place"
    else
        continue
    fi
    mount --bind -o ro "$place" "$root$place"
done
exec chroot "$root" "$@"
