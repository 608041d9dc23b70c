# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of one host in a run -> the rows of the table, from whichever files there are.

Pages of the ring buffer (``raw/cpuN.pages``) are preferred to what the kernel printed (``raw/trace_pipe.txt`` of a
stream, ``trace.txt``): they have nanoseconds and the values of all pointers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..base.errors import ForeignError, about
from ..base.files import read_file, read_json
from ..trace import collected, rows, text
from ..trace.formats import parse_formats
from .patched import parse_report

_PAGES = re.compile(r"cpu\d{1,5}\.pages(?:\.part)?\Z")
_PRINTED = ("raw/trace_pipe.txt", "raw/trace_pipe.txt.part", "trace.txt")
_MAX_FILE = 64 << 20
"""Bytes of the largest file beside the trace that is read."""


@dataclass
class HostRecords:
    """What can be read of one host.  ``form`` is pages or text.

    ``problems`` are complete when the batches have been read to their end: what of the trace is no row.
    """

    directory: str
    host: str
    system: str
    kernel: str
    form: str
    printed: str = ""
    sites: dict[str, str] = field(default_factory=dict)
    moments: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def batches(self) -> Iterator[rows.pa.RecordBatch]:
        """All rows, in bounded memory.  Raises ForeignError."""
        origin = rows.Origin(self.host, self.kernel, self.sites, self.moments)
        with about(self.directory):
            yield from self._pages(origin) if self.form == "pages" else self._text(origin)

    def _pages(self, origin: rows.Origin) -> Iterator[rows.pa.RecordBatch]:
        yield from collected.read(self.directory).batches(origin)

    def _text(self, origin: rows.Origin) -> Iterator[rows.pa.RecordBatch]:
        formats = parse_formats(_read(self.directory, "formats.txt"))
        with open(os.path.join(self.directory, self.printed), "rb") as stream:
            reader = text.TraceReader(text.read_lines(stream), formats)
            yield from rows.text_batches(reader, formats, origin)
        if reader.malformed_count:
            bad = reader.malformed[0]
            self.problems.append(
                f"{self.printed}: {reader.malformed_count} lines are no records, the first is line {bad.line}: "
                f"{bad.reason}"
            )
        if reader.lost:
            self.problems.append(f"{self.printed}: the kernel says that {reader.lost} records are lost")


def find(directory: str, host: str) -> HostRecords:
    """See what there is of one host.  Raises ForeignError when there is no trace, or no release of the kernel."""
    raw = os.path.join(directory, "raw")
    pages = os.path.isdir(raw) and any(_PAGES.fullmatch(name) for name in os.listdir(raw))
    printed = next((name for name in _PRINTED if os.path.isfile(os.path.join(directory, name))), "")
    if not pages and not printed:
        raise ForeignError(f"{directory}: no trace of this host: neither raw/cpuN.pages nor {', '.join(_PRINTED)}")
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
    form = "pages" if pages else "text"
    return HostRecords(
        directory, host, system if isinstance(system, str) else "", kernel, form, printed, known, when, problems
    )


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
