# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of the ring buffer, binary or as the kernel prints them -> one typed table, as Arrow batches.

The table has one row for each record:

==========  ====================  ======================================================================
column      type                  meaning
==========  ====================  ======================================================================
host        string (dictionary)   name in the inventory
kernel      string (dictionary)   release as ``uname -r`` says it
cpu         int16                 number of the CPU
pid         int32                 thread
comm        string (dictionary)   name of the thread as the kernel remembered it at the end; null: forgotten
time_ns     int64                 nanoseconds of the trace clock
event       string (dictionary)   name of the event; ``unknown``: no format describes it, only its number is known
in_init     bool                  was the target's init running; null: the event does not say
ints        map<string, int64>    arguments that are numbers or pointers (two's complement)
texts       map<string, string>   arguments that are text; bytes that are not text as hexadecimal digits
result      int64                 what the function returned (two's complement); null: nothing, or not printed
site        string (dictionary)   ``TARGET:AREA+0xOFFSET`` of the call; null: not the only place that was patched
moment      string (dictionary)   before or after: when the record was made, as seen from the call; null: not known
==========  ====================  ======================================================================

The run and the system are partitions: names of directories, ``run=…/system=…`` (``dataset``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from types import MappingProxyType
from typing import NamedTuple

from ..base.errors import ForeignError
from . import pages
from .formats import EventFormat
from .layouts import UNKNOWN, Column, Layout
from .text import Record

with contextlib.suppress(ImportError):
    import numpy as np
    import pyarrow as pa

TEXT_ROWS = 1 << 16
"""Rows of one batch that is made of printed records."""

_NAMED = ("in_init", "returnValue")
"""Fields of our events that have a column of their own."""
_MAX_ERRNO = 4095


class Origin(NamedTuple):
    """Where records come from; the same for all rows of a table.

    ``sites`` is {event: site} of the events whose function was patched at one place only, ``moments`` {event: before
    or after}.
    """

    host: str
    kernel: str
    sites: Mapping[str, str] = MappingProxyType({})
    moments: Mapping[str, str] = MappingProxyType({})


def schema() -> pa.Schema:
    """The columns of the table."""
    name = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("host", name), ("kernel", name), ("cpu", pa.int16()), ("pid", pa.int32()), ("comm", name),
            ("time_ns", pa.int64()), ("event", name), ("in_init", pa.bool_()), ("ints", pa.map_(name, pa.int64())),
            ("texts", pa.map_(name, pa.string())), ("result", pa.int64()), ("site", name), ("moment", name),
        ]
    )


class _Group(NamedTuple):
    """The records of one event: ``rows`` are their places in the table, ``at`` and ``end`` in the bytes."""

    layout: Layout
    rows: np.ndarray
    at: np.ndarray
    end: np.ndarray


def batch(
    walk: pages.Walk, cpu: int, layouts: Mapping[int, Layout], comms: Mapping[int, str], origin: Origin
) -> pa.RecordBatch:
    """The rows of some pages of one CPU, in the order of the records, which is that of their time.

    Raises ForeignError when a record is shorter than its event's fields.
    """
    count = len(walk.at)
    groups = _groups(walk, cpu, layouts)
    pids = np.zeros(count, dtype=np.int32)
    which = np.zeros(count, dtype=np.int32)
    in_init, has_init = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    result, has_result = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool)
    for index, group in enumerate(groups):
        which[group.rows] = index
        pids[group.rows] = _load(walk.data, group.at, group.layout.pid)
        for column in group.layout.fields:
            if column.name == "in_init" and column.is_number:
                in_init[group.rows], has_init[group.rows] = _load(walk.data, group.at, column) != 0, True
            elif column.name == "returnValue" and column.is_number:
                result[group.rows], has_result[group.rows] = _result(_load(walk.data, group.at, column), column), True
    events = [group.layout.event for group in groups]
    return pa.RecordBatch.from_arrays(
        [
            _names([origin.host], np.zeros(count, dtype=np.int32)),
            _names([origin.kernel], np.zeros(count, dtype=np.int32)),
            pa.array(np.full(count, cpu, dtype=np.int16)),
            pa.array(pids),
            _comms(pids, comms),
            pa.array(walk.time.astype(np.int64)),
            _names(events, which),
            pa.array(in_init, mask=~has_init),
            _ints(walk.data, groups, count),
            _texts(walk.data, groups, count),
            pa.array(result, mask=~has_result),
            _names([origin.sites.get(event) for event in events], which),
            _names([origin.moments.get(event) for event in events], which),
        ],
        schema=schema(),
    )


