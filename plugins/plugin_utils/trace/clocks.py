# SPDX-License-Identifier: GPL-3.0-or-later
"""Trace clocks and the clock of day: pairs of readings, and what lies between them.

``clocks.jsonl`` of a host has one JSON object on each line:

* a pair: ``{"when": "begin|during|end", "clock": "boot", "trace_ns": …, "realtime_ns": …, "uncertainty_ns": …}``:
  when the trace clock showed ``trace_ns``, the clock of day (nanoseconds since 1970) was within
  ``uncertainty_ns`` of ``realtime_ns``;
* ``{"boot_id": "…"}``: which start of which kernel the trace clock belongs to;
* ``{"chrony": {…}}``: what chrony says of the clock of day, with ``error_ns``, its bound of the error (null: none).

Two ways lead to a pair (``sh/clocks.sh``).  ``/proc/timer_list`` gives the offsets that the kernel itself adds to
its monotonic clock, so the difference of two clocks is exact.  Otherwise marks are written into a trace buffer
before and after a reading of the clock of day: the difference is between the two, and narrowest of some tries.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ..base.errors import ForeignError

TIMERS_NS = 10_000
"""Uncertainty of a pair from timer_list.  The offsets are exact; trace clocks read the clock without its lock and
may differ from it while the kernel corrects its rate: at most 500 ppm over a tick of 10 ms, doubled."""

PREFERRED = ("boot", "mono", "tai", "global")
"""Trace clocks, best first.  ``boot`` and ``mono`` never jump; ``tai`` jumps whenever the clock of day is set;
``global`` is the best of old kernels."""

SHARED = frozenset({"boot", "mono", "tai", "mono_raw", "global"})
"""Trace clocks that all CPUs of a machine share, so that their readings order records of different CPUs."""

WHEN = ("begin", "during", "end")

_SECOND = 10**9
_NUMBER = re.compile(r"-?\d{1,19}\Z")
_CLOCK = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_BOOT_ID = re.compile(r"[0-9a-f-]{36}\Z")
_MARK = re.compile(r"(\d{1,10})\.(\d{6}):(?:mark(\d{1,3})|(\d{10}|\d{19}))N?\Z")


class ClockPair(NamedTuple):
    """The two clocks at one moment, in nanoseconds."""

    when: str
    clock: str
    trace_ns: int
    realtime_ns: int
    uncertainty_ns: int

    @property
    def offset_ns(self) -> int:
        """What is added to the trace clock to get the clock of day."""
        return self.realtime_ns - self.trace_ns


def take(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Lines that ``sh/clocks.sh`` printed -> objects for clocks.jsonl.  A line that makes no sense gives nothing."""
    found: list[dict[str, Any]] = []
    for line in lines:
        words = line.split(" ", 3)
        if words[0] != "clocks" or len(words) < 3:
            continue
        if words[1] == "boot_id" and _BOOT_ID.match(words[2]):
            found.append({"boot_id": words[2]})
        elif words[1] == "chrony":
            chrony = _chrony(line[len("clocks chrony ") :])
            found += [{"chrony": chrony}] if chrony else []
        elif words[1] in WHEN and len(words) == 4 and _CLOCK.match(words[2]):
            pair = _pair(words[1], words[2], words[3].split())
            found += [pair._asdict()] if pair else []
    return found


def dump(objects: Iterable[dict[str, Any]]) -> str:
    """The text of clocks.jsonl, to be appended to what is there."""
    return "".join(json.dumps(one, sort_keys=True) + "\n" for one in objects)


def _pair(when: str, clock: str, words: Sequence[str]) -> ClockPair | None:
    if words[:1] == ["timers"] and len(words) == 4 and all(_NUMBER.match(word) for word in words[1:]):
        now, realtime, trace = (int(word) for word in words[1:])
        return ClockPair(when, clock, now + trace, now + realtime, TIMERS_NS)
    if words[:1] == ["marks"]:
        return _from_marks(when, clock, words[1:])
    return None


def _from_marks(when: str, clock: str, words: Sequence[str]) -> ClockPair | None:
    """Marks ``SECONDS.MICROS:markN`` and after each a reading ``SECONDS.MICROS:READING`` -> the pair they allow.

    The clock of day showed READING (without nanoseconds: up to a second more) after the mark was written and
    before the reading was; times of marks are cut to microseconds.
    """
    low: int | None = None
    high: int | None = None
    last: int | None = None
    began = 0
    for word in words:
        found = _MARK.match(word)
        if not found:
            continue
        at = (int(found[1]) * 10**6 + int(found[2])) * 1000
        if found[3]:
            last, began = at, began or at
        elif last is not None:
            whole = len(found[4]) == 19
            reading = int(found[4]) if whole else int(found[4]) * _SECOND
            lower, upper = reading - (at + 999), reading + (0 if whole else _SECOND) - last
            low = lower if low is None else max(low, lower)
            high = upper if high is None else min(high, upper)
            last = None
    if low is None or high is None or low > high:
        return None
    middle = (low + high) // 2
    return ClockPair(when, clock, began, began + middle, high - middle)


