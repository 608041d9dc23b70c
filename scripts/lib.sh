# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh disable=SC2034
# Read by the other scripts: messages and places. $0 is a script in scripts/ or in a folder of it.

say() { printf 'kedr.lab: %s\n' "$*" >&2; }

die() {
    printf 'kedr.lab: error: %s\n' "$*" >&2
    exit 1
}

# Runs a command as root: as it is, or through sudo; says what is missing where neither works.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        die "this needs root and there is no sudo; run as root: $*"
    fi
}

root=$(cd "$(dirname "$0")" && while [ ! -f galaxy.yml ] && [ "$PWD" != / ]; do cd ..; done; pwd)
[ -f "$root/galaxy.yml" ] || die "$0 is not inside a checkout of kedr.lab"
KEDR_CACHE=${KEDR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kedr-lab}
case $KEDR_CACHE in /*) ;; *) KEDR_CACHE=$PWD/$KEDR_CACHE ;; esac
mkdir -p "$KEDR_CACHE" || die "cannot make the cache folder $KEDR_CACHE; set KEDR_CACHE to a folder that can be written"
ANSIBLE_CONFIG=$root/ansible.cfg
PYTHONDONTWRITEBYTECODE=1
export KEDR_CACHE ANSIBLE_CONFIG PYTHONDONTWRITEBYTECODE
