#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: packages.sh GROUP|PACKAGE...
# Installs those distribution packages that are missing. The groups are those of scripts/packages.txt. Downloads nothing
# if nothing is missing.
set -u
. "$(dirname "$0")/lib.sh"

# Prints the packages of a group; nothing for another word.
group() { sed -n "s/^\([^# ]*\) *| \(.* \)*$1 .*|.*/\1/p" "$root/scripts/packages.txt"; }

# Another run of this script may install the same.
exec 9<"$root/scripts/packages.txt"
flock 9

missing=
for word; do
    names=$(group "$word")
    [ -n "$names" ] || names=$word
    for name in $names; do
        # shellcheck disable=SC2016 # dpkg-query fills it in
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
            missing="$missing $name"
        fi
    done
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null 2>&1 ||
    die "this system has no apt-get; install what these Debian packages hold and run again:$missing"

log=$KEDR_CACHE/packages.log
# shellcheck disable=SC2086 # a list of names
install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 --no-install-recommends \
        install $missing >>"$log" 2>&1 9<&-
}

say "installing distribution packages:$missing"
date -u >"$log"
install && exit 0
say "fetching the package lists first"
as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >>"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    die "apt-get update failed; check the network and the package sources; see $log"
}
install || {
    tail -n 15 "$log" >&2
    die "apt-get could not install:$missing; see $log"
}
