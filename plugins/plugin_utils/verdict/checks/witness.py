# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own memory events (``witness.txt``): do they count as many calls as the payloads recorded?"""

from collections.abc import Mapping
from typing import Any

from ...base.errors import ForeignError, about
from ...evidence import witness
from ...trace.formats import EventFormat
from ...trace.stats import parse_stats
from ...trace.text import TraceReader, read_lines
from ..case import Case, data_of
from .trace import FORMATS, read_formats

NAME, STATS = "witness.txt", "witness_stats.txt"


def check(case: Case) -> None:
    """Compare what the payloads recorded with the kernel's own count of the same calls."""
    if not case.plans:
        return
    if not any(_has_events(step) for step in case.steps):
        case.add("note", "steps.jsonl", "no events of the kernel's own to compare the number of calls with")
        return
    if not case.whole:
        return
    with about(STATS):
        stats = parse_stats(case.text(STATS)).values()
    formats = read_formats(case)
    lost = sum(count.lost for count in stats)
    if lost:
        case.add("missing", STATS, f"{lost} of the kernel's own events are lost: not compared")
    elif not witness.names_places(formats):
        case.add("note", FORMATS, "the kernel's own events do not name where they come from: not compared")
    else:
        _compare(case, _count(case, formats, sum(count.entries for count in stats)))


def _has_events(step: Mapping[str, Any]) -> bool:
    return step["step"] == "trace" and step["status"] == "ok" and bool(data_of(step).get("witness"))


def _count(case: Case, formats: Mapping[str, list[EventFormat]], entries: int) -> witness.Witness:
    """Count the kernel's own events, which must be as many as ``entries``.  Raises ForeignError."""
    with case.open(NAME) as stream:
        reader = TraceReader(read_lines(stream), formats)
        found = witness.count(reader, case.expect.target)
    if reader.malformed_count or reader.lost:
        bad = reader.malformed[0].line if reader.malformed else 0
        raise ForeignError(f"line {bad} cannot be read", NAME)
    if reader.records != entries:
        raise ForeignError(f"{reader.records} records; {STATS} counts {entries}", NAME)
    return found


def _compare(case: Case, found: witness.Witness) -> None:
    equal: list[str] = []
    for module, event in case.planned():
        function = event["function"]
        if function not in witness.FUNCTIONS:
            continue
        recorded = case.events[event["event"]] - case.nothing[event["event"]]
        seen = found.replaced[module, function]
        if recorded != seen:
            text = f"{function}: {recorded} calls recorded, the kernel's own events count {seen}"
            case.add("fail", NAME, text)
        elif recorded:
            equal.append(f"{function} {recorded}")
    if equal:
        case.add("ok", NAME, f"the kernel's own events count as many calls: {', '.join(equal)}")
    for name, count in sorted(found.target.items()):
        case.add("note", NAME, f"{count} × {name} from {case.expect.target} itself, not seen by a payload")
