#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Attacks by hosts, their users, guests, rows and foreign files; none may succeed.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
ready test lab security
python -m pytest -q tests/security "$@"
