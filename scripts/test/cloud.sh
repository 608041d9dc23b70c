#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A guest of a cloud image that the test builds. Not in `make test`: its first boot takes more than three minutes on
# emulated processors.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
ready test lab cloud
python -m pytest -v tests/cloud
