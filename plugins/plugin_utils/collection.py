# SPDX-License-Identifier: GPL-3.0-or-later
"""What a collection brought home from one host -> counts that add up, and rows of the table of records.

Reads the files that ``stream`` wrote.  The identity that must hold on each CPU:
records generated = records read + overrun + commit overrun + dropped + left in the buffer
(``per_cpu/cpuN/stats`` of the kernel), and the records read are those that the pages hold.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils import records, ringbuffer, trace

CHUNK_PAGES = 2048
"""Pages that are looked at together."""
MAX_LOSSES = 20
"""Places of loss that are kept for each CPU; all losses are counted."""

_PAGES = re.compile(r"cpu(\d{1,5})\.pages(\.part)?\Z")


class CollectionError(Exception):
    """A file of the collection that is missing or cannot be used.  The text names it and says why."""


class Loss(NamedTuple):
    """A hole in the trace of one CPU: ``records`` (0: the kernel did not say how many) between two times."""

    records: int
    after_ns: int
    before_ns: int


@dataclass
class Cpu:
    """One CPU of one host.  ``stats`` is None when the host died before it could say."""

    number: int
    decoded: int = 0
    missed: int = 0
    whole: bool = False
    losses: list[Loss] = field(default_factory=list)
    first_ns: int | None = None
    last_ns: int | None = None
    stats: trace.CpuStats | None = None

    @property
    def generated(self) -> int | None:
        """Records that the events of this CPU made, as the ring buffer counts them."""
        if self.stats is None:
            return None
        return (self.stats.read or 0) + self.stats.lost + self.stats.entries

    def differences(self) -> list[str]:
        """Where the counts do not add up; nothing when they do."""
        if self.stats is None:
            return [f"cpu{self.number}: the host sent no counts: {self.decoded} records came, more is not known"]
        found = []
        if self.stats.entries:
            found.append(f"cpu{self.number}: {self.stats.entries} records were left in the buffer")
        if self.stats.read is not None and self.stats.read != self.decoded:
            found.append(f"cpu{self.number}: {self.decoded} records came, the kernel handed out {self.stats.read}")
        if not self.whole:
            found.append(f"cpu{self.number}: the stream has no end")
        return found


@dataclass
class Collected:
    """All CPUs of one host, and what is needed to read their pages."""

    directory: str
    layout: ringbuffer.PageLayout
    layouts: dict[int, records.Layout]
    comms: dict[int, str]
    cpus: dict[int, Cpu]

    def pages(self, cpu: Cpu) -> Iterator[ringbuffer.Walk]:
        """The pages of one CPU, some at a time.  Raises CollectionError."""
        path = os.path.join(self.directory, "raw", f"cpu{cpu.number}.pages" + ("" if cpu.whole else ".part"))
        size = CHUNK_PAGES * self.layout.size
        try:
            with open(path, "rb") as stream:
                while data := stream.read(size):
                    yield ringbuffer.walk(data[: len(data) - len(data) % self.layout.size], self.layout)
        except OSError as error:
            raise CollectionError(f"{path}: {error.strerror or error}") from None
        except ringbuffer.PageError as error:
            raise CollectionError(f"{path}: {error}") from None

    def count(self) -> None:
        """Look at every page: count records, and find out where some were lost."""
        for cpu in self.cpus.values():
            for walk in self.pages(cpu):
                _count(cpu, walk)

    def batches(self, origin: records.Origin) -> Iterator[records.pa.RecordBatch]:
        """All records as rows, CPU by CPU, some pages at a time."""
        for cpu in self.cpus.values():
            for walk in self.pages(cpu):
                if len(walk.at):
                    yield records.batch(walk, cpu.number, self.layouts, self.comms, origin)


def _count(cpu: Cpu, walk: ringbuffer.Walk) -> None:
    cpu.decoded += len(walk.at)
    for page in (walk.missed != 0).nonzero()[0]:
        count = max(0, int(walk.missed[page]))
        cpu.missed += max(1, count)
        if len(cpu.losses) < MAX_LOSSES:
            inside = walk.time[walk.page == page]
            before = walk.time[walk.page < page]
            after = int(before[-1]) if len(before) else (cpu.last_ns or 0)
            cpu.losses.append(Loss(count, after, int(inside[0]) if len(inside) else after))
    if len(walk.time):
        cpu.first_ns = int(walk.time[0]) if cpu.first_ns is None else cpu.first_ns
        cpu.last_ns = int(walk.time[-1])


def read(directory: str) -> Collected:
    """Read what describes a host's pages.  Raises CollectionError when a file is missing or unusable."""
    try:
        layout = ringbuffer.parse_header_page(_text(directory, "header.txt"))
        layouts = records.parse_layouts(_text(directory, "formats.txt"))
    except (ringbuffer.PageError, records.RecordError, trace.TraceError) as error:
        raise CollectionError(str(error)) from None
    cpus: dict[int, Cpu] = {}
    raw = os.path.join(directory, "raw")
    for name in sorted(os.listdir(raw)) if os.path.isdir(raw) else ():
        found = _PAGES.fullmatch(name)
        if found:
            cpus[int(found[1])] = Cpu(int(found[1]), whole=found[2] is None)
    stats: dict[int, trace.CpuStats] = {}
    comms: dict[int, str] = {}
    if os.path.exists(os.path.join(directory, "stats.txt")):
        try:
            stats = trace.parse_stats(_text(directory, "stats.txt"))
        except trace.TraceError as error:
            raise CollectionError(f"stats.txt: {error}") from None
        comms = _comms(_text(directory, "comms.txt"))
    for number, counts in stats.items():
        cpus.setdefault(number, Cpu(number, whole=True)).stats = counts
    return Collected(directory, layout, layouts, comms, dict(sorted(cpus.items())))


def _text(directory: str, name: str) -> str:
    try:
        with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError as error:
        raise CollectionError(f"{name}: {error.strerror or error}") from None


def _comms(text: str) -> dict[int, str]:
    """``saved_cmdlines``: lines of a thread's number and its name."""
    pairs = (line.partition(" ") for line in text.splitlines())
    return {int(pid): name for pid, _space, name in pairs if pid.isdigit() and len(pid) < 10}
