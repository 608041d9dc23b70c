# SPDX-License-Identifier: GPL-3.0-or-later
"""The trace of a verify (``trace.txt``): is every record there, and do the records show what is expected?"""

import os
from collections.abc import Mapping, Sequence

from ...base.errors import ForeignError, about
from ...evidence import witness
from ...evidence.rules import Rule, Selector, Tally
from ...trace.formats import EventFormat, parse_formats
from ...trace.stats import CpuStats
from ...trace.text import TraceReader, read_lines
from ..case import MAX_NAMED, Case

TRACE, FORMATS, STATS = "trace.txt", "formats.txt", "stats.txt"
Formats = Mapping[str, list[EventFormat]]


def read_formats(case: Case) -> Formats:
    """Return how the events of a host are printed.  Raises ForeignError."""
    with about(FORMATS):
        return parse_formats(case.text(FORMATS))


def check(case: Case) -> None:
    """Hold all records to the rules of what is expected, if all records are there."""
    if not case.plans:
        return
    formats = read_formats(case)
    absent = [event["event"] for _module, event in case.planned() if event["event"] not in formats]
    if absent:
        raise ForeignError(f"no format of {', '.join(absent[:MAX_NAMED])}", FORMATS)
    if not _fields_fit(case, formats):
        return
    tallies = [(rule, rule.begin()) for rule in case.expect.rules]
    with case.open(TRACE) as stream:
        reader = TraceReader(read_lines(stream), formats)
        _feed(case, reader, tallies)
    if _whole(case, reader):
        for rule, tally in tallies:
            _answer(case, rule, *tally.answer())


def _answer(case: Case, rule: Rule, outcome: str, text: str) -> None:
    why = "" if outcome == "ok" else f" ({rule.means} {_place(rule)}){_order_in_doubt(case, rule)}"
    case.add(outcome, TRACE, f"{rule.name}: {text}{why}")


def _order_in_doubt(case: Case, rule: Rule) -> str:
    """Why a rule about an order may fail without a fault: what gives something back is recorded after its call."""
    ends = {selector.event for selector in rule.giving_back()}
    late = {
        event["function"]
        for _module, event in case.planned()
        if event.get("moment") != "before" and event["event"] in ends
    }
    if not late or case.facts.get("cpus") == 1:
        return ""
    return f"; recorded after the call, when another CPU may have got the same already: {', '.join(sorted(late))}"


def _place(rule: Rule) -> str:
    return f"[{os.path.basename(rule.place.path)}:{rule.place.line}]"


def _feed(case: Case, reader: TraceReader, tallies: Sequence[tuple[Rule, Tally]]) -> None:
    takers: dict[str, list[tuple[Tally, Selector]]] = {}
    for rule, tally in tallies:
        for selector in rule.selectors():
            takers.setdefault(selector.event, []).append((tally, selector))
    for record in reader:
        case.events[record.event] += 1
        if record.fields.get("returnValue") == witness.ZERO_SIZE_PTR:
            case.nothing[record.event] += 1
        for tally, selector in takers.get(record.event, ()):
            takes = selector.takes(record)
            if takes is None:
                tally.unknown += 1
            elif takes:
                tally.see(record, selector)


def _fields_fit(case: Case, formats: Formats) -> bool:
    """Does every event that a rule names exist, and have the fields that the rule asks for?"""
    good = True
    optional = {f"called_{item['function']}" for item in case.unresolved()}
    for rule in case.expect.rules:
        for selector in rule.selectors():
            if selector.event in optional and selector.event not in formats:
                continue
            wrong = _unfit(selector, formats.get(selector.event, []))
            if wrong:
                case.add("missing", FORMATS, f"{rule.name}: {wrong} {_place(rule)}")
                good = False
    return good


def _unfit(selector: Selector, forms: Sequence[EventFormat]) -> str:
    """Why an event cannot be what a rule is about; nothing when it can."""
    known = [set(form.names) for form in forms]
    if not known:
        return f"no event {selector.event}"
    if not any(selector.fields() <= names for names in known):
        names = set().union(*known)
        wrong = ", ".join(sorted(selector.fields() - names))
        return f"{selector.event} has no field {wrong}; it has {', '.join(sorted(names))}"
    wrong = _wrong_type(selector, forms)
    return f"{selector.event}: {wrong}" if wrong else ""


def _wrong_type(selector: Selector, forms: Sequence[EventFormat]) -> str:
    """Why a condition can never hold, whatever is recorded: it compares a text with a number; nothing when it can."""
    for test in selector.conditions:
        kinds = {form.kinds[test.field] for form in forms if test.field in form.kinds}
        if kinds and not any((kind == "str") == (test.kind == "text") for kind in kinds):
            kind, advice = ("text", "write a text") if "str" in kinds else ("number", "write the number without quotes")
            return f"{test.field} is a {kind} in the trace and '{test.words}' never holds; {advice}"
    return ""


def _whole(case: Case, reader: TraceReader) -> bool:
    """Is every record there and readable?  Rules say nothing about a trace with holes."""
    before = len(case.findings)
    for bad in reader.malformed[:3]:
        case.add("missing", TRACE, f"line {bad.line} cannot be read ({bad.reason}): {bad.text}")
    if reader.malformed_count > 3:
        case.add("missing", TRACE, f"{reader.malformed_count} lines cannot be read in all")
    if reader.backwards:
        text = f"{reader.backwards} records are earlier than the one before them on the same CPU"
        case.add("missing", TRACE, f"{text}: the trace was altered, or its clock cannot be trusted")
    if reader.lost:
        case.lost = max(case.lost, reader.lost)
        case.add("fail", TRACE, f"the kernel says that {reader.lost} records or more are lost")
    if not reader.records:
        case.add("missing", TRACE, "no record at all")
    if reader.entries is not None and reader.entries != reader.records + reader.malformed_count:
        case.add("missing", TRACE, f"{reader.records} records; its heading promises {reader.entries}")
    if case.stats is not None:
        _check_cpus(case, reader, case.stats)
    case.whole = len(case.findings) == before
    if case.whole:
        case.add("ok", TRACE, f"{reader.records} records, every line read")
    return case.whole


def _check_cpus(case: Case, reader: TraceReader, stats: Mapping[int, CpuStats]) -> None:
    """Has each CPU as many records as the kernel counted there, and of the time that it tells?"""
    for cpu in sorted(set(stats) | set(reader.per_cpu)):
        found, promised = reader.per_cpu[cpu], stats[cpu].entries if cpu in stats else 0
        if promised != found:
            case.add("missing", TRACE, f"cpu{cpu}: {found} records; {STATS} counts {promised}")
        elif promised and not _in_time(stats[cpu], reader.earliest[cpu], reader.latest[cpu]):
            case.add("missing", TRACE, f"cpu{cpu}: records of a time at which {STATS} says there were none")


def _in_time(stats: CpuStats, first: int, last: int) -> bool:
    """Were the records written since the oldest page of the buffer was begun, and before it was looked at?

    A CPU may read the clock of another a little off, so a second more is allowed.
    """
    slack = 1_000_000_000
    return (stats.oldest or 0) <= first + slack and (stats.now is None or last <= stats.now + slack)
