# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Read by the scripts that run playbooks on guests of their own, after lib.sh: at the end of the script the guests end,
# whatever happens. They have their own lab directory, so a lab that `make lab-up` started is not touched.

child=

# begin TARGET [ARGUMENT...]: begins a run of make TARGET, which these arguments repeat. Only one runs at a time.
begin() {
    KEDR_LAB_DIR=${KEDR_LAB_DIR:-$root/.lab}/$1
    KEDR_REPRODUCE=$(reproduce "$@")
    export KEDR_LAB_DIR KEDR_REPRODUCE
    mkdir -p "$KEDR_LAB_DIR"
    exec 9>"$KEDR_LAB_DIR/lock"
    flock -n 9 || die "another make $1 is running in this checkout; wait for it to end"
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    lab_down || exit 1
}

# Quotes a word for a shell.
quoted() {
    if [[ $1 =~ ^[A-Za-z0-9_./:=,{}@+-]+$ ]]; then
        printf '%s' "$1"
    else
        printf "'%s'" "${1//\'/\'\\\'\'}"
    fi
}

# reproduce TARGET [ARGUMENT...]: prints the command that runs make TARGET with these arguments again.
reproduce() {
    local target=$1 words='' word
    shift
    for word; do words+="${words:+ }$(quoted "$word")"; done
    words=${words//\$/\$\$} # make takes one of two
    # shellcheck disable=SC2154 # of lib.sh
    printf 'cd %s && make %s' "$(quoted "$root")" "$target"
    [ -z "$words" ] || printf " ARGS='%s'" "${words//\'/\'\\\'\'}"
}

# Job control gives a playbook a process group: a signal reaches all of it, but no guest.
set -m
play() {
    ansible-playbook "$@" </dev/null 9>&- &
    child=$!
    wait "$child"
    local status=$?
    child=
    return "$status"
}

# lab_up [ARGUMENT...]: starts the guests; sets $run_id. Their consoles are in the run directory.
lab_up() {
    run_id=$(date -u +%Y%m%dT%H%M%SZ)-$$
    KEDR_CONSOLES=$root/runs/$run_id play playbooks/lab_up.yml "$@" || die "the embedded lab did not start"
}

# The lab directories whose guests have not ended: a run that was killed leaves some, and the next run ends them.
labs_in_use() {
    find "$KEDR_LAB_DIR" -mindepth 2 -maxdepth 3 -name guest.json -printf '%h\0' | xargs -0 -r -n 1 dirname | sort -u
}

# Ending guests is quiet, so that the verdicts stay the last lines.
lab_down() {
    local status=0 lab
    while read -r lab; do
        if ! KEDR_LAB_DIR=$lab play playbooks/lab_down.yml >"$lab/down.log" 2>&1; then
            cat "$lab/down.log" >&2
            status=1
        fi
    done < <(labs_in_use)
    return "$status"
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
