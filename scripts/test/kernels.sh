#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: kernels.sh [TREE...], or TREES='TREE...' make test-kernels
# The controller's decoder and search, proven on every module of kernels, and what else can be tested of kernel code
# without a guest. A TREE is the root of an installed system or a directory lib/modules/RELEASE; by default it is the
# root tree of the lab's image.
set -u
. "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2086 # a list of directories
[ $# -gt 0 ] || set -- ${TREES-}
become_root "$@"
trap give_back EXIT
venv=$("$root/scripts/venv.sh" newest test) || exit 1
PATH=$venv/bin:$PATH
if [ $# -eq 0 ]; then
    tree=$(PYTHONPATH=$root/.collections python tests/kernels/image.py) || exit 1
    set -- "$tree"
fi
status=0
say "proving the decoder and the search on every module of: $*"
python tests/kernels/prove.py "$@" || status=1
KEDR_TREE=$1 python -m pytest -q tests/kernels || status=1
exit "$status"
