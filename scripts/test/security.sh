#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What hosts, their users, guests, rows and foreign files may not do, each tried as an attack.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
trap give_back EXIT
"$root/scripts/packages.sh" lab security || exit 1
venv=$("$root/scripts/venv.sh" newest test) || exit 1
PATH=$venv/bin:/usr/sbin:$PATH
python -m pytest -q tests/security "$@"
