#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: fresh.sh, or FRESH='SYSTEM...' FRESH_PARTS='PART...' make test-fresh
# The commands that the project promises, on new systems: each system is a root tree of its smallest set of packages,
# git and make. The commit is cloned into it, and the parts run there by chroot, one by one, with an empty cache.
# FRESH: debian12 debian13 ubuntu24.04, by default all. FRESH_PARTS: verify and parts of `make test`; by default verify
# and all that a chroot can run. FRESH_MIRROR_UBUNTU: URI of a mirror of Ubuntu; the default is that of this machine, if
# it is an Ubuntu.
set -u
. "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || set -- --systems "${FRESH-}" --parts "${FRESH_PARTS-}" --ubuntu "${FRESH_MIRROR_UBUNTU-}"
become_root "$@"
"$root/scripts/packages.sh" fresh || exit 1
venv=$("$root/scripts/venv.sh" newest run) || exit 1
PYTHONPATH=$root/.collections "$venv/bin/python" "$root/tests/fresh/fresh.py" --cache "$KEDR_CACHE" \
    --checkout "$root" "$@"
