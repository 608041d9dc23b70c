#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The execution environment's description, and ansible-runner, which runs playbooks for AWX. No container is built:
# that needs podman or docker, and a base image from elsewhere.
set -u
. "$(dirname "$0")/../lib.sh"

venv=$("$root/scripts/venv.sh" newest test) || exit 1
KEDR_RUNNER=$("$root/scripts/venv.sh" newest runner) || exit 1
export KEDR_RUNNER
if [ -n "${KEDR_NOTES-}" ]; then
    echo "the image of the execution environment was not built, only described; scripts/execution-environment.sh build builds it" >>"$KEDR_NOTES"
fi
"$venv/bin/python" -m pytest -q tests/runner