def _groups(walk: pages.Walk, cpu: int, layouts: Mapping[int, Layout]) -> list[_Group]:
    """The records sorted by event; those that no format describes are one group."""
    end = walk.at + walk.length
    if len(walk.length) and int(walk.length.min()) < 8:
        raise ForeignError(f"cpu{cpu}: a record has {int(walk.length.min())} bytes; the common fields alone have 8")
    kinds = _load(walk.data, walk.at, Column("common_type", "<u2", 0, 2)).astype(np.uint16)
    known = np.zeros(1 << 16, dtype=bool)
    known[[number for number in layouts if number < len(known)]] = True
    unknown = np.flatnonzero(~known[kinds])
    order = np.argsort(kinds, kind="stable")
    numbers = np.flatnonzero((np.bincount(kinds, minlength=len(known)) > 0) & known)
    begins, ends = (np.searchsorted(kinds[order], numbers, side) for side in ("left", "right"))
    groups = [_Group(UNKNOWN, unknown, walk.at[unknown], end[unknown])] if len(unknown) else []
    for number, first, last in zip(numbers.tolist(), begins.tolist(), ends.tolist(), strict=True):
        layout, rows = layouts[number], order[first:last]
        if int(walk.length[rows].min()) < layout.size:
            raise ForeignError(f"cpu{cpu}: a record of {layout.event} is shorter than its {layout.size} bytes")
        groups.append(_Group(layout, rows, walk.at[rows], end[rows]))
    return groups


def _load(data: np.ndarray, at: np.ndarray, column: Column) -> np.ndarray:
    """The numbers that stand in records, wherever they begin: the bytes are looked at with steps of one byte."""
    if not len(at):
        return np.zeros(0, dtype=column.kind)
    view: np.ndarray = np.ndarray((len(data) - column.size + 1,), column.kind, data, strides=(1,))
    return view[at + column.offset]


def _result(values: np.ndarray, column: Column) -> np.ndarray:
    """Results as int64.  A 32-bit pointer that stands for an error becomes its negative number, as one of 64 bits."""
    whole = values.astype(np.int64)
    if column.pointer and column.size == 4:
        return np.where(whole >= (1 << 32) - _MAX_ERRNO, whole - (1 << 32), whole)
    return whole


def _names(names: Sequence[str | None], which: np.ndarray) -> pa.DictionaryArray:
    """A column of names from their indices; None gives null."""
    known = sorted({name for name in names if name is not None})
    place = np.array([known.index(name) if name is not None else 0 for name in names] or [0], dtype=np.int32)
    absent = np.array([name is None for name in names] or [True])
    indices = pa.array(place[which], mask=absent[which] if absent.any() else None)
    return pa.DictionaryArray.from_arrays(indices, pa.array(known, pa.string()))


def _comms(pids: np.ndarray, comms: Mapping[int, str]) -> pa.DictionaryArray:
    if not len(pids):
        return _names([], pids)
    low, span = int(pids.min()), int(pids.max()) - int(pids.min())
    if span >= 1 << 22:  # more than the kernel gives out
        known, which = np.unique(pids, return_inverse=True)
    else:
        table = np.bincount(pids - low)
        known = np.flatnonzero(table)
        table[known] = np.arange(len(known))
        known, which = known + low, table[pids - low]
    names = {0: "<idle>", **comms}  # the kernel keeps no name for it, and prints this one
    return _names([names.get(pid) for pid in known.tolist()], which.astype(np.int32))


@dataclass
class _Map:
    """A map column being filled: ``first`` is the place of each row's first entry among all entries."""

    first: np.ndarray
    keys: np.ndarray = field(init=False)
    names: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = np.zeros(int(self.first[-1]), dtype=np.int32)

    def put(self, rows: np.ndarray, index: int, name: str) -> np.ndarray:
        """Name the entry number ``index`` of some rows; returns the places of its values."""
        places = self.first[rows] + index
        self.keys[places] = self.names.setdefault(name, len(self.names))
        return places

    def array(self, values: pa.Array) -> pa.MapArray:
        """The column, from all values in their places."""
        keys = pa.DictionaryArray.from_arrays(pa.array(self.keys), pa.array(list(self.names), pa.string()))
        return pa.MapArray.from_arrays(pa.array(self.first.astype(np.int32)), keys, values)


def _map(groups: Sequence[_Group], count: int, chosen: Callable[[Layout], list[Column]]) -> _Map:
    sizes = np.zeros(count + 1, dtype=np.int64)
    for group in groups:
        sizes[group.rows + 1] = len(chosen(group.layout))
    return _Map(np.cumsum(sizes))


def _int_columns(layout: Layout) -> list[Column]:
    return [column for column in layout.fields if column.is_number and column.name not in _NAMED]


def _text_columns(layout: Layout) -> list[Column]:
    return [column for column in layout.fields if not column.is_number]


def _ints(data: np.ndarray, groups: Sequence[_Group], count: int) -> pa.MapArray:
    made = _map(groups, count, _int_columns)
    values = np.zeros(len(made.keys), dtype=np.int64)
    for group in groups:
        for index, column in enumerate(_int_columns(group.layout)):
            values[made.put(group.rows, index, column.name)] = _load(data, group.at, column).astype(np.int64)
    return made.array(pa.array(values))


