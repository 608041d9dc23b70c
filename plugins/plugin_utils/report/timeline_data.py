# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of a watch -> what its page embeds: columns of numbers, texts once each, deflated.

DuckDB chooses, numbers and orders the records; it spills to a temporary directory beyond MEMORY. Records are in
the order of their lane (host, CPU) and time. The form, which html/timeline/data.js reads, is one zlib stream of

- 4 bytes, little endian: the length of a JSON text, and that text (``head``);
- the columns that ``head["columns"]`` names as [bytes of a value, values], one after another. A column holds the
  lowest bytes of all its values, then their second bytes, and so on, which deflates to a fraction of rows.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..ask import query
from ..base.errors import InputError
from ..base.foreign import plain

with contextlib.suppress(ImportError):
    import duckdb
    import numpy as np

MEMORY = "1GB"
"""What DuckDB may hold before it spills."""
MAX_TEXT = 300
"""Characters of a text that a page keeps."""

TOTALS = """
select event, host, count(*) as calls, count(*) filter (where in_init) as in_init from calls group by event, host
"""

SPANS = "select host, min(time_ns), max(time_ns) from calls group by host"

INITS = """
with known as (
    select host, time_ns, in_init, in_init and not coalesce(lag(in_init) over w, false) as begins
    from calls where in_init is not null window w as (partition by host order by time_ns)
), parts as (
    select host, time_ns, in_init, sum(begins::int) over (partition by host order by time_ns rows unbounded preceding)
        as part from known
)
select host, min(time_ns), max(time_ns) from parts where in_init group by host, part order by host, 2
"""

KEPT = """
create temp table kept as
with ranked as (
    select *, row_number() over (partition by host, cpu, event order by time_ns, row) - 1 as rank from numbered
)
select host, cpu, pid, comm, time_ns, event, in_init, ints, texts, result,
       row_number() over (order by host, cpu, time_ns, row) as place
from ranked where rank % $every = 0
"""

LANES = "select host, cpu, count(*) from kept group by host, cpu order by host, cpu"

SHAPES = """
create temp table shapes as
select row_number() over (order by event, names, texts, empty) - 1 as shape, * from (
    select distinct event, map_keys(ints) as names, map_keys(texts) as texts, result is null as empty from kept)
"""

THREADS = """
create temp table threads as
select row_number() over (order by comm, pid) - 1 as thread, * from (select distinct comm, pid from kept)
"""

COLUMNS = """
select time_ns, thread, shape, coalesce(in_init::int, 2)::utinyint as in_init
from kept
join threads on kept.pid = threads.pid and kept.comm is not distinct from threads.comm
join shapes on kept.event = shapes.event and map_keys(kept.ints) = shapes.names
    and map_keys(kept.texts) = shapes.texts and (kept.result is null) = shapes.empty
order by place
"""


class Total(NamedTuple):
    """All records of one function on one host."""

    event: str
    host: str
    calls: int
    in_init: int


class Lane(NamedTuple):
    """One CPU of one host: how many of its records the page has."""

    host: str
    cpu: int
    records: int


@dataclass
class Data:
    """What the page has of the records.  ``every``: of each function on each CPU every n-th record is kept."""

    total: int = 0
    kept: int = 0
    every: int = 1
    totals: list[Total] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    first_ns: dict[str, int] = field(default_factory=dict)
    last_ns: dict[str, int] = field(default_factory=dict)
    inits: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=lambda: {"columns": [], "threads": [], "strings": [], "shapes": []})
    columns: list[bytes] = field(default_factory=list)

    @property
    def events(self) -> list[str]:
        """Names of the functions, the one with most records first."""
        sums: dict[str, int] = {}
        for one in self.totals:
            sums[one.event] = sums.get(one.event, 0) + one.calls
        return sorted(sums, key=lambda name: (-sums[name], name))

    def packed(self, more: Mapping[str, Any]) -> bytes:
        """The deflated form with ``more`` in its head."""
        head = json.dumps({**self.head, **more}, ensure_ascii=True).encode("ascii")
        return zlib.compress(b"".join([len(head).to_bytes(4, "little"), head, *self.columns]), 6)


