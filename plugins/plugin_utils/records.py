# SPDX-License-Identifier: GPL-3.0-or-later
"""Binary records of the ring buffer -> one typed table of records, as Arrow batches.

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
event       string (dictionary)   name of the event
in_init     bool                  was the target's init running; null: the event does not say
ints        map<string, int64>    arguments that are numbers or pointers (two's complement)
texts       map<string, string>   arguments that are text
result      int64                 what the function returned (two's complement); null: nothing
==========  ====================  ======================================================================

The run and the system are partitions: names of directories, ``run=…/system=…`` (``dataset``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils import ringbuffer, trace

try:
    import numpy as np
    import pyarrow as pa

    ARROW_ERROR = ""
except ImportError as import_error:  # pragma: no cover - the requirement is installed where tests run
    ARROW_ERROR = str(import_error)

_ID = re.compile(r"^ID: *(\d{1,5})$", re.M)
_COMMON = ("common_type", "common_flags", "common_preempt_count", "common_pid")
_NAMED = {"in_init", "returnValue"}
"""Fields of our events that have a column of their own."""


class RecordError(Exception):
    """A format or a record that cannot be turned into a row.  The text says why."""


class Layout(NamedTuple):
    """One event: its number in records, its name, its own fields (without the common ones)."""

    number: int
    system: str
    event: str
    fields: tuple[trace.Field, ...]
    pid: trace.Field


def parse_layouts(text: str) -> dict[int, Layout]:
    """Read blocks ``== system/event`` with format files; returns the events by their number.

    Raises RecordError naming the event when its number, its common fields or a field's size is unusable.
    """
    layouts: dict[int, Layout] = {}
    for _line, name, block in trace.blocks(text):
        system, _slash, event = name.partition("/")
        number = _ID.search(block)
        fields = {field.name: field for field in trace.parse_fields(block)}
        if number is None or not set(_COMMON) <= set(fields):
            raise RecordError(f"format of {name}: no number or no common fields")
        own = tuple(field for field in fields.values() if field.name not in _COMMON)
        for field in own:
            if field.kind != "str" and field.size not in (1, 2, 4, 8):
                raise RecordError(f"format of {name}: field {field.name} has {field.size} bytes")
        layouts[int(number[1])] = Layout(int(number[1]), system, event, own, fields["common_pid"])
    return layouts


class Origin(NamedTuple):
    """Where records come from; the same for all rows of a table."""

    host: str
    kernel: str


def schema() -> pa.Schema:
    """The columns of the table."""
    name = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("host", name),
            ("kernel", name),
            ("cpu", pa.int16()),
            ("pid", pa.int32()),
            ("comm", name),
            ("time_ns", pa.int64()),
            ("event", name),
            ("in_init", pa.bool_()),
            ("ints", pa.map_(pa.string(), pa.int64())),
            ("texts", pa.map_(pa.string(), pa.string())),
            ("result", pa.int64()),
        ]
    )


def rows(
    pages: ringbuffer.Walk, cpu: int, layouts: Mapping[int, Layout], comms: Mapping[int, str], origin: Origin
) -> Iterator[pa.RecordBatch]:
    """Batches with the rows of some pages of one CPU, one batch for each event, ordered by time inside it.

    Raises RecordError when a record has an unknown event or is shorter than its event's fields.
    """
    kinds = _gather(pages, pages.at, 2).view("<u2")[:, 0]
    for number in np.unique(kinds):
        layout = layouts.get(int(number))
        if layout is None:
            raise RecordError(f"cpu{cpu}: a record of event number {number}, which no format file describes")
        chosen = np.flatnonzero(kinds == number)
        need = max((field.offset + field.size for field in layout.fields), default=8)
        if int(pages.length[chosen].min()) < need:
            raise RecordError(f"cpu{cpu}: a record of {layout.event} is shorter than its {need} bytes")
        yield _batch(pages, chosen, cpu, layout, comms, origin)


def _gather(pages: ringbuffer.Walk, at: np.ndarray, size: int) -> np.ndarray:
    """``size`` bytes at each offset, as rows."""
    return np.ascontiguousarray(pages.data[at[:, None] + np.arange(size)])


def _numbers(pages: ringbuffer.Walk, at: np.ndarray, field: trace.Field) -> np.ndarray:
    """The values of a number field as int64; 64-bit unsigned values keep their bits."""
    kind = f"<{'i' if field.signed else 'u'}{field.size}"
    return _gather(pages, at + field.offset, field.size).view(kind)[:, 0].astype(np.int64)


def _texts(pages: ringbuffer.Walk, at: np.ndarray, length: np.ndarray, field: trace.Field) -> list[str]:
    """The values of a text field: an array in place, or (``__data_loc``) at 16 bits of offset, 16 of length."""
    found = []
    located = field.ctype.startswith(("__data_loc", "__rel_loc"))
    relative = field.offset + field.size if field.ctype.startswith("__rel_loc") else 0
    for start, room in zip(at.tolist(), length.tolist(), strict=True):
        offset, size = field.offset, field.size
        if located:
            word = int.from_bytes(pages.data[start + offset : start + offset + 4].tobytes(), "little")
            offset, size = (word & 0xFFFF) + relative, word >> 16
        raw = pages.data[start + offset : start + min(offset + size, room)].tobytes()
        found.append(raw.partition(b"\0")[0].decode("utf-8", "replace"))
    return found


def _map(columns: Sequence[tuple[str, Any]], count: int, value_type: pa.DataType) -> pa.MapArray:
    """A map column whose every row has the same keys."""
    width = len(columns)
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * width)
    names = pa.array([name for name, values in columns] * count if width else [], pa.string())
    if not width:
        return pa.MapArray.from_arrays(offsets, names, pa.array([], value_type))
    if pa.types.is_integer(value_type):
        values = pa.array(np.column_stack([values for name, values in columns]).reshape(-1), value_type)
    else:
        values = pa.array([value for row in zip(*(values for _, values in columns)) for value in row], value_type)
    return pa.MapArray.from_arrays(offsets, names, values)


def _constant(value: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), pa.array([value]))


def _batch(
    pages: ringbuffer.Walk,
    chosen: np.ndarray,
    cpu: int,
    layout: Layout,
    comms: Mapping[int, str],
    origin: Origin,
) -> pa.RecordBatch:
    at, count = pages.at[chosen], len(chosen)
    pids = _numbers(pages, at, layout.pid).astype(np.int32)
    numbers = {f.name: _numbers(pages, at, f) for f in layout.fields if f.kind != "str"}
    texts = [(f.name, _texts(pages, at, pages.length[chosen], f)) for f in layout.fields if f.kind == "str"]
    known, where = np.unique(pids, return_inverse=True)
    names = pa.array([comms.get(int(pid)) for pid in known], pa.string())
    in_init, result = numbers.get("in_init"), numbers.get("returnValue")
    columns = [
        *(_constant(value, count) for value in origin),
        pa.array(np.full(count, cpu, dtype=np.int16)),
        pa.array(pids),
        names.take(pa.array(where)).dictionary_encode(),
        pa.array(pages.time[chosen].astype(np.int64)),
        _constant(layout.event, count),
        pa.nulls(count, pa.bool_()) if in_init is None else pa.array(in_init != 0),
        _map([(name, values) for name, values in numbers.items() if name not in _NAMED], count, pa.int64()),
        _map(texts, count, pa.string()),
        pa.nulls(count, pa.int64()) if result is None else pa.array(result),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema())
