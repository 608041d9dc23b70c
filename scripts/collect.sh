#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: collect.sh [ARGUMENT of ansible-playbook...]
# Starts embedded guests (KEDR_GUESTS of them, else one), runs playbooks/collect.yml on them, ends them, and exits as
# collect did. The first Ctrl-C ends the watch; all is unloaded and judged as usual. The second ends everything.
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guests.sh"

ready_for_guests collect "$@"

count=${KEDR_GUESTS:-1}
case $count in
    [1-9] | [1-9][0-9]) ;;
    *) die "KEDR_GUESTS='$count' is not a number of guests: 1 to 99" ;;
esac

begin collect "$@"
guests='[{"name": "debian13"}'
for ((number = 2; number <= count; number++)); do guests+=", {\"name\": \"debian13-$number\"}"; done
lab_up -e "{\"lab_guests\": $guests]}"

# A playbook in a process group of its own gets no Ctrl-C. The first one makes the file that ends the watch.
end=$KEDR_LAB_DIR/end
rm -f "$end"
interrupted() {
    trap 'exit 130' INT
    say "ending the watch; once more to end everything"
    : >"$end"
}
trap interrupted INT

# shellcheck disable=SC2154 # child is of guests.sh
collect() {
    ansible-playbook -i "$KEDR_LAB_DIR/inventory.yml" playbooks/collect.yml -e "kedr_run_id=$run_id" "$@" \
        </dev/null 9>&- &
    child=$!
    # A trap ends the wait, not the playbook.
    local status
    while :; do
        wait "$child"
        status=$?
        if [ "$status" -le 128 ] || ! kill -0 "$child" 2>/dev/null; then break; fi
    done
    child=
    return "$status"
}
collect -e "kedr_end_file=$end" "$@"
