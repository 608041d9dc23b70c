#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The controller's decoder and search, proven on every module of the lab's default kernel, and other tests of kernel
# code that need no guest.
# Usage: kernels.sh [TREE...], or TREES='TREE...' make test-kernels
# With trees it only proves their kernels: root trees of installed systems, or directories lib/modules/RELEASE.
set -u
. "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2086 # a list of directories
[ $# -gt 0 ] || set -- ${TREES-}
become_root "$@"
ready test lab kernels
if [ $# -gt 0 ]; then
    python tests/kernels/prove.py "$@"
    exit
fi
tree=$(PYTHONPATH=$root/.collections python tests/kernels/image.py) || exit 1
status=0
say "proving the decoder and the search on every module of $tree"
python tests/kernels/prove.py "$tree" || status=1
KEDR_TREE=$tree python -m pytest -q tests/kernels || status=1
exit "$status"
