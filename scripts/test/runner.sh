#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The execution environment's description, and ansible-runner, which runs playbooks for AWX. No image is built:
# scripts/test/image.sh does that.
set -u
. "$(dirname "$0")/../lib.sh"

ready test
KEDR_RUNNER=$("$root/scripts/venv.sh" newest runner) || exit 1
export KEDR_RUNNER
python -m pytest -q tests/runner
