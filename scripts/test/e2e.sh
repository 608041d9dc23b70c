#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# End to end on real guests: the playbooks, and every fault that they must survive.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
ready test lab e2e
python -m pytest tests/e2e
