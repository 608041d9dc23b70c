# SPDX-License-Identifier: GPL-3.0-or-later
"""The trace that came from one host: its CPUs, how many records each of them has, and rows of the table of records.

Pages of the ring buffer (``raw/cpuN.pages``), or where there are none the kernel's text (``raw/trace_pipe.txt``), with
what is needed to read them beside it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from ..base.errors import about
from . import pages, rows, text
from .formats import EventFormat, parse_formats
from .layouts import Layout, parse_layouts
from .stats import CpuStats, parse_stats

with contextlib.suppress(ImportError):
    import numpy as np

CHUNK = 8 << 20
"""Bytes of pages that are looked at together; no page is longer."""
MAX_LOSSES = 20
"""Places of loss that are kept for each CPU; all losses are counted."""

_PAGES = re.compile(r"cpu(\d{1,5})\.pages(\.part)?\Z")
TEXT = "trace_pipe.txt"
"""What the kernel printed, below ``raw``."""


class Loss(NamedTuple):
    """A hole in the trace of one CPU: ``records`` (0: the kernel did not say how many) between two times."""

    records: int
    after_ns: int
    before_ns: int


@dataclass
class Cpu:
    """One CPU of one host.  ``stats`` is None when the host died before it could say.

    ``decoded`` counts the records that came; ``missed`` those that the trace itself says are lost, each hole at least
    one; ``backwards`` those whose time is before that of the record before them, ``turned_ns`` has both times of the
    first of these.
    """

    number: int
    decoded: int = 0
    missed: int = 0
    whole: bool = False
    losses: list[Loss] = field(default_factory=list)
    first_ns: int | None = None
    last_ns: int | None = None
    stats: CpuStats | None = None
    backwards: int = 0
    turned_ns: tuple[int, int] = (0, 0)

    @property
    def read(self) -> int | None:
        """Records that the kernel handed out; a kernel that does not count them handed out those that came."""
        if self.stats is None:
            return None
        return self.decoded if self.stats.read is None else self.stats.read

    @property
    def lost(self) -> int:
        """Records that were generated and that nobody can read."""
        return self.stats.lost if self.stats else self.missed

    @property
    def generated(self) -> int | None:
        """Records that the events of this CPU made, as the ring buffer counts them."""
        read = self.read
        return None if self.stats is None or read is None else read + self.stats.lost + self.stats.entries

    def miss(self, hole: Loss) -> None:
        """Write down a hole."""
        self.missed += max(1, hole.records)
        if len(self.losses) < MAX_LOSSES:
            self.losses.append(hole)

    def turn_back(self, time_ns: int, before_ns: int | None) -> None:
        """Write down that time goes back, if it does."""
        if before_ns is not None and time_ns < before_ns:
            self.turned_ns = self.turned_ns if self.backwards else (before_ns, time_ns)
            self.backwards += 1


@dataclass
class Collected:
    """All CPUs of one host, and what is needed to read their records.

    ``printed`` names the kernel's text, and is empty where there are pages.  Counts are complete when ``batches`` or
    ``count`` has come to its end; ``recorded`` is by ``system/event``, ``unreadable`` has the first lines that are not
    records, of ``unreadable_count``.
    """

    directory: str
    cpus: dict[int, Cpu]
    printed: str = ""
    layout: pages.PageLayout | None = None
    layouts: dict[int, Layout] = field(default_factory=dict)
    formats: dict[str, list[EventFormat]] = field(default_factory=dict)
    comms: dict[int, str] = field(default_factory=dict)
    recorded: Counter[str] = field(default_factory=Counter)
    unreadable: list[text.Malformed] = field(default_factory=list)
    unreadable_count: int = 0

    @property
    def form(self) -> str:
        """Where the records are: pages or text."""
        return "text" if self.printed else "pages"

    @property
    def decoded(self) -> int:
        """Records that came."""
        return sum(cpu.decoded for cpu in self.cpus.values())

    @property
    def lost(self) -> int:
        """Records that were generated and that nobody can read."""
        return sum(cpu.lost for cpu in self.cpus.values())

    @property
    def last_ns(self) -> int | None:
        """Time of the last record that came."""
        return max((cpu.last_ns for cpu in self.cpus.values() if cpu.last_ns is not None), default=None)

    def count(self) -> None:
        """Look at every record without making rows.  Raises ForeignError."""
        if self.printed:
            for _record in self._lines():
                pass
            return
        for cpu in self.cpus.values():
            for walk in self._pages(cpu):
                self._count(cpu, walk)

    def batches(self, origin: rows.Origin) -> Iterator[rows.pa.RecordBatch]:
        """All records as rows, some at a time; counts them as well.  Raises ForeignError."""
        if self.printed:
            yield from rows.text_batches(self._lines(), self.formats, origin)
            return
        for cpu in self.cpus.values():
            for walk in self._pages(cpu):
                self._count(cpu, walk)
                if len(walk.at):
                    yield rows.batch(walk, cpu.number, self.layouts, self.comms, origin)

    def _pages(self, cpu: Cpu) -> Iterator[pages.Walk]:
        """The pages of one CPU, some at a time.  A page that was cut off is left out."""
        path = os.path.join(self.directory, "raw", f"cpu{cpu.number}.pages" + ("" if cpu.whole else ".part"))
        if self.layout is None or not os.path.exists(path):
            return
        with about(path), open(path, "rb") as stream:
            while data := stream.read(CHUNK):
                yield pages.walk(data[: len(data) - len(data) % self.layout.size], self.layout)

    def _count(self, cpu: Cpu, walk: pages.Walk) -> None:
        cpu.decoded += len(walk.at)
        for page in np.flatnonzero(walk.missed):
            here = int(np.searchsorted(walk.page, page))  # the first record that is not before the hole
            after = int(walk.time[here - 1]) if here else (cpu.last_ns or 0)
            before = int(walk.time[here]) if here < len(walk.time) else after
            cpu.miss(Loss(max(0, int(walk.missed[page])), after, before))
        if not len(walk.at):
            return
        cpu.first_ns = int(walk.time[0]) if cpu.first_ns is None else cpu.first_ns
        cpu.turn_back(int(walk.time[0]), cpu.last_ns)
        for place in np.flatnonzero(walk.time[1:] < walk.time[:-1]):
            cpu.turn_back(int(walk.time[place + 1]), int(walk.time[place]))
        cpu.last_ns = int(walk.time[-1])
        kinds = walk.data[walk.at].astype(np.int64) | walk.data[walk.at + 1].astype(np.int64) << 8
        for number, count in zip(*np.unique(kinds, return_counts=True), strict=True):
            layout = self.layouts.get(int(number))
            name = f"{layout.system}/{layout.event}" if layout else f"unknown_{number}"
            self.recorded[name] += int(count)

    def _lines(self) -> Iterator[text.Record]:
        """The records of the kernel's text; holes and lines that are not records are written down."""
        path = os.path.join(self.directory, self.printed)
        with about(path), open(path, "rb") as stream:
            reader = text.TraceReader(self._text_lines(stream), self.formats)
            for record in reader:
                cpu = self._cpu(record.cpu)
                for lost in reader.holes.pop(record.cpu, ()):
                    cpu.miss(Loss(lost, cpu.last_ns or 0, record.time_ns))
                cpu.decoded += 1
                cpu.first_ns = record.time_ns if cpu.first_ns is None else cpu.first_ns
                cpu.turn_back(record.time_ns, cpu.last_ns)
                cpu.last_ns = record.time_ns
                self.recorded[f"{record.system}/{record.event}"] += 1
                yield record
        for number, lost_here in reader.holes.items():
            cpu = self._cpu(number)
            for lost in lost_here:
                cpu.miss(Loss(lost, cpu.last_ns or 0, cpu.last_ns or 0))
        self.unreadable, self.unreadable_count = reader.malformed, reader.malformed_count

    def _cpu(self, number: int) -> Cpu:
        return self.cpus.setdefault(number, Cpu(number, whole=not self.printed.endswith(".part")))

    def _text_lines(self, stream: BinaryIO) -> Iterator[bytes]:
        """Lines of the text, without the last one of a stream that was cut off."""
        cut = self.printed.endswith(".part")
        for line in text.read_lines(stream):
            if line.endswith(b"\n") or len(line) >= text.MAX_LINE or not cut:
                yield line


