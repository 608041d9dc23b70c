#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The style of everything in the checkout; every tool runs, even if an earlier one complains.
set -u
. "$(dirname "$0")/../lib.sh"

ready test lint
status=0

check() {
    say "$*"
    "$@" || failed "$1"
}

failed() {
    say "$1 complains"
    status=1
}

# Files of the checkout, tracked or not yet added, whose name matches a pattern.
files() { git ls-files -co --exclude-standard -- "$@" | sort -u; }

check ruff check --quiet --cache-dir "$KEDR_CACHE/ruff" .
check yamllint --strict .
check ansible-lint --offline -q --nocolor
check reuse lint --lines
check antsibull-changelog lint
say "shellcheck on every shell script"
files '*.sh' .ci/run | xargs -d '\n' shellcheck || failed shellcheck
exit "$status"
