#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Collections from many hosts: a hundred simulated ones, each with namespaces and an sshd of its own, and a real guest.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
trap give_back EXIT
venv=$("$root/scripts/venv.sh" newest test) || exit 1
"$root/scripts/packages.sh" lab openssh-server || exit 1
PATH=$venv/bin:/usr/sbin:$PATH
python -m pytest -q tests/fleet "$@"