def brought(directory: str) -> list[str]:
    """Return the names of the files below ``raw`` that hold records, whether in pages or as text."""
    raw = os.path.join(directory, "raw")
    names = sorted(os.listdir(raw)) if os.path.isdir(raw) else []
    return [name for name in names if _PAGES.fullmatch(name) or name in (TEXT, f"{TEXT}.part")]


def read(directory: str, otherwise: str = "") -> Collected:
    """Read what describes a host's records; ``otherwise`` names the text to read where no records are below ``raw``.

    Raises ForeignError when a file is missing or unusable.
    """
    names = brought(directory)
    printed = next((f"raw/{name}" for name in (TEXT, f"{TEXT}.part") if name in names), "" if names else otherwise)
    found = _read_text(directory, printed) if printed else _read_pages(directory, names)
    for number, counts in _stats(directory).items():
        # Of a CPU without a record there is no file.
        found.cpus.setdefault(number, Cpu(number, whole=True)).stats = counts
    if os.path.exists(os.path.join(directory, "comms.txt")):
        found.comms = text.thread_names(_content(directory, "comms.txt"))
    found.cpus = dict(sorted(found.cpus.items()))
    return found


def _read_pages(directory: str, names: Sequence[str]) -> Collected:
    layout = pages.parse_header_page(_text(directory, "header.txt"))
    layouts = parse_layouts(_text(directory, "formats.txt"))
    cpus: dict[int, Cpu] = {}
    for name in names:
        found = _PAGES.fullmatch(name)
        if found:
            cpus[int(found[1])] = Cpu(int(found[1]), whole=found[2] is None)
    return Collected(directory, cpus, layout=layout, layouts=layouts)


def _read_text(directory: str, printed: str) -> Collected:
    with about("formats.txt"):
        formats = parse_formats(_text(directory, "formats.txt"))
    return Collected(directory, {}, printed, formats=formats)


def _stats(directory: str) -> dict[int, CpuStats]:
    """The counts of the ring buffer; nothing when the host did not come to tell them."""
    if not os.path.exists(os.path.join(directory, "stats.txt")):
        return {}
    with about("stats.txt"):
        return parse_stats(_text(directory, "stats.txt"))


def _text(directory: str, name: str) -> str:
    return _content(directory, name).decode("utf-8", "replace")


def _content(directory: str, name: str) -> bytes:
    with about(name), open(os.path.join(directory, name), "rb") as stream:
        return stream.read()