def _texts(data: np.ndarray, groups: Sequence[_Group], count: int) -> pa.MapArray:
    made = _map(groups, count, _text_columns)
    parts: list[pa.Array] = []
    place = np.zeros(len(made.keys), dtype=np.int64)
    filled = 0
    nuls = np.flatnonzero(data == 0) if len(made.keys) else data
    for group in groups:
        for index, column in enumerate(_text_columns(group.layout)):
            place[made.put(group.rows, index, column.name)] = filled + np.arange(len(group.rows))
            filled += len(group.rows)
            parts.append(_strings(data, nuls, group, column))
    if not parts:
        return made.array(pa.array([], pa.string()))
    return made.array(pa.concat_arrays(parts).take(pa.array(place)))


def _strings(data: np.ndarray, nuls: np.ndarray, group: _Group, column: Column) -> pa.StringArray:
    """The texts of one field; no text goes over the end of its record."""
    start, length = group.at + column.offset, np.full(len(group.at), column.size, dtype=np.int64)
    if column.located:
        word = _load(data, group.at, column._replace(kind="<u4")).astype(np.int64)
        relative = column.offset + column.size if column.located == "__rel_loc" else 0
        start, length = group.at + relative + (word & 0xFFFF), word >> 16
        if column.endless:
            length = np.where(length == 0, 0xFFFF, length)
    start = np.minimum(start, group.end)
    stop = np.minimum(start + length, group.end)
    if column.kind == "bytes":
        whole = data.data
        return pa.array([whole[a:b].hex() for a, b in zip(start.tolist(), stop.tolist(), strict=True)], pa.string())
    if len(nuls):
        found = nuls[np.minimum(np.searchsorted(nuls, start), len(nuls) - 1)]
        stop = np.where((found >= start) & (found < stop), found, stop)
    offsets = np.zeros(len(start) + 1, dtype=np.int64)
    np.cumsum(stop - start, out=offsets[1:])
    flat = data[np.repeat(start - offsets[:-1], stop - start) + np.arange(int(offsets[-1]))]
    if len(flat) and int(flat.max()) >= 0x80:
        raw = flat.tobytes()
        edges = offsets.tolist()
        texts = [raw[a:b].decode("utf-8", "replace") for a, b in pairwise(edges)]
        return pa.array(texts, pa.string())
    return pa.StringArray.from_buffers(len(start), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(flat))


def text_batches(
    reader: Iterable[Record], formats: Mapping[str, list[EventFormat]], origin: Origin
) -> Iterator[pa.RecordBatch]:
    """The rows of records that ``text`` has read, in their order, ``TEXT_ROWS`` at a time.

    The text has what the kernel prints: microseconds (nanoseconds end in 000), and no value of a pointer that it hides.
    """
    pointers = {
        (form.system, name)
        for forms in formats.values()
        for form in forms
        if (result := form.fields.get("returnValue")) and result.kind == "pointer" and result.size == 4
        for name in (form.event,)
    }
    records = iter(reader)
    while rows := list(islice(records, TEXT_ROWS)):
        yield _text_batch(rows, pointers, origin)


def _text_batch(rows: Sequence[Record], pointers: set[tuple[str, str]], origin: Origin) -> pa.RecordBatch:
    in_init, results, ints, texts = [], [], [], []
    for row in rows:
        flag, result = row.fields.get("in_init"), row.fields.get("returnValue")
        in_init.append(flag != 0 if isinstance(flag, int) else None)
        small = isinstance(result, int) and (row.system, row.event) in pointers
        results.append(_signed(result, 32 if small and _is_error(result) else 64) if isinstance(result, int) else None)
        own = [(name, value) for name, value in row.fields.items() if name not in _NAMED or isinstance(value, str)]
        ints.append([(name, _signed(value, 64)) for name, value in own if isinstance(value, int)])
        texts.append([(name, _plain(value)) for name, value in own if isinstance(value, str)])
    named = {
        "host": [origin.host] * len(rows),
        "kernel": [origin.kernel] * len(rows),
        "comm": [None if row.comm == "<...>" else _plain(row.comm) for row in rows],
        "event": [row.event for row in rows],
        "site": [origin.sites.get(row.event) for row in rows],
        "moment": [origin.moments.get(row.event) for row in rows],
    }
    plain = {
        "cpu": [row.cpu & 0x7FFF for row in rows], "pid": [_signed(row.pid, 32) for row in rows],
        "time_ns": [_signed(row.time_ns, 64) for row in rows], "in_init": in_init, "ints": ints, "texts": texts,
        "result": results,
    }
    arrays = []
    for column in schema():
        if column.name in named:
            encoded = pa.array(named[column.name], pa.string()).dictionary_encode()
            arrays.append(encoded.cast(column.type))
        else:
            arrays.append(pa.array(plain[column.name], column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema())


def _is_error(value: int) -> bool:
    return (1 << 32) - _MAX_ERRNO <= value < 1 << 32


def _signed(value: int, bits: int) -> int:
    """The lowest bits of a number in two's complement."""
    low = value & ((1 << bits) - 1)
    return low - (1 << bits) if low >> (bits - 1) else low


def _plain(text: str) -> str:
    """Text without the stand-ins for bytes that were no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
