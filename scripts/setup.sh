#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: setup.sh run|test
# Installs what `make verify` (run) or `make test` (test) needs: distribution packages and virtual
# environments. Prints nothing when everything is there.
set -u
. "$(dirname "$0")/lib.sh"

case ${1-} in
    run)
        "$root/scripts/packages.sh" lab || exit 1
        "$root/scripts/venv.sh" newest run >/dev/null || exit 1
        ;;
    test)
        "$root/scripts/packages.sh" lab test || exit 1
        "$root/scripts/venv.sh" oldest test >/dev/null || exit 1
        "$root/scripts/venv.sh" newest test >/dev/null || exit 1
        ;;
    *) die "usage: setup.sh run|test" ;;
esac
