#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What hosts, their users, guests, rows and foreign files may not do, each tried as an attack.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
ready test lab security
python -m pytest -q tests/security "$@"
