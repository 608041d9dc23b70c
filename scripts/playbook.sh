#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: playbook.sh NAME [ARGUMENT...]
# Runs playbooks/NAME.yml as root, with the newest supported ansible-core.
set -u
. "$(dirname "$0")/lib.sh"

"$root/scripts/setup.sh" run || exit 1
become_root "$@"
trap give_back EXIT
venv=$("$root/scripts/venv.sh" newest run) || exit 1
name=$1
shift
cd "$root" || exit 1
PATH=$venv/bin:$PATH
ansible-playbook "playbooks/$name.yml" "$@"
