#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: test.sh [PART...]
# Runs parts of the tests (all of them by default), each from scripts/test/PART.sh, goes on after a part
# that failed, and ends with a table. A part leaves notes on what it could not run, and why, in $KEDR_NOTES.
set -u
. "$(dirname "$0")/lib.sh"

chosen=$*
[ $# -gt 0 ] || set -- lint types unit mist sanity integration runner kernels browser distros fleet e2e
KEDR_NOTES=$(mktemp) || exit 1
table=$(mktemp) || exit 1
export KEDR_NOTES
if [ -z "$chosen" ]; then
    echo "test-cloud is no part of this: a cloud image's first boot alone takes minutes without KVM; make test-cloud runs it" >"$KEDR_NOTES"
    echo "test-image is no part of this: building an image takes minutes and needs podman; make test-image runs it" >>"$KEDR_NOTES"
    echo "test-spark is no part of this: pyspark is half a gigabyte and needs Java; make test-spark runs it" >>"$KEDR_NOTES"
fi
trap 'rm -f "$KEDR_NOTES" "$table"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$root/scripts/setup.sh" test || exit 1

failed=0
for part; do
    [ -f "$root/scripts/test/$part.sh" ] ||
        die "there is no test part '$part'; parts: $(cd "$root/scripts/test" && echo *.sh | sed 's/\.sh//g')"
    say "test-$part"
    begun=$(date +%s)
    if (cd "$root" && "scripts/test/$part.sh"); then result=ok; else result=FAILED failed=1; fi
    printf '%-12s %-7s %5s s\n' "$part" "$result" $(($(date +%s) - begun)) >>"$table"
done

echo
cat "$table"
sort -u "$KEDR_NOTES"
exit "$failed"
