# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways to relate the trace clock to the clock of day, held against each other on a real kernel."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks
from guests import Lab
from moments import moment

PROGRAM = """
mount_tracing
mkdir "$k_tracing/instances/clocks-test"
choose_place clocks-test
printf '%s\\n' "$k_clock" >"$k_place/trace_clock"
clock_pair begin
printf 'clocks during %s %s\\n' "$k_clock" "$(clock_marks "$k_clock")"
clock_pair end
rmdir "$k_place"
ls "$k_tracing/instances"
"""


@pytest.mark.parametrize("clock", ["boot", "mono", "tai"])
def test_marks_in_a_trace_buffer_agree_with_the_offsets_of_the_kernel(lab: Lab, clock: str) -> None:
    call = shell.frame(shell.load_script("tracefs", "clocks") + PROGRAM, {"k_clock": clock})
    lines = lab.ssh("one", call.command, stdin=call.stdin).splitlines()
    before, marks, after = (clocks.ClockPair(**found) for found in clocks.take(lines))
    assert [pair.when for pair in (before, marks, after)] == ["begin", "during", "end"]
    assert before.clock == marks.clock == clock
    assert before.uncertainty_ns == after.uncertainty_ns == clocks.TIMERS_NS < marks.uncertainty_ns
    assert before.trace_ns < marks.trace_ns < after.trace_ns
    for exact in (before, after):
        assert abs(marks.offset_ns - exact.offset_ns) <= marks.uncertainty_ns + exact.uncertainty_ns
    assert "kedr-clock" not in lines


def test_a_clock_that_the_kernel_relates_to_nothing_is_related_by_marks(lab: Lab) -> None:
    call = shell.frame(shell.load_script("tracefs", "clocks") + PROGRAM, {"k_clock": "local"})
    said = lab.ssh("one", call.command, stdin=call.stdin)
    pairs = [clocks.ClockPair(**found) for found in clocks.take(said.splitlines())]
    assert [pair.clock for pair in pairs] == ["local"] * 3
    first, second, third = pairs
    for one, two in ((first, second), (second, third)):
        assert abs(one.offset_ns - two.offset_ns) <= one.uncertainty_ns + two.uncertainty_ns + 10**6


STEP = """
mount_tracing
mkdir "$k_tracing/instances/clocks-test"
choose_place clocks-test
printf 'boot\\n' >"$k_place/trace_clock"
clock_pair begin
date -s "@$(($(date +%s) + 100))" >/dev/null
clock_pair during
printf 'clocks during boot %s\\n' "$(clock_marks boot)"
date -s "@$(($(date +%s) - 100))" >/dev/null
clock_pair end
rmdir "$k_place"
"""


def test_a_clock_of_day_that_is_set_in_between_is_seen_at_once(lab: Lab) -> None:
    """It jumps by 100 s and back, but for up to a second that ``date`` cuts off, and the time that setting takes."""
    call = shell.frame(shell.load_script("tracefs", "clocks") + STEP, {})
    found = clocks.take(lab.ssh("one", call.command, stdin=call.stdin).splitlines())
    before, during, marks, after = (clocks.ClockPair(**one) for one in found)
    forth, back = (99 * 10**9 - (during.trace_ns - before.trace_ns), 101 * 10**9 + after.trace_ns - during.trace_ns)
    assert forth < during.offset_ns - before.offset_ns <= 100 * 10**9
    assert abs(marks.offset_ns - during.offset_ns) <= marks.uncertainty_ns + during.uncertainty_ns
    assert 100 * 10**9 <= during.offset_ns - after.offset_ns < back
    known = clocks.parse(clocks.dump([before._asdict(), during._asdict(), after._asdict()]))
    between = moment(known, (before.trace_ns + during.trace_ns) // 2)
    assert between is not None and between.bound_ns is not None
    for offset in (before.offset_ns, during.offset_ns):
        assert abs((before.trace_ns + during.trace_ns) // 2 + offset - between.realtime_ns) <= between.bound_ns
