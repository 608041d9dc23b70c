#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: matrix.sh [ARGUMENT of ansible-playbook...]
# Runs playbooks/matrix.yml on the systems of data/systems.yml, or of the inventory that is given with -i, and exits
# as it did: 0 only if every system is OK. The vendors' cloud images, which are big downloads, are run only when a
# --limit chooses them. KEDR_GUESTS guests run at a time, 3 when it is not set.
# Guests end in every case: after a failure, after Ctrl-C (exit 130), after a termination (143).
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guests.sh"

KEDR_GUESTS=${KEDR_GUESTS:-3}
"$root/scripts/setup.sh" run || exit 1
become_root "$@"
"$root/scripts/packages.sh" openssl ovmf || exit 1
venv=$("$root/scripts/venv.sh" newest run) || exit 1
PATH=$venv/bin:$PATH
cd "$root" || exit 1

# The arguments without those that choose rows: with a limit of its own they repeat one row.
given=()
skip=
for word; do
    case $skip$word in
        -l | --limit) skip=yes ;;
        yes*) skip= ;;
        -l* | --limit=*) ;;
        *) given+=("$word") ;;
    esac
done

KEDR_LAB_DIR=${KEDR_LAB_DIR:-$root/.lab}/matrix
KEDR_REPRODUCE=$(reproduce matrix "${given[@]}" --limit '{host}')
export KEDR_LAB_DIR KEDR_REPRODUCE
begin "make matrix"

case " $* " in *' -l'* | *' --limit'*) ;; *) set -- --limit 'all:!cloud' "$@" ;; esac
case " $* " in *' -i'* | *' --inventory'*) ;; *) set -- -i data/systems.yml "$@" ;; esac
export ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=1 # a mistake in a file of rows is no empty matrix
play playbooks/matrix.yml --forks "$KEDR_GUESTS" -e "kedr_guests_at_once=$KEDR_GUESTS" "$@"
status=$?
say "the matrix took $SECONDS s"
exit "$status"
