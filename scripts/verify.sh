#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: verify.sh [ARGUMENT of ansible-playbook...]
# Starts the embedded guests, runs playbooks/verify.yml on them, ends them, and exits as verify did.
# Guests end in every case: after a failure, after Ctrl-C (exit 130), after a termination (143).
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guests.sh"

ready_for_guests run "$@"
begin verify "$@"
# shellcheck disable=SC2119 # the usual guests
lab_up
play -i "$KEDR_LAB_DIR/inventory.yml" playbooks/verify.yml -e "kedr_run_id=$run_id" "$@"
