#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: clean.sh clean|clean-cache
# clean removes what this checkout made; clean-cache removes images, builds and environments, which other checkouts may
# use too.
set -u
. "$(dirname "$0")/lib.sh"

case ${1-} in
    clean)
        running=$(find "$root/.lab" -name '*.pid' -exec grep -lE '^[0-9]+$' {} + 2>/dev/null)
        for file in $running; do
            if kill -0 "$(cat "$file")" 2>/dev/null; then
                die "a guest is running ($file); end it first: make lab-down"
            fi
        done
        cd "$root" || exit 1
        rm -rf runs .lab .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache
        find . -name __pycache__ -prune -exec rm -rf {} +
        ;;
    clean-cache)
        # Only what is ours: KEDR_CACHE may name any folder.
        for made in images downloads fresh test-images modules locks logs venv ansible-test ruff mypy packages.log \
            bench.log accelerator.json accelerator-firmware.json .accelerator.lock; do
            as_root rm -rf "$KEDR_CACHE/$made"
        done
        rmdir "$KEDR_CACHE" 2>/dev/null || say "left in $KEDR_CACHE: $(ls -A "$KEDR_CACHE")"
        ;;
    *) die "usage: clean.sh clean|clean-cache" ;;
esac
