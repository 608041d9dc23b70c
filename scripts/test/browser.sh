#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The pages of a report and of a watch in a headless Chromium.
set -u
. "$(dirname "$0")/../lib.sh"

# Ubuntu has no such package: its Chromium is a snap.
if grep -qs '^ID=ubuntu' /etc/os-release && ! [ -x /usr/bin/chromedriver ]; then
    note "test-browser did not run: Ubuntu has no package chromium-driver"
    exit 0
fi
ready test browser
exec python -m pytest -q tests/browser
