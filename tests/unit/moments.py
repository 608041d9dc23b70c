# SPDX-License-Identifier: GPL-3.0-or-later
"""When a record was made by the clock of day, and which of two came first: not by the SQL of the merged export."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils.trace.clocks import SHARED, Clock, Segment


class Moment(NamedTuple):
    """A time of the clock of day (nanoseconds since 1970), and how far it may be off; None: not known."""

    realtime_ns: int
    bound_ns: int | None


def moment(clock: Clock, trace_ns: int) -> Moment | None:
    """When a record was, by the host's clock of day; None without a pair.

    Outside the pairs the nearest one is used, and no bound is claimed.
    """
    if not clock.pairs:
        return None
    starts = [segment.from_ns for segment in clock.segments]
    return _at(clock.segments[bisect_right(starts, trace_ns) - 1], trace_ns)


def _at(segment: Segment, trace_ns: int) -> Moment:
    """The bound reaches to every value that the offset may have had.

    It may have gone from one pair to the other in one direction, steadily or at once.
    """
    moved = segment.change_ns * (trace_ns - segment.from_ns) // segment.span_ns
    realtime = trace_ns + segment.offset_ns + moved
    if segment.first_ns is None or segment.last_ns is None:
        return Moment(realtime, None)
    return Moment(realtime, max(abs(moved) + segment.first_ns, abs(segment.change_ns - moved) + segment.last_ns))


def order(one: Clock, one_ns: int, two: Clock, two_ns: int) -> str:
    """Which of two records came first, by readings of their trace clocks: ``before``, ``after`` or ``unknown``.

    Clocks of one start of one kernel are compared directly; others only beyond the bounds of both.
    """
    if one.boot_id and one.boot_id == two.boot_id and one.name == two.name and one.name in SHARED:
        return "before" if one_ns < two_ns else "after" if one_ns > two_ns else "unknown"
    first, second = moment(one, one_ns), moment(two, two_ns)
    if first is None or second is None:
        return "unknown"
    bounds = _total(one, first), _total(two, second)
    if bounds[0] is None or bounds[1] is None:
        return "unknown"
    gap = second.realtime_ns - first.realtime_ns
    if abs(gap) <= bounds[0] + bounds[1]:
        return "unknown"
    return "before" if gap > 0 else "after"


def _total(clock: Clock, found: Moment) -> int | None:
    """The bound against true time, in nanoseconds; None: unknown."""
    return None if found.bound_ns is None or clock.error_ns is None else found.bound_ns + clock.error_ns
