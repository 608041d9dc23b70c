#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: playbook.sh NAME [ARGUMENT...]
# Runs playbooks/NAME.yml as root, with the newest supported ansible-core.
set -u
. "$(dirname "$0")/lib.sh"

ready_for_guests run "$@"
name=$1
shift
ansible-playbook "playbooks/$name.yml" "$@"
