#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Unit tests under the oldest and the newest supported ansible-core.
set -u
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/ansible-versions.sh"

"$root/scripts/packages.sh" unit || exit 1
each_ansible python -m pytest -q -n auto --dist loadfile tests/unit
