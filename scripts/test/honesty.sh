#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Faults put into the whole chain, each with the verdict that it must have; ends with how many were judged wrongly.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
trap give_back EXIT
"$root/scripts/packages.sh" lab honesty || exit 1
venv=$("$root/scripts/venv.sh" newest test) || exit 1
PATH=$venv/bin:$PATH
python -m pytest tests/honesty
