# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Read by test parts, after lib.sh: runs a command under the oldest and the newest ansible-core.
# shellcheck disable=SC2154

# each_ansible COMMAND...: runs it with each environment first in PATH and its folder in $venv; fails if one failed.
# Notes under which versions it runs, and which could not be tried, and why.
each_ansible() {
    old=$("$root/scripts/venv.sh" oldest test) || return 1
    new=$("$root/scripts/venv.sh" newest test) || return 1
    status=0
    under "$old" "$@" || status=1
    if [ "$old" != "$new" ]; then under "$new" "$@" || status=1; fi
    case $old$new in
        *test-2.19-*test-2.21-*) ;;
        *test-2.21-*) note "not run under ansible-core 2.19: it needs Python 3.11 to 3.13, and this machine has none" ;;
        *) note "not run under ansible-core 2.21: it needs Python 3.12 to 3.14, and this machine has none" ;;
    esac
    return "$status"
}

under() {
    venv=$1
    shift
    name=${venv##*/test-}
    name="ansible-core ${name%%-py*}, Python $(echo "$name" | sed 's/.*-py\([0-9.]*\)-.*/\1/')"
    note "${0##*/}: runs under $name"
    PATH=$venv/bin:$PATH "$@"
}
