#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Conformance of the text generator: every recorded case, byte by byte.
set -u
. "$(dirname "$0")/../lib.sh"

ready test
exec python -m pytest -q tests/mist
