#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A guest of a cloud image that the test builds. No part of `make test`: its first boot alone takes longer than three
# minutes where guests run by emulation.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
ready test lab cloud
python -m pytest -v tests/cloud
