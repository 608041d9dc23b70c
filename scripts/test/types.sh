#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Types of the plugins, checked against the newest supported ansible-core.
set -u
. "$(dirname "$0")/../lib.sh"

ready test
cd .collections && exec python -m mypy --config-file "$root/pyproject.toml" \
    --cache-dir "$KEDR_CACHE/mypy" -p ansible_collections.kedr.lab.plugins
