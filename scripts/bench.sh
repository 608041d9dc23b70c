#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Measures a warm `make verify` and prints speeds and sizes from its run directory, then the speed of the decoder, the
# cost of a watched call and of loading a target on a guest, and the times of the generator and of the original program.
set -u
. "$(dirname "$0")/lib.sh"

become_root "$@"
"$root/scripts/packages.sh" lab bench || exit 1

say "first run: fills the cache where it is cold"
"$root/scripts/verify.sh" >/dev/null 2>"$KEDR_CACHE/bench.log" || {
    tail -n 20 "$KEDR_CACHE/bench.log" >&2
    die "make verify fails; it must pass before anything can be measured"
}
say "second run: measured"
begun=$(date +%s.%N)
"$root/scripts/verify.sh" >/dev/null 2>"$KEDR_CACHE/bench.log" ||
    die "make verify failed the second time; see runs/latest"
ended=$(date +%s.%N)
venv=$("$root/scripts/venv.sh" newest run) || exit 1
"$venv/bin/python" "$root/tests/bench/report.py" "$root/runs/latest" "$KEDR_CACHE" "$begun" "$ended" || exit 1
say "decoding the text of a module, natively"
"$venv/bin/python" "$root/tests/bench/bench_decoder.py" "$KEDR_CACHE" || exit 1
say "calls and loads on a guest, beside the kernel's own ways of watching"
PATH=$venv/bin:$PATH "$venv/bin/python" "$root/tests/bench/bench_calls.py" "$KEDR_CACHE" || exit 1
say "reading records, beside trace-cmd"
collect=$("$root/scripts/venv.sh" newest collect) || exit 1
"$collect/bin/python" "$root/tests/bench/bench_parse.py" || exit 1
say "the page of a watch of 200,000 records"
test=$("$root/scripts/venv.sh" newest test) || exit 1
"$test/bin/python" "$root/tests/bench/bench_page.py" || exit 1
say "the highest rate of records that streams from one guest without loss"
PATH=$collect/bin:$PATH "$collect/bin/python" "$root/tests/bench/bench_rate.py" "$KEDR_CACHE" || exit 1
say "bringing traces home from many hosts, beside ssh cat, paramiko, scp and fetch"
PATH=$collect/bin:/usr/sbin:$PATH "$collect/bin/python" "$root/tests/bench/bench_transfer.py" || exit 1
say "generating with mist_gen"
python3 "$root/tests/bench/bench_mist.py"
