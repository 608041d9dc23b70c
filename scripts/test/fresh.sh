#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: fresh.sh, or FRESH='SYSTEM...' FRESH_PARTS='PART...' make test-fresh
# The commands that the project promises, on systems that have nothing: each system is a root tree of its smallest
# set of packages, git and make. What is committed is cloned into it, and the parts are run there one after another, by
# chroot, as a user of a new machine would, with an empty cache.
# FRESH: debian12 debian13 ubuntu24.04, all of them by default. FRESH_PARTS: verify and parts of `make test`; by default
# verify and all that a chroot can run. FRESH_MIRROR_UBUNTU: URI of a mirror of Ubuntu, where this machine is not an
# Ubuntu whose mirror would be taken.
set -u
. "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || set -- --systems "${FRESH-}" --parts "${FRESH_PARTS-}" --ubuntu "${FRESH_MIRROR_UBUNTU-}"
become_root "$@"
"$root/scripts/packages.sh" fresh || exit 1
venv=$("$root/scripts/venv.sh" newest run) || exit 1
PYTHONPATH=$root/.collections "$venv/bin/python" "$root/tests/fresh/fresh.py" --cache "$KEDR_CACHE" --checkout "$root" "$@"
