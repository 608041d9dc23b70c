# SPDX-License-Identifier: GPL-3.0-or-later
"""The counts of the ring buffer are read, or refused with their line."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.formats import TraceError
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.stats import CpuStats, parse_stats

STATS = """== cpu0
entries: 12
overrun: 1
commit overrun: 2
bytes: 880
oldest event ts:  5169.188503
now ts:  5170.000000
dropped events: 4
read events: 3
"""


def test_loss_is_the_sum_of_all_that_cannot_be_read_any_more() -> None:
    stats = parse_stats(STATS + "== cpu1\nentries: 0\noverrun: 0\ncommit overrun: 0\n")
    times = (5_169_188_503_000, 5_170_000_000_000)
    assert stats == {0: CpuStats(12, 1, 2, 4, 3, *times), 1: CpuStats(0, 0, 0, None, None)}
    assert (stats[0].lost, stats[1].lost) == (7, 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("== cpu0\nentries: 1\noverrun: 0\n", "no count 'commit overrun'"),
        ("== cpu0\nentries: x\n", "holds no count"),
        ("== cpu\n", "does not name a CPU"),
        ("entries: 1\n", "before the first"),
        (STATS + STATS, "line 10: cpu0 stands twice"),
    ],
)
def test_statistics_that_lack_a_count_or_say_two_things_are_refused(text: str, reason: str) -> None:
    with pytest.raises(TraceError, match=reason):
        parse_stats(text)
