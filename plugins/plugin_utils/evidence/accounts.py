# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of a watch: every record that was generated on a host has come, or is lost and counted.

The identity that must hold on each CPU:
records generated = records read + overrun + commit overrun + dropped + left in the buffer
(``per_cpu/cpuN/stats`` of the kernel), and the records read are those that came.  The ring buffer is not the only one
to say how many were generated: the payloads count their calls (``counters``), and the sum of their counts must be the
same.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from ..trace.clocks import seconds, up_to
from ..trace.collected import TEXT, Collected, Cpu
from . import counters
from .finding import Finding

MAX_NAMED = 10
"""Events that one sentence names."""


def account(
    collected: Collected, counts: Mapping[str, int] | None, events: Iterable[str], flight_recorder: bool,
    before: Container[str] = (),
) -> list[Finding]:
    """Do the counts of one host add up, and was anything lost?

    ``counts`` are those of the payloads (None: they did not come), ``events`` the events of the payloads, both by
    ``system/event``; ``before`` are those that are recorded before their call.  With ``flight_recorder`` the buffer
    overwrites its oldest records by choice: that loss is told and is not a failure.  ``collected`` must have been
    counted.
    """
    cpus = collected.cpus.values()
    found = [one for cpu in cpus for one in _differences(cpu)]
    if not collected.cpus:
        found.append(Finding("missing", "stats.txt", "no CPU has counts or records"))
    for bad in collected.unreadable[:3]:
        found.append(Finding("missing", f"raw/{TEXT}", f"line {bad.line} cannot be read ({bad.reason}): {bad.text}"))
    if not found:
        generated = sum(cpu.generated or 0 for cpu in cpus)
        text = f"{generated} records generated on {len(cpus)} CPUs, {collected.decoded} came, {collected.lost} lost"
        found.append(Finding("ok", "stats.txt", text))
    found += [one for cpu in cpus for one in _losses(cpu, flight_recorder)]
    return [*found, *_witness(collected, counts, list(events), before)]


def _differences(cpu: Cpu) -> list[Finding]:
    """Where the counts do not add up; nothing when they do."""
    name, stats = f"cpu{cpu.number}", cpu.stats
    found = [] if cpu.whole else [Finding("missing", "raw", f"{name}: the last records did not come")]
    if cpu.backwards:
        before, after = map(seconds, cpu.turned_ns)
        text = f"{name}: {cpu.backwards} records are earlier than the one before, the first {after} after {before}"
        found.append(Finding("missing", "raw", text))
    if stats is None:
        text = f"{name}: no counts of the ring buffer; {cpu.decoded} records came{up_to(cpu.last_ns)}"
        return [*found, Finding("missing", "stats.txt", text)]
    if stats.entries:
        text = f"{name}: {stats.entries} records were left in the buffer"
        found.append(Finding("missing", "stats.txt", text))
    if stats.read is not None and stats.read != cpu.decoded:
        text = f"{name}: {cpu.decoded} records came, the kernel handed out {stats.read}"
        found.append(Finding("fail" if cpu.whole else "missing", "raw", text))
    if cpu.missed > stats.lost:
        text = f"{name}: the trace says that {cpu.missed} records are lost, the ring buffer counts {stats.lost}"
        found.append(Finding("fail", "raw", text))
    return found


def _losses(cpu: Cpu, flight_recorder: bool) -> Iterator[Finding]:
    stats = cpu.stats
    if stats is None or not stats.lost:
        return
    parts = (("overrun", stats.overrun), ("commit overrun", stats.commit_overrun), ("dropped", stats.dropped or 0))
    how = ", ".join(f"{name} {count}" for name, count in parts if count)
    generated = cpu.generated or stats.lost
    text = f"cpu{cpu.number} lost {stats.lost} of {generated} records ({share(stats.lost, generated)}; {how})"
    by_choice = flight_recorder and stats.lost == stats.overrun
    text += _window(cpu) + (": overwritten by choice" if by_choice else "")
    yield Finding("note" if by_choice else "fail", "stats.txt", text)


def share(part: int, whole: int) -> str:
    """``1.25 %``; a loss is never 0 %, and less than everything never 100 %."""
    percent = 100 * part / whole if whole else 0.0
    if part and percent < 0.01:
        return "< 0.01 %"
    return "> 99.99 %" if part < whole and percent > 99.99 else f"{percent:.2f} %"


def _window(cpu: Cpu) -> str:
    """When a CPU lost records."""
    if cpu.losses:
        first, last = cpu.losses[0], cpu.losses[-1]
        more = f" in {len(cpu.losses)} holes" if len(cpu.losses) > 1 else ""
        return f" between {seconds(first.after_ns)} and {seconds(last.before_ns)} of the trace clock{more}"
    if cpu.first_ns is None:
        return ", at times that the kernel does not tell"
    return f" after {seconds(cpu.first_ns)} of the trace clock; the kernel does not tell when"


def _witness(
    collected: Collected, counts: Mapping[str, int] | None, events: Sequence[str], before: Container[str]
) -> Iterator[Finding]:
    """What the payloads' own counters, which count a call when it begins, say of how many records were generated."""
    if counts is None:
        yield Finding("missing", "calls.json", "the payloads' counts of their calls did not come")
        return
    silent = [event for event in events if event not in counts]
    if silent:
        names = ", ".join(silent[:MAX_NAMED])
        yield Finding("missing", "calls.json", f"no payload counts the calls of {names}: only the ring buffer does")
    wrong = False
    for event in events:
        made, came = counts.get(event), collected.recorded[event]
        if made is not None and (came > made or (came < made and not collected.lost)):
            wrong = True
            moment = "before" if event in before else "after"
            yield Finding("fail", "calls.json", counters.difference(event, made, came, moment))
    strange = sorted(set(collected.recorded) - set(events))
    if strange:
        names = ", ".join(f"{name} ({collected.recorded[name]})" for name in strange[:MAX_NAMED])
        yield Finding("fail", "raw", f"records of events that no payload has: {names}")
    if wrong or silent or strange:
        return
    total = sum(counts[event] for event in events)
    if total != collected.decoded + collected.lost:
        text = f"the payloads count {total} calls; {collected.decoded} records came and {collected.lost} are lost"
        yield Finding("fail", "calls.json", f"{text}: {total - collected.decoded - collected.lost} are unaccounted for")
    else:
        yield Finding("ok", "calls.json", f"the payloads count {total} calls: as many as records came or are lost")
