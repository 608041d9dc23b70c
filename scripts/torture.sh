#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: torture.sh [--kernel stock|debug] [--rounds N] [ARGUMENT of pytest...]
# Life cycles of controller, payloads and target in guests with two processors: first on the distribution's kernel,
# then on one with KASAN, lockdep, DEBUG_ATOMIC_SLEEP and kmemleak. One line for each scenario. Takes an hour or more.
set -u
. "$(dirname "$0")/lib.sh"

become_root "$@"
trap give_back EXIT
"$root/scripts/packages.sh" lab torture || exit 1
trap 'exit 130' INT
trap 'exit 143' TERM
venv=$("$root/scripts/venv.sh" newest test) || exit 1
PATH=$venv/bin:$PATH
cd "$root" || exit 1
python -m pytest -q tests/torture "$@"
