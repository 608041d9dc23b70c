#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: verify.sh [ARGUMENT of ansible-playbook...]
# Starts the embedded guests, runs playbooks/verify.yml on them, ends them, and exits as verify did.
# Guests end in every case: after a failure, after Ctrl-C (exit 130), after a termination (143).
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guests.sh"

ready_for_guests run "$@"

# Guests of its own: a lab that `make lab-up` left running is not touched.
KEDR_LAB_DIR=${KEDR_LAB_DIR:-$root/.lab}/verify
KEDR_REPRODUCE=$(reproduce verify "$@")
export KEDR_LAB_DIR KEDR_REPRODUCE
begin "make verify"

run_id=$(date -u +%Y%m%dT%H%M%SZ)-$$
KEDR_CONSOLES=$root/runs/$run_id play playbooks/lab_up.yml || die "the embedded lab did not start"
play -i "$KEDR_LAB_DIR/inventory.yml" playbooks/verify.yml -e "kedr_run_id=$run_id" "$@"
