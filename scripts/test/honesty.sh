#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Faults anywhere in the chain, each with the verdict that it must have; ends with the number of wrong verdicts.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
ready test lab honesty
python -m pytest tests/honesty
