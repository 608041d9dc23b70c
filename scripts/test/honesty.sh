#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Faults put into the whole chain, each with the verdict that it must have; ends with how many were judged wrongly.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
ready test lab honesty
python -m pytest tests/honesty
