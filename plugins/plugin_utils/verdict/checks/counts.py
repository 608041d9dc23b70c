# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts of a verify: those of the ring buffer (``stats.txt``) and the payloads' own (``calls.json``)."""

from collections.abc import Mapping
from typing import Any

from ...base.errors import ForeignError, about
from ...evidence import counters
from ...trace.stats import parse_stats
from ..case import MAX_NAMED, Case, data_of, number

STATS, CALLS = "stats.txt", "calls.json"


def ring_buffer(case: Case) -> None:
    """Are there counts of every CPU, and do they say that no record is lost?"""
    with about(STATS):
        stats = parse_stats(case.text(STATS))
    cpus = case.facts.get("cpus")
    if not isinstance(cpus, int) or isinstance(cpus, bool) or cpus < 1:
        raise ForeignError("no number 'cpus': it is not known of how many CPUs there must be records", "facts.json")
    if len(stats) < cpus:
        raise ForeignError(f"counts of {len(stats)} CPUs, the host has {cpus}", STATS)
    case.stats, case.lost = stats, sum(count.lost for count in stats.values())
    for cpu, count in sorted(stats.items()):
        if count.lost:
            how = f"commit overrun {count.commit_overrun}, dropped events {count.dropped or 0}"
            case.add("fail", STATS, f"cpu{cpu} lost {count.lost} records: overrun {count.overrun}, {how}")
        if count.read:
            case.add("fail", STATS, f"cpu{cpu}: {count.read} records were taken out by another reader")
    if not case.lost:
        total = sum(count.entries for count in stats.values())
        case.add("ok", STATS, f"{total} records on {len(stats)} CPUs, none lost")


def read_calls(case: Case) -> dict[str, int]:
    """Return how often the payloads say that they were called, by ``module/event``.  Raises ForeignError."""
    with about(CALLS):
        return counters.check(case.json(CALLS, dict))


def calls(case: Case) -> None:
    """Are there as many records as the payloads say that their functions were called?"""
    if not case.plans:
        return
    expected = max((_counters(step) for step in case.steps), default=0)
    counts = read_calls(case) if expected else {}
    if len(counts) < expected:
        raise ForeignError(f"counts of {len(counts)} events, {expected} were read", CALLS)
    if case.whole:
        _compare(case, counts)


def _counters(step: Mapping[str, Any]) -> int:
    """How many counters a step read."""
    if step["step"] != "collect" or step["status"] != "ok":
        return 0
    return int(number(data_of(step).get("counters")))


def _compare(case: Case, counts: Mapping[str, int]) -> None:
    planned = {event["event"]: (f"{module}/{event['event']}", event) for module, event in case.planned()}
    case.calls = {event: counts[key] for event, (key, _plan) in planned.items() if key in counts}
    wrong = [event for event, count in case.calls.items() if count != case.events[event]]
    for event in wrong:
        plan = planned[event][1]
        function, moment = plan["function"], str(plan.get("moment") or "after")
        case.add("fail", CALLS, counters.difference(function, case.calls[event], case.events[event], moment))
    if case.calls and not wrong:
        text = f"the payloads count as many calls as there are records: {sum(case.calls.values())}"
        case.add("ok", CALLS, text)
    silent = [event for event in planned if event not in case.calls]
    if silent:
        text = f"no payload counts the calls of {', '.join(silent[:MAX_NAMED])}: not compared"
        case.add("note", CALLS, text)
