# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of records -> files that the Perfetto UI and trace_processor open, and the manifest that merges them.

A file of one host is a protobuf ``Trace`` (``protos/perfetto/trace/trace_packet.proto`` of Perfetto): a track for
each CPU, an instant for each record, its columns as annotations.  Times are those of the trace clock; snapshots of
the clocks relate them to the clock of day.  The manifest is Perfetto's own (``perfetto_manifest``, version 1): it
names the machines and takes the clock of day as the common time.  The numbers below are those of the fields.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote

from ..base.files import whole_file
from ..evidence import host_records
from ..trace import clocks
from . import hosts
from .format import Export, Format
from .hosts import HostDir

Row = Mapping[str, Any]
"""A row of the table: column -> value; a map column comes as pairs."""

BUILTIN = {"boot": 6, "mono": 3, "mono_raw": 5}
"""Trace clocks that are clocks of Perfetto."""
REALTIME, OTHER = 1, 128
"""The clock of day, and any other trace clock: a number that Perfetto leaves to the writer."""

BATCH = 10_000
"""Rows that are held as Python objects."""
MANIFEST = "perfetto_manifest.json"

_SEQUENCE = 1
_CLEARED, _NEEDED = 1, 2
_BEGIN, _END, _INSTANT = 1, 2, 3
_LOST = 1 << 20
"""Numbers of tracks from here on are those of what was lost."""
_APART = frozenset({"host", "kernel", "run", "system", "cpu", "time_ns", "event"})
"""Columns that are not annotations: they are the same for the file, or are the track, the time and the name."""
_SMALL = [bytes([value]) for value in range(0x80)]
_ADDRESSES = range(-(1 << 48), -(1 << 31))
"""Numbers whose topmost 16 bits are set and that are not small negative ones: shown as addresses in the kernel."""


def varint(value: int) -> bytes:
    """A number as protobuf packs it; negative ones as 64 bits of two's complement."""
    if 0 <= value < 0x80:
        return _SMALL[value]
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_KEYS = [varint(key) for key in range(1 << 10)]
"""What stands before a field: its number and its type."""


def number(field: int, value: int) -> bytes:
    """A field that holds a number."""
    return _KEYS[field << 3] + varint(value)


def data(field: int, content: bytes | str) -> bytes:
    """A field that holds text or another message."""
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
    return _KEYS[field << 3 | 2] + varint(len(raw)) + raw


_IN_SEQUENCE = number(13, _NEEDED)


class Writer:
    """Writes the file of one host to ``stream``; ``records`` counts."""

    def __init__(self, stream: BinaryIO, host: str, clock: clocks.Clock) -> None:
        self.records = 0
        self._stream = stream
        self._host = host
        self._clock = BUILTIN.get(clock.name, OTHER if clock.pairs else 0)
        self._names: dict[tuple[int, str], bytes] = {}
        self._tracks: dict[int, bytes] = {}
        self._drawn: set[int] = set()
        self._packet(number(13, _CLEARED) + self._defaults())
        for pair in clock.pairs:
            self._snapshot(pair)
        self._track(0, 0, host)

    def _packet(self, content: bytes) -> None:
        self._stream.write(data(1, content + number(10, _SEQUENCE)))

    def _defaults(self) -> bytes:
        return data(59, number(58, self._clock)) if self._clock else b""

    def _snapshot(self, pair: clocks.ClockPair) -> None:
        both = [(self._clock, pair.trace_ns), (REALTIME, pair.realtime_ns)]
        content = b"".join(data(1, number(1, clock) + number(2, time)) for clock, time in both)
        content += number(2, self._clock if self._clock != OTHER else REALTIME)
        self._packet(data(6, content))

    def _track(self, track: int, parent: int, name: str) -> None:
        """Describe a track; CPUs stand below the host, in their order."""
        place = number(5, self._uuid(parent)) + number(12, track) if track else number(11, 3)
        self._packet(data(60, number(1, self._uuid(track)) + data(2, name) + place))

    def _uuid(self, track: int) -> int:
        """Tracks of different files must differ."""
        return int(struct.unpack("<Q", hashlib.sha256(f"{self._host}\0{track}".encode()).digest()[:8])[0])

    def _name(self, kind: int, name: str, fresh: list[bytes]) -> bytes:
        """A name as an event (kind 2) or an annotation (3) refers to it; a new one is put into ``fresh``."""
        key = (kind, name)
        found = self._names.get(key)
        if found is None:
            at = len(self._names) + 1
            fresh.append(data(kind, number(1, at) + data(2, name)))
            found = self._names[key] = number(10 if kind == 2 else 1, at)
        return found

    def add(self, row: Row) -> None:
        """Write one record."""
        track = self._tracks.get(row["cpu"])
        if track is None:
            self._track(row["cpu"] + 1, 0, f"CPU {row['cpu']}")
            track = self._tracks[row["cpu"]] = number(9, _INSTANT) + number(11, self._uuid(row["cpu"] + 1))
        fresh: list[bytes] = []
        event = [track, self._name(2, row["event"], fresh)]
        for name, value in values(row):
            event.append(data(4, self._name(3, name, fresh) + _value(value)))
        content = number(8, row["time_ns"]) + _IN_SEQUENCE
        if fresh:
            content += data(12, b"".join(fresh))
        self._packet(content + data(11, b"".join(event)))
        self.records += 1

    def lost(self, cpu: int, records: int, after_ns: int, before_ns: int) -> None:
        """Draw a hole in the trace of a CPU, on a track of its own; ``records`` 0: nobody knows how many."""
        track = _LOST + cpu
        if track not in self._drawn:
            self._drawn.add(track)
            self._track(track, 0, f"CPU {cpu}: lost")
        name = f"{records} records lost" if records else "records lost"
        for time, event in ((after_ns, number(9, _BEGIN) + data(23, name)), (before_ns, number(9, _END))):
            self._packet(number(8, time) + _IN_SEQUENCE + data(11, event + number(11, self._uuid(track))))


