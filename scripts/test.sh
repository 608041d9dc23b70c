#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: test.sh [PART...]
# Runs parts of the tests, each from scripts/test/PART.sh, also after a part failed, and ends with a table. A part notes
# in $KEDR_NOTES what it could not run, and why.
# Named parts run one after another. Without names all parts run, in two lanes at the same time, since guests wait more
# than they compute. The output of a part is then kept in a file and shown when the part has ended.
set -u
. "$(dirname "$0")/lib.sh"

# The parts that mostly wait for guests and simulated hosts, and the others; those of ansible-test share its home
# folder, so they are in one lane.
guests='e2e honesty fleet'
others='lint types unit mist sanity integration runner kernels browser distros security fresh'

work=$(mktemp -d) || exit 1
KEDR_NOTES=$work/notes
export KEDR_NOTES
logs=$KEDR_CACHE/logs
mkdir -p "$logs"
touch "$work/notes" "$work/table"
lanes=()

# The names of all parts.
parts() { find "$root/scripts/test" -name '*.sh' -perm /u+x -printf '%f\n' | sort | sed 's/\.sh//' | tr '\n' ' '; }

run_part() {
    local begun=$SECONDS result=ok
    (cd "$root" && "scripts/test/$1.sh") || result=FAILED
    printf '%-12s %-7s %5s s\n' "$1" "$result" $((SECONDS - begun)) >>"$work/table"
}

lane() {
    local part
    trap 'exit 130' INT
    trap 'exit 143' TERM
    for part; do
        say "test-$part begins; it is written to $logs/test-$part.log"
        run_part "$part" >"$logs/test-$part.log" 2>&1
        {
            flock 8
            say "test-$part"
            cat "$logs/test-$part.log"
        } 8>"$work/lock"
    done
}

finish() {
    local status=$? group
    trap '' INT TERM HUP
    for group in "${lanes[@]}"; do kill -INT -- "-$group" 2>/dev/null; done
    # A part ends its own guests.
    for _ in {1..600}; do
        kill -0 "${lanes[@]/#/-}" 2>/dev/null || break
        sleep 0.1
    done
    for group in "${lanes[@]}"; do kill -KILL -- "-$group" 2>/dev/null; done
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

for part; do
    [ -x "$root/scripts/test/$part.sh" ] ||
        die "there is no test part '$part'; parts: $(parts)"
done
if [ $# -gt 0 ]; then
    for part; do
        say "test-$part"
        run_part "$part"
    done
else
    {
        echo "test-cloud is not in this: the first boot takes minutes without KVM; make test-cloud runs it"
        echo "test-image is not in this: building an image takes minutes and needs podman; make test-image runs it"
        echo "test-spark is not in this: pyspark is half a gigabyte and needs Java; make test-spark runs it"
    } >"$KEDR_NOTES"
    "$root/scripts/setup.sh" test || exit 1
    : "${FRESH=debian12}" "${FRESH_PARTS=verify unit mist sanity}"
    export FRESH FRESH_PARTS
    # A lane is a process group of its own, so that it can be ended as a whole. It cannot ask for a password.
    set -m
    if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then
        sudo -v || exit 1
        while sudo -n -v; do sleep 60; done &
        lanes+=($!)
    fi
    # shellcheck disable=SC2086 # lists of parts
    lane $guests </dev/null &
    lanes+=($!)
    # shellcheck disable=SC2086
    lane $others </dev/null &
    lanes+=($!)
    set +m
    wait "${lanes[@]: -2}"
fi

echo
cat "$work/table"
sort -u "$KEDR_NOTES"
! grep -q FAILED "$work/table"
