#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: torture.sh [--kernel stock|debug] [--rounds N] [ARGUMENT of pytest...]
# Life cycles of controller, payloads and target in guests with two processors: first on the distribution's kernel,
# then on one with KASAN, lockdep, DEBUG_ATOMIC_SLEEP and kmemleak. One line for each scenario. Takes an hour or more.
set -u
. "$(dirname "$0")/lib.sh"

become_root "$@"
ready test lab torture
cd "$root" || exit 1
python -m pytest -q tests/torture "$@"
