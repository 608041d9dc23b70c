#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Role host on stand-ins for Fedora, openSUSE, Debian and Ubuntu: the real package managers, made-up packages. And on a
# guest without Python, which gets real packages from its mirror.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
trap give_back EXIT
"$root/scripts/packages.sh" lab || exit 1
venv=$("$root/scripts/venv.sh" newest test) || exit 1
PATH=$venv/bin:$PATH
missing=$(PYTHONPATH=.collections python tests/distros/trees.py "$KEDR_CACHE") || die "$missing"
[ -z "$missing" ] || echo "distros.sh: not tried: $missing" | tee -a "${KEDR_NOTES:-/dev/null}"
ls "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.6.*/bin/python3.6 >/dev/null 2>&1 ||
    echo "distros.sh: pyenv has no Python 3.6 here, so that of a stand-in only says it is one" | tee -a "${KEDR_NOTES:-/dev/null}"
python -m pytest -q tests/distros
