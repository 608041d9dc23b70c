#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: matrix.sh [ARGUMENT of ansible-playbook...]
# Runs playbooks/matrix.yml on the systems of data/systems.yml, or of the inventory given with -i, and exits as it did:
# 0 only if every system is OK. Makes the disk of the row debian13-cloud-init. The vendors' cloud images, which are big
# downloads, run only if a --limit chooses them. KEDR_GUESTS guests run at a time, by default 3.
# Guests end in every case: after a failure, after Ctrl-C (exit 130), after a termination (143).
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guests.sh"

KEDR_GUESTS=${KEDR_GUESTS:-3}
ready_for_guests run "$@"
"$root/scripts/packages.sh" matrix || exit 1

# The arguments without a limit: with another limit they run one row again.
given=()
limit=
skip=
for word; do
    case $skip$word in
        -l | --limit) skip=yes ;;
        yes*) skip='' limit=$word ;;
        -l*) limit=${word#-l} ;;
        --limit=*) limit=${word#--limit=} ;;
        *) given+=("$word") ;;
    esac
done

# Whether the limit may choose the row of the disk: it names more than rows of data/systems.yml.
chooses_disk() {
    [ -n "$limit" ] || return 0
    tr , '\n' <<<"$limit" | grep -qvxFf <(sed -n 's/^  - name: //p' data/systems.yml)
}

begin matrix "${given[@]}" --limit '{host}'

case " $* " in *' -l'* | *' --limit'*) ;; *) set -- --limit 'all:!cloud' "$@" ;; esac
case " $* " in
    *' -i'* | *' --inventory'*) ;;
    *)
        if chooses_disk; then
            say "the disk of debian13-cloud-init is made when it is not in the cache; that takes a minute"
            PYTHONPATH=.collections python scripts/cloud_disk.py >"$KEDR_LAB_DIR/cloud-init.yml" || exit 1
            set -- -i "$KEDR_LAB_DIR/cloud-init.yml" "$@"
        fi
        set -- -i data/systems.yml "$@"
        ;;
esac
export ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=1 # a mistake in a file of rows must not empty the matrix
play playbooks/matrix.yml --forks "$KEDR_GUESTS" -e "kedr_guests_at_once=$KEDR_GUESTS" "$@"
status=$?
say "the matrix took $SECONDS s"
exit "$status"
