# SPDX-License-Identifier: GPL-3.0-or-later
"""A case and its verdict -> the entry of the host in results.json, or in watch.json (see ``schemas/``)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..base.errors import ForeignError
from ..base.foreign import plain
from ..base.rundir import ROW_KEYS
from ..trace import clocks
from .case import MAX_NAMED, Case, Decision, number, one_line

if TYPE_CHECKING:  # it imports NumPy, which an entry of results.json does not need
    from ..trace.collected import Cpu

_YEAR_9999 = 253402300800 - 1e9
"""Seconds from 1970 to the end of the year 9999, less the longest step."""
_CHECKS = {"ok": True, "fail": False, "missing": False}


def _tested(case: Case) -> dict[str, str]:
    """What was tested, as the entries of all kinds of run begin."""
    return {
        "host": plain(case.name, 255),
        "system": plain(case.facts.get("system") or case.info.get("system") or "", 100),
        "kernel": plain(case.facts.get("release") or "", 100),
        "arch": plain(case.facts.get("machine") or "", 40),
    }


def of_verify(case: Case, decision: Decision, reproduce: str) -> dict[str, Any]:
    """Return the entry of a host of a verify; ``reproduce`` is the command that repeats it."""
    steps = _steps(case)
    return {
        **_row(case.info.get("row")),
        **_tested(case),
        "compiler": plain(case.facts.get("compiler") or "", 200),
        "target": plain(case.expect.target, 100),
        "verdict": decision.verdict,
        "reason": plain(decision.reason, 1000),
        "events": {plain(name, 200): count for name, count in sorted(case.events.items())},
        "sites": {plain(name, 200): counts for name, counts in sorted(case.sites.items())},
        "unreached": {plain(name, 200): counts for name, counts in sorted(case.unreached.items())},
        "lost": case.lost,
        "splats": [plain(text, 300) for text in case.splats[: 2 * MAX_NAMED]],
        "durations": {one["step"]: one["seconds"] for one in steps},
        "steps": steps,
        "finished": _finished(case),
        "reproduce": reproduce,
        "round_trips": int(sum(number(step.get("round_trips")) for step in case.steps)),
        "unresolved": [
            {"function": plain(item["function"], 200), "tried": [plain(name, 200) for name in item["tried"]]}
            for item in case.unresolved()
        ],
        "evidence": [
            {"outcome": one.outcome, "source": plain(one.source, 200), "text": plain(one.text, 1000)}
            for one in case.findings
        ],
        "console": [plain(line, 300) for line in case.console],
    }


def _row(row: Any) -> dict[str, Any]:
    """The row of data/systems.yml that the host is: ``{"row": {...}}``, or nothing for another host."""
    if not isinstance(row, dict) or not row.get("name"):
        return {}
    kept = {key: plain(row.get(key) or "", 300) for key in ROW_KEYS}
    return {"row": {key: text for key, text in kept.items() if text or key != "variant"}}


def _steps(case: Case) -> list[dict[str, Any]]:
    """One entry for each step in the order in which they began; the first record that is not ok stands for its step."""
    entries: dict[str, dict[str, Any]] = {}
    for step in case.steps:
        name = plain(step["step"], 40)
        entry = entries.setdefault(name, {"step": name, "status": "ok", "seconds": 0.0, "reason": ""})
        entry["seconds"] = round(entry["seconds"] + number(step.get("seconds")), 3)
        if entry["status"] == "ok" and step["status"] != "ok":
            entry.update(status=step["status"], reason=plain(one_line(step.get("reason")), 1000))
    return list(entries.values())


def _finished(case: Case) -> str:
    """When the last step ended: ``2026-01-31T23:59:59Z``; nothing where no step was recorded."""
    ends = [number(step.get("seconds")) + number(step.get("started"), _YEAR_9999) for step in case.steps]
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(ends))) if ends else ""


def of_watch(case: Case, decision: Decision) -> dict[str, Any]:
    """Return the entry of a host of a watch."""
    came = case.collected
    if came and came.decoded and decision.verdict not in ("OK", "SKIP"):
        more = f" ({came.decoded} records came{clocks.up_to(came.last_ns)})"
        decision = decision._replace(reason=decision.reason + more)
    return {
        **_tested(case),
        "verdict": decision.verdict,
        "reason": plain(decision.reason, 1000),
        "records": came.decoded if came else 0,
        "lost": came.lost if came else 0,
        "checks": [
            {"name": plain(one.source, 200), "ok": _CHECKS[one.outcome], "text": plain(one.text, 1000)}
            for one in case.findings
            if one.outcome in _CHECKS
        ],
        "notes": [plain(f"{one.source}: {one.text}", 1200) for one in case.findings if one.outcome == "note"],
        "cpus": [_cpu(cpu) for cpu in came.cpus.values()] if came else [],
        "events": _events(case),
        "clock": _clock(case),
        "console": [plain(line, 300) for line in case.console],
    }


def _cpu(cpu: Cpu) -> dict[str, Any]:
    stats = cpu.stats
    return {
        "cpu": cpu.number, "generated": cpu.generated, "read": cpu.read, "decoded": cpu.decoded, "missed": cpu.missed,
        "overrun": stats.overrun if stats else None, "commit_overrun": stats.commit_overrun if stats else None,
        "dropped": (stats.dropped or 0) if stats else None, "left": stats.entries if stats else None,
        "losses": [loss._asdict() for loss in cpu.losses], "first_ns": cpu.first_ns, "last_ns": cpu.last_ns,
    }  # fmt: skip


def _events(case: Case) -> dict[str, dict[str, int | None]]:
    """By name of the event, how often the payloads were called and how many records came."""
    recorded = case.collected.recorded if case.collected else {}
    names = [(event["event"], f"{module}/{event['event']}") for module, event in case.planned()]
    return {
        plain(event, 200): {"counted": (case.counts or {}).get(name), "recorded": recorded.get(name, 0)}
        for event, name in names
    }


def _clock(case: Case) -> dict[str, Any] | None:
    """The trace clock of a host against the clock of day; None without readings that can be used."""
    try:
        return clocks.parse(case.text("clocks.jsonl")).summary()
    except ForeignError:
        return None
