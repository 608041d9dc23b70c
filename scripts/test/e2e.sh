#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# End to end on real guests: the playbooks, and every fault that they must survive.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
trap give_back EXIT
"$root/scripts/packages.sh" lab e2e || exit 1
venv=$("$root/scripts/venv.sh" newest test) || exit 1
PATH=$venv/bin:$PATH
python -m pytest tests/e2e
