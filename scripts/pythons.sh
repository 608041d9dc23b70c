#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Lists the Pythons of this machine that can run the project, oldest first: lines "3.MINOR PATH".
# One is listed only if it runs and can make virtual environments; a command that fails, such as a pyenv shim, is not.
set -u
. "$(dirname "$0")/lib.sh"

oldest=11 newest=14
# shellcheck disable=SC2016 # Python
ask='import os, sys
print("%d.%d %s" % (*sys.version_info[:2], os.path.realpath(getattr(sys, "_base_executable", sys.executable))))'

# Files named $1 in the folders of PATH, without the shims of pyenv: their Pythons are listed below.
on_path() {
    echo "$PATH" | tr : '\n' | grep -v '/shims$' | while read -r folder; do
        if [ -x "$folder/$1" ]; then echo "$folder/$1"; fi
    done
}

candidates() {
    minor=$newest
    while [ "$minor" -ge "$oldest" ]; do
        on_path "python3.$minor"
        ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python3 2>/dev/null
        minor=$((minor - 1))
    done
    on_path python3
}

# Every Python that runs, as "3.MINOR PATH".
running() {
    candidates | while read -r path; do
        "$path" -I -c "$ask" 2>/dev/null </dev/null
    done | sort -s -t . -k 2,2n
}

supported() {
    running | while read -r version path; do
        minor=${version#3.}
        if [ "$minor" -ge "$oldest" ] && [ "$minor" -le "$newest" ]; then echo "$version $path"; fi
    done
}

can_make_environments() { "$1" -I -c 'import ensurepip, venv' 2>/dev/null; }

found=$(supported)
if [ -z "$found" ] && ! command -v python3 >/dev/null 2>&1; then
    "$root/scripts/packages.sh" python3 python3-venv >&2 || exit 1
    found=$(supported)
fi
if [ -z "$found" ]; then
    die "Python 3.$oldest to 3.$newest is needed on this machine; found only: $(running | tr '\n' ';')
  Install one of them with its venv module: Debian 12, Debian 13 and Ubuntu 24.04 have it as python3 and
  python3-venv; on older systems use a newer release of the system or pyenv (pyenv install 3.13)."
fi

last=
echo "$found" | while read -r version path; do
    [ "$version" != "$last" ] || continue
    if ! can_make_environments "$path"; then
        case $path in
            /usr/bin/*) "$root/scripts/packages.sh" "python$version-venv" >&2 || exit 1 ;;
        esac
        can_make_environments "$path" || continue
    fi
    last=$version
    echo "$version $path"
done
