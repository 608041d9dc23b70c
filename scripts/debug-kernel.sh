#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: debug-kernel.sh
# Prints the folder of a kernel with every checker on (tests/torture/kernel/debug.config), for kernel_tree of a guest's
# image. If it is not in the cache, it is built from Debian's linux-source package in a root tree of its own; the key is
# the content of the configuration and of the build script.
set -u
. "$(dirname "$0")/lib.sh"

suite=trixie package=linux-source-6.12
tools=bc,bison,cpio,flex,gcc,kmod,libc6-dev,libelf-dev,libssl-dev,make,openssl,rsync,xz-utils
sources=$root/tests/torture/kernel

[ "$(id -u)" = 0 ] || die "root is needed to build the debug kernel: run as root"
key=$({ echo "$suite $package $tools"; cat "$sources/debug.config" "$sources/build.sh"; } | sha256sum | cut -c 1-12)
place=$KEDR_CACHE/kernels/debug-$key
part=$place.part
log=$place.log

# The proxies of this machine, in the form of apt.
apt_options() {
    apt-config dump 2>/dev/null | sed -n 's/^\(Acquire::https\{0,1\}::Proxy[^ ]* "..*";\)$/--aptopt=\1/p'
}

# The build has its own mounts, which end with its processes.
build() {
    rm -rf --one-file-system "$part" || return 1
    mkdir -p "$part" || return 1
    # shellcheck disable=SC2016 # expanded by the inner shell
    apt_options | tr '\n' '\0' | INITRD=No LC_ALL=C.UTF-8 xargs -0 sh -c '
        suite=$1 include=$2 tree=$3; shift 3
        exec mmdebstrap --mode=root --format=directory --variant=minbase --dpkgopt=force-unsafe-io \
            "--include=$include" "$@" "$suite" "$tree"' sh "$suite" "$package,$tools" "$part/root" || return 1
    cp "$sources/debug.config" "$sources/build.sh" "$part/root/" || return 1
    # shellcheck disable=SC2016 # expanded by the inner shell
    nice -n 15 unshare --mount --pid --fork --kill-child sh -c '
        mount -t proc proc "$1/proc" && exec chroot "$1" sh /build.sh /debug.config /out' sh "$part/root" || return 1
    mv "$part/root/out" "$place"
}

mkdir -p "$KEDR_CACHE/kernels"
exec 9>"$place.lock"
flock 9
if [ ! -d "$place" ]; then
    "$root/scripts/packages.sh" lab >&2 || exit 1
    say "building the debug kernel from $suite's $package (half an hour of two processors); the log is $log" >&2
    begun=$(date +%s)
    if ! build >"$log" 2>&1 9>&-; then
        tail -n 15 "$log" >&2
        die "the debug kernel could not be built; see $log"
    fi
    rm -rf --one-file-system "$part"
    say "the debug kernel is ready after $(($(date +%s) - begun)) s" >&2
fi
echo "$place"
