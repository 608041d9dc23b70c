#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: verify.sh [ARGUMENT of ansible-playbook...]
# Starts the embedded guests, runs playbooks/verify.yml on them, ends them, and exits as verify did.
# Guests end in every case: after a failure, after Ctrl-C (exit 130), after a termination (143).
set -u
. "$(dirname "$0")/lib.sh"

"$root/scripts/setup.sh" run || exit 1
become_root "$@"
venv=$("$root/scripts/venv.sh" newest run) || exit 1
PATH=$venv/bin:$PATH
cd "$root" || exit 1

# Guests of its own: a lab that `make lab-up` left running is not touched.
KEDR_LAB_DIR=${KEDR_LAB_DIR:-$root/.lab}/verify
export KEDR_LAB_DIR
mkdir -p "$KEDR_LAB_DIR"
exec 9>"$KEDR_LAB_DIR/lock"
flock -n 9 || die "another make verify is running in this checkout; wait for it to end"

run_id=$(date -u +%Y%m%dT%H%M%SZ)-$$
child=

# Job control gives a playbook a process group, so that a signal reaches all of it and none of the guests.
set -m
play() {
    ansible-playbook "$@" </dev/null 9>&- &
    child=$!
    wait "$child"
    local status=$?
    child=
    return "$status"
}

# The mark is there while guests may run: a run that was killed leaves it, and the next one ends its guests.
# Ending them is quiet, so that the verdicts stay the last lines.
lab_down() {
    [ -e "$KEDR_LAB_DIR/up" ] || return 0
    if play playbooks/lab_down.yml >"$KEDR_LAB_DIR/down.log" 2>&1; then
        rm -f "$KEDR_LAB_DIR/up"
    else
        cat "$KEDR_LAB_DIR/down.log" >&2
        return 1
    fi
}

finish() {
    local status=$?
    trap '' INT TERM HUP
    trap - EXIT
    if [ -n "$child" ]; then
        kill -INT -- "-$child" 2>/dev/null
        for _ in {1..100}; do kill -0 -- "-$child" 2>/dev/null || break; sleep 0.1; done
        kill -KILL -- "-$child" 2>/dev/null
        wait "$child" 2>/dev/null
    fi
    lab_down || say "some guests could not be ended; see $KEDR_LAB_DIR"
    give_back
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

lab_down || exit 1
touch "$KEDR_LAB_DIR/up"
KEDR_REPRODUCE="cd $root && make verify${*:+ ARGS='$*'}"
export KEDR_REPRODUCE
KEDR_CONSOLES=$root/runs/$run_id play playbooks/lab_up.yml || die "the embedded lab did not start"
play -i "$KEDR_LAB_DIR/inventory.yml" playbooks/verify.yml -e "kedr_run_id=$run_id" "$@"