def _chrony(text: str) -> dict[str, Any] | None:
    """A line of ``chronyc -c tracking``.  chrony's manual bounds the error of the clock of day by
    the offset still to be corrected + root dispersion + half the root delay."""
    fields = text.strip().split(",")
    if len(fields) < 14:
        return None
    try:
        stratum, offset, delay, dispersion = int(fields[2]), *(float(fields[at]) for at in (4, 10, 11))
    except ValueError:
        return None
    if not all(math.isfinite(value) and abs(value) < 1e6 for value in (offset, delay, dispersion)):
        return None
    synchronised = fields[13] in ("Normal", "Insert second", "Delete second") and 0 < stratum < 16
    local = fields[0] in ("", "00000000", "7F7F0101")
    error = math.ceil(round((abs(offset) + dispersion + delay / 2) * _SECOND, 3))
    return {
        "stratum": stratum, "offset_s": offset, "root_delay_s": delay, "root_dispersion_s": dispersion,
        "leap": re.sub(r"[^A-Za-z ]", "?", fields[13])[:20], "error_ns": error if synchronised and not local else None,
    }


class Segment(NamedTuple):
    """Between two pairs the offset goes from ``offset_ns`` by ``change_ns`` within ``span_ns`` of the trace clock.

    ``first_ns`` and ``last_ns`` are the uncertainties at its ends; None: before the first pair, or after the last.
    """

    from_ns: int
    span_ns: int
    offset_ns: int
    change_ns: int
    first_ns: int | None
    last_ns: int | None


START = -(1 << 62)
"""Before every reading of a trace clock."""


@dataclass(frozen=True)
class Clock:
    """The trace clock of one machine.  ``error_ns``: bound of its clock of day against true time, None: unknown."""

    name: str
    pairs: tuple[ClockPair, ...]
    boot_id: str = ""
    error_ns: int | None = None

    @cached_property
    def segments(self) -> list[Segment]:
        """What is known of the offset, from the earliest time to the latest; empty without a pair."""
        if not self.pairs:
            return []
        first, last = self.pairs[0], self.pairs[-1]
        found = [Segment(START, 1, first.offset_ns, 0, None, None)]
        for one, two in zip(self.pairs, self.pairs[1:], strict=False):
            found.append(
                Segment(
                    one.trace_ns, two.trace_ns - one.trace_ns, one.offset_ns, two.offset_ns - one.offset_ns,
                    one.uncertainty_ns, two.uncertainty_ns,
                )
            )
        return [*found, Segment(last.trace_ns + 1, 1, last.offset_ns, 0, None, None)]

    def summary(self) -> dict[str, Any] | None:
        """What a report shows; None without a pair."""
        if not self.pairs:
            return None
        inner = self.segments[1:-1]
        bounds = [abs(one.change_ns) + max(one.first_ns or 0, one.last_ns or 0) for one in inner]
        return {
            "clock": self.name,
            "pairs": len(self.pairs),
            "offset_ns": self.pairs[0].offset_ns,
            "drift_ns": self.pairs[-1].offset_ns - self.pairs[0].offset_ns,
            "bound_ns": max(bounds) if bounds else None,
            "error_ns": self.error_ns,
        }


def parse(text: str) -> Clock:
    """Read clocks.jsonl.  Raises ForeignError naming the line."""
    pairs: list[ClockPair] = []
    boots: set[str] = set()
    errors: list[int | None] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
            if "chrony" in one:
                errors.append(_whole(one["chrony"]["error_ns"]) if one["chrony"]["error_ns"] is not None else None)
            elif "boot_id" in one:
                boots.add(str(one["boot_id"]))
            else:
                numbers = [_whole(one[name]) for name in ClockPair._fields[2:]]
                pairs.append(ClockPair(str(one["when"]), str(one["clock"]), numbers[0], numbers[1], numbers[2]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ForeignError(f"line {number}: not a reading of clocks: {type(error).__name__}: {error}") from None
    names = {pair.clock for pair in pairs}
    if len(names) > 1:
        raise ForeignError(f"readings of several trace clocks: {', '.join(sorted(names))}; a trace has one")
    if len(boots) > 1:
        raise ForeignError("readings of several starts of the kernel: the host was started anew, and so was its clock")
    known = [error for error in errors if error is not None]
    error_ns = max(known) if known and len(known) == len(errors) else None
    return Clock(names.pop() if names else "", _ordered(pairs), "".join(boots), error_ns)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= abs(value) < 1 << 62:
        raise ValueError(f"{str(value)[:40]!r} is not a number of nanoseconds")
    return value


def _ordered(pairs: Iterable[ClockPair]) -> tuple[ClockPair, ...]:
    """Pairs by their trace time; of two at the same time the narrower."""
    best: dict[int, ClockPair] = {}
    for pair in sorted(pairs, key=lambda pair: -pair.uncertainty_ns):
        best[pair.trace_ns] = pair
    return tuple(best[at] for at in sorted(best))


def same_machine(clocks: Sequence[Clock]) -> Clock:
    """One clock from the readings of several hosts that are one machine (the same boot_id)."""
    errors = [clock.error_ns for clock in clocks if clock.error_ns is not None]
    pairs = _ordered(pair for clock in clocks for pair in clock.pairs)
    return Clock(clocks[0].name, pairs, clocks[0].boot_id, min(errors) if errors else None)


def seconds(time_ns: int) -> str:
    """A time of the trace clock, cut to microseconds."""
    return f"{time_ns // 10**9}.{time_ns % 10**9 // 1000:06d} s"


def up_to(time_ns: int | None) -> str:
    """``, up to 12.000345 s``; nothing where no record came."""
    return "" if time_ns is None else f", up to {seconds(time_ns)} of the trace clock"
