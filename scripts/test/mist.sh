#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Conformance of the generator of texts: every recorded case, byte by byte.
set -u
. "$(dirname "$0")/../lib.sh"

venv=$("$root/scripts/venv.sh" newest test) || exit 1
exec "$venv/bin/python" -m pytest -q tests/mist