@contextmanager
def opened(directory: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the view ``calls`` over the records below a directory.  Raises KedrError."""
    with tempfile.TemporaryDirectory(prefix="kedr-") as spill:
        connection = query.connect([directory], spill)
        try:
            connection.execute(f"set memory_limit = '{MEMORY}'")
            yield connection
        finally:
            connection.close()


def read(directory: str, limit: int) -> Data:
    """Read the records below a directory, at most about ``limit`` of them for the page.

    No records at all are those of a watch whose every host died.  Raises KedrError.
    """
    if not any(name.endswith(".parquet") for _path, _folders, names in os.walk(directory) for name in names):
        return Data()
    with opened(directory) as connection:
        try:
            return _read(connection, limit)
        except duckdb.Error as error:
            raise InputError(f"{directory}: the records cannot be read: {error}") from None


def _read(connection: duckdb.DuckDBPyConnection, limit: int) -> Data:
    data = Data(totals=[Total(*row) for row in connection.execute(TOTALS).fetchall()])
    data.total = sum(one.calls for one in data.totals)
    data.every = max(1, -(-data.total // limit))
    for host, begin, end in connection.execute(INITS).fetchall():
        data.inits.setdefault(host, []).append((begin, end))
    for host, first, last in connection.execute(SPANS).fetchall():
        data.first_ns[host], data.last_ns[host] = first, last
    connection.execute(KEPT, {"every": data.every})
    connection.execute(SHAPES)
    connection.execute(THREADS)
    data.lanes = [Lane(*row) for row in connection.execute(LANES).fetchall()]
    data.kept = sum(lane.records for lane in data.lanes)
    _columns(connection, data)
    return data


def _columns(connection: duckdb.DuckDBPyConnection, data: Data) -> None:
    """Fill ``head`` and ``columns``: steps of time, threads, shapes and phases, then the values of each shape."""
    found = connection.execute(COLUMNS).fetchnumpy()
    shapes = connection.execute("select event, names, texts, empty from shapes order by shape").fetchall()
    threads = connection.execute("select comm, pid from threads order by thread").fetchall()
    pack = _Packer()
    events = {name: number for number, name in enumerate(data.events)}
    pack.add(_steps(found["time_ns"], data))
    pack.add(_small(found["thread"], len(threads)))
    pack.add(_small(found["shape"], len(shapes)))
    pack.add(found["in_init"])
    data.head = {
        "threads": [["" if comm is None else plain(comm, MAX_TEXT), pid] for comm, pid in threads],
        "shapes": [_shape(connection, pack, shape, events[shape[0]]) for shape in shapes],
        "strings": [plain(text, MAX_TEXT) for text in pack.strings],
        "columns": pack.shapes,
    }
    data.columns = pack.columns


def _steps(times: np.ndarray, data: Data) -> np.ndarray:
    """Nanoseconds since the record before; the first of a lane counts from the host's first record."""
    steps = np.diff(times, prepend=times[:1])
    at = 0
    for lane in data.lanes:
        steps[at] = times[at] - data.first_ns[lane.host]
        at += lane.records
    return steps


def _shape(
    connection: duckdb.DuckDBPyConnection, pack: _Packer, shape: Sequence[Any], number_of_event: int
) -> dict[str, Any]:
    """Pack the arguments and results of the records that have the same function and the same names of arguments."""
    event, ints, texts, empty = shape
    names = [*ints, *texts]
    wanted = [f"{'ints' if place < len(ints) else 'texts'}[${place + 1}]" for place in range(len(names))]
    wanted += [] if empty else ["result"]
    columns = []
    if wanted:
        found = _values(connection, wanted, [*names, event, ints, texts, empty])
        columns = [pack.add(one) if one.dtype.kind == "i" else pack.add_texts(one) for one in found]
    named = [[plain(name, MAX_TEXT), column] for name, column in zip(names, columns, strict=False)]
    return {
        "event": number_of_event, "ints": named[: len(ints)], "texts": named[len(ints) :],
        "result": None if empty else columns[-1],
    }


def _values(
    connection: duckdb.DuckDBPyConnection, wanted: Sequence[str], parameters: Sequence[Any]
) -> list[np.ndarray]:
    """One array for each of ``wanted``, of the records of one shape; its event and names end ``parameters``."""
    at = len(parameters) - 3
    listed = ", ".join(f"{one} as value{number}" for number, one in enumerate(wanted))
    query = f"""
        select {listed} from kept where event = ${at} and map_keys(ints) = ${at + 1}
        and map_keys(texts) = ${at + 2} and (result is null) = ${at + 3} order by place"""
    return [np.ma.getdata(one) for one in connection.execute(query, parameters).fetchnumpy().values()]


def _small(values: np.ndarray, count: int) -> np.ndarray:
    """Numbers below ``count`` in one, two or four bytes."""
    return values.astype(np.min_scalar_type(max(count - 1, 0)))


class _Packer:
    """Columns as the page reads them, and the texts that they point to."""

    def __init__(self) -> None:
        self.columns: list[bytes] = []
        self.shapes: list[tuple[int, int]] = []
        self.strings: dict[str, int] = {}

    def add(self, values: np.ndarray) -> int:
        """Add a column of whole numbers; returns its number."""
        size = values.dtype.itemsize
        little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
        self.columns.append(little.view(np.uint8).reshape(-1, size).T.tobytes())
        self.shapes.append((size, len(values)))
        return len(self.columns) - 1

    def add_texts(self, values: np.ndarray) -> int:
        """Add a column of texts, each as its number among all texts."""
        numbers = [self.strings.setdefault(text or "", len(self.strings)) for text in values.tolist()]
        return self.add(np.array(numbers, dtype=np.uint32))
