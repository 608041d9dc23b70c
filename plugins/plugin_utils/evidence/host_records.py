# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of one host in a run -> the rows of the table, from whichever files there are.

What is below ``raw/`` is preferred to ``trace.txt``: pages of the ring buffer have nanoseconds and the values of all
pointers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..base.errors import ForeignError, about
from ..base.files import read_file, read_json
from ..base.packages import need
from ..trace import collected, rows
from .patched import parse_report

_PRINTED = "trace.txt"
"""The kernel's text of a verify."""
_MAX_FILE = 64 << 20
"""Bytes of the largest file beside the trace that is read."""


@dataclass
class HostRecords:
    """The trace of one host, and what its rows say beside it.

    ``problems`` are complete when the batches have been read to their end: what of the trace is not a row.
    """

    trace: collected.Collected
    system: str
    origin: rows.Origin
    problems: list[str]

    def batches(self) -> Iterator[rows.pa.RecordBatch]:
        """All rows, in bounded memory.  Raises ForeignError."""
        trace = self.trace
        with about(trace.directory):
            yield from trace.batches(self.origin)
        if trace.unreadable:
            bad = trace.unreadable[0]
            self.problems.append(
                f"{trace.printed}: {trace.unreadable_count} lines are not records, the first is line {bad.line}: "
                f"{bad.reason}"
            )
        if trace.printed and (lost := sum(cpu.missed for cpu in trace.cpus.values())):
            self.problems.append(f"{trace.printed}: the kernel says that {lost} records are lost")


def find(directory: str, host: str) -> HostRecords:
    """See what there is of one host.

    Raises ForeignError when there is no trace, or no release of the kernel; KedrError without NumPy and pyarrow.
    """
    need("numpy", "pyarrow")
    there = os.path.isfile(os.path.join(directory, _PRINTED))
    if not there and not collected.brought(directory):
        raise ForeignError(f"{directory}: no trace of this host: no records below raw/, and no {_PRINTED}")
    facts = read_json(os.path.join(directory, "facts.json"))
    kernel, system = facts.get("release"), facts.get("system")
    if not isinstance(kernel, str) or not kernel:
        raise ForeignError(f"{directory}/facts.json: no release of the kernel")
    problems: list[str] = []
    known: dict[str, str] = {}
    when: dict[str, str] = {}
    try:
        when = moments(directory)
        known = call_sites(directory)
    except ForeignError as error:
        problems = [f"{error}; no call site is known"]
    with about(directory):
        trace = collected.read(directory, _PRINTED if there else "")
    origin = rows.Origin(host, kernel, known, when)
    return HostRecords(trace, system if isinstance(system, str) else "", origin, problems)


def call_sites(directory: str) -> dict[str, str]:
    """{event: ``TARGET:AREA+0xOFFSET``} of the events whose function was patched at exactly one place.

    Nothing when the host has no report of the controller.  Raises ForeignError.
    """
    if not all(os.path.isfile(os.path.join(directory, name)) for name in ("sites.txt", "payloads.json")):
        return {}
    with about(os.path.join(directory, "sites.txt")):
        reports = parse_report(_read(directory, "sites.txt"))
    places: dict[str, list[str]] = {}
    for report in reports.values():
        for site in report.sites:
            places.setdefault(site.symbol, []).append(f"{report.target}:{site.area}+0x{site.offset:x}")
    found = {}
    for name, event in _planned(directory):
        symbol = event.get("symbol")
        if isinstance(symbol, str) and len(places.get(symbol, ())) == 1:
            found[name] = places[symbol][0]
    return found


def moments(directory: str) -> dict[str, str]:
    """{event: before or after} of the events of payloads: are they recorded before or after the call?

    After, where the plan of the payloads does not say.  Nothing when the host has no plan.  Raises ForeignError.
    """
    if not os.path.isfile(os.path.join(directory, "payloads.json")):
        return {}
    return {name: "before" if event.get("moment") == "before" else "after" for name, event in _planned(directory)}


def _planned(directory: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of the payloads of a host: (name, what the plan says of it).  Raises ForeignError."""
    for plan in read_json(os.path.join(directory, "payloads.json"), list):
        for event in plan.get("events", ()) if isinstance(plan, dict) else ():
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                yield event["event"], event


def _read(directory: str, name: str) -> str:
    return read_file(os.path.join(directory, name), _MAX_FILE).decode("utf-8", "replace")