def values(row: Row) -> Iterable[tuple[str, int | str | bool]]:
    """Columns and arguments of a record that have a value, by name."""
    for name, value in row.items():
        if name in _APART or value is None:
            continue
        if isinstance(value, (list, dict)):
            yield from ((key, one) for key, one in dict(value).items() if one is not None)
        else:
            yield name, value


def _value(value: int | str | bool) -> bytes:
    if isinstance(value, bool):
        return number(2, int(value))
    if isinstance(value, int):
        return number(7 if value in _ADDRESSES else 4, value)
    return data(6, str(value))


def file_name(host: str) -> str:
    """The file of a host in an archive; names of tar end at 99 characters."""
    name = quote(host, safe="")
    if len(name) > 80:
        name = f"{name[:60]}-{hashlib.sha256(host.encode()).hexdigest()[:16]}"
    return f"{name}.pftrace"


def manifest(run: str, machines: Mapping[str, clocks.Clock]) -> dict[str, Any]:
    """The manifest of some hosts' files; what is known of each clock stands among the attributes."""
    files = [{"path": file_name(host), "machine": {"name": host}} for host in machines]
    attributes: dict[str, int | str] = {"kedr.run": run}
    for host, clock in machines.items():
        summary = clock.summary() or {"offset_ns": None, "bound_ns": None, "error_ns": None}
        for key in ("offset_ns", "bound_ns", "error_ns"):
            attributes[f"kedr.{key}.{host}"] = "unknown" if summary[key] is None else summary[key]
    inner: dict[str, Any] = {"version": 1, "files": files, "attributes": attributes}
    anchored = next((file_name(host) for host, clock in machines.items() if clock.pairs), None)
    if anchored:
        inner["trace_time"] = {"clock": "REALTIME", "file": anchored}
    return {"perfetto_manifest": inner}


def write_host(host: HostDir, path: str) -> str:
    """Write the file of one host; return what it holds.  Raises KedrError and OSError."""
    found = host_records.find(host.directory, host.name)
    with whole_file(path) as stream:
        writer = Writer(stream, host.name, hosts.clock(host))
        for batch in found.batches():
            for start in range(0, batch.num_rows, BATCH):
                for row in batch.slice(start, BATCH).to_pylist():
                    writer.add(row)
        for cpu in found.trace.cpus.values():
            for hole in cpu.losses:
                writer.lost(cpu.number, hole.records, hole.after_ns, hole.before_ns)
    problems = hosts.loss(host) + "".join(f"; {problem}" for problem in found.problems)
    return f"{writer.records} records, {os.path.getsize(path)} bytes{problems}"


def _write_manifest(made: Sequence[HostDir], output: str) -> str:
    """Write the manifest of some hosts; return what it holds."""
    machines = {host.name: hosts.clock(host) for host in made}
    path = os.path.join(output, MANIFEST)
    with whole_file(path) as stream:
        text = json.dumps(manifest(os.path.basename(made[0].run), machines), indent=1)
        stream.write(text.encode() + b"\n")
    unknown = [host for host, clock in machines.items() if not clock.pairs]
    note = f"; no clock readings, so not placed in time: {', '.join(unknown)}" if unknown else ""
    return f"{path}: {len(made)} machines{note}"


def _make(export: Export) -> None:
    made = export.each_host(write_host, file_name)
    if not export.single:
        export.say(_write_manifest(made, export.output))


FORMAT = Format("for the Perfetto UI, with the manifest that merges hosts", _make)
