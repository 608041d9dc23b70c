#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds a kernel inside the root tree of a Debian that has its source package.
#
#   sh build.sh CONFIG OUT
#
# CONFIG holds what is added to allnoconfig; OUT gets what a root tree needs:
#   boot/vmlinuz-RELEASE, boot/config-RELEASE
#   usr/lib/modules/RELEASE                   modules; build leads to the headers
#   usr/src/linux-headers-RELEASE             what external modules need, and
#   usr/src/linux-headers-RELEASE/certs       the key that signs them
# Prints the release on the last line.

set -eu
LC_ALL=C
export LC_ALL

config=$1
out=$2

# A fixed name and time instead of this machine's.
export KBUILD_BUILD_USER=kedr KBUILD_BUILD_HOST=lab

set -- /usr/src/linux-source-*.tar.xz
[ -f "$1" ] || { echo "build.sh: there is no source package in /usr/src" >&2; exit 1; }
mkdir -p /build
tar -C /build -xf "$1"
cd /build/linux-source-*

make KCONFIG_ALLCONFIG="$config" allnoconfig

missing=0
while read -r line; do
	case $line in
	CONFIG_*)
		grep -qxF "$line" .config || { echo "build.sh: not in the configuration: $line" >&2; missing=1; }
		;;
	esac
done <"$config"
[ "$missing" = 0 ] || exit 1

make -j"$(nproc)" bzImage modules

release=$(make -s kernelrelease)
headers=/usr/src/linux-headers-$release
mkdir -p "$out/boot" "$out/usr/src"
make INSTALL_MOD_PATH="$out/usr" modules_install
cp arch/x86/boot/bzImage "$out/boot/vmlinuz-$release"
cp .config "$out/boot/config-$release"
make -s run-command KBUILD_RUN_COMMAND="\$(srctree)/scripts/package/install-extmod-build $out$headers"
mkdir -p "$out$headers/certs"
cp certs/signing_key.pem certs/signing_key.x509 "$out$headers/certs/"
ln -sfn "$headers" "$out/usr/lib/modules/$release/build"
echo "$release"
