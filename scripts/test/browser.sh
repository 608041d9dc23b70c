#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The pages of a report and of a collection in a headless Chromium.
set -u
. "$(dirname "$0")/../lib.sh"

# Ubuntu has no such package: its Chromium is a snap, which is no program of /usr/bin.
if grep -qs '^ID=ubuntu' /etc/os-release && ! [ -x /usr/bin/chromedriver ]; then
    echo "test-browser did not run: Ubuntu has no package chromium-driver" | tee -a "${KEDR_NOTES:-/dev/null}" >&2
    exit 0
fi
"$root/scripts/packages.sh" browser || exit 1
venv=$("$root/scripts/venv.sh" newest test) || exit 1
exec "$venv/bin/python" -m pytest -q tests/browser
