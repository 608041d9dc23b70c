#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Role host on stand-ins for Fedora, openSUSE, Debian and Ubuntu: real package managers, made-up packages. And on a
# guest without Python, which gets real packages from its mirror.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
ready test lab
missing=$(PYTHONPATH=.collections python tests/distros/trees.py "$KEDR_CACHE") || die "$missing"
[ -z "$missing" ] || note "distros.sh: not tried: $missing"
ls "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.6.*/bin/python3.6 >/dev/null 2>&1 ||
    note "distros.sh: pyenv has no Python 3.6 here; a program that only says so stands in for it"
python -m pytest -q tests/distros
