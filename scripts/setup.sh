#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: setup.sh run|collect|test
# Installs what `make verify` (run), `make collect` (collect) or `make test` (test) needs: distribution packages
# and virtual environments. Prints nothing if everything is there.
set -u
. "$(dirname "$0")/lib.sh"

case ${1-} in
    run | collect)
        "$root/scripts/packages.sh" lab || exit 1
        "$root/scripts/venv.sh" newest "$1" >/dev/null || exit 1
        ;;
    test)
        "$root/scripts/packages.sh" lab fresh lint unit sanity integration kernels browser fleet e2e || exit 1
        "$root/scripts/venv.sh" oldest test >/dev/null || exit 1
        "$root/scripts/venv.sh" newest test >/dev/null || exit 1
        ;;
    *) die "usage: setup.sh run|collect|test" ;;
esac
