# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of many hosts in one order, that of the clock of day, with what is known of its error.

Each line of JSON is a row of the table of records with

* ``realtime_ns``: nanoseconds since 1970, by the host's own clock of day;
* ``bound_ns``: how far that may be off because of the way from the trace clock to it; null: not known;
* ``error_ns``: how far that clock may be off, as chrony bounds it; null: not known;
* ``order``: ``certain`` when every record of other machines that stands above was made before this one, else
  ``uncertain``.  Hosts with the same boot_id are one machine.

DuckDB sorts, on disk where memory does not suffice.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..base.errors import InputError, KedrError
from ..base.files import whole_file
from ..base.packages import need
from ..trace import clocks
from . import hosts
from .format import Export, Format

with contextlib.suppress(ImportError):
    import duckdb

MEMORY = "500MB"
"""What DuckDB may hold before it goes on on disk."""
BATCH = 10_000
"""Rows that are held as Python objects."""

_SEGMENTS = """
create table segments
(host varchar, from_ns bigint, span_ns bigint, offset_ns bigint, change_ns bigint, first_ns bigint, last_ns bigint)
"""

_MERGE = """
with placed as (
    select c.*, s.*, s.change_ns::hugeint * (c.time_ns::hugeint - s.from_ns) as product
    from (select * from read_parquet($files, hive_partitioning = true, union_by_name = true)) c
    asof join (select * rename (host as machine_host) from segments) s
    on c.host = s.machine_host and c.time_ns >= s.from_ns
), moved as (
    select *, ((product - (product % span_ns + span_ns) % span_ns) // span_ns)::bigint as moved_ns from placed
)
select time_ns + offset_ns + moved_ns as realtime_ns,
       case when first_ns is null or last_ns is null then null
            else greatest(abs(moved_ns) + first_ns, abs(change_ns - moved_ns) + last_ns) end as bound_ns,
       * exclude (machine_host, from_ns, span_ns, offset_ns, change_ns, first_ns, last_ns, product, moved_ns)
from moved order by realtime_ns, host, cpu, time_ns
"""


def machine(host: str, clock: clocks.Clock) -> str:
    """What hosts that share a trace clock have in common."""
    return f"{clock.boot_id} {clock.name}" if clock.boot_id and clock.name in clocks.SHARED else f"host {host}"


def merge(files: Iterable[str], by_host: Mapping[str, clocks.Clock], place: str) -> Iterator[dict[str, Any]]:
    """The records of Parquet files in order.  Every host needs a pair of clock readings.

    ``place`` is a directory for what does not fit into memory.  Raises duckdb.Error.
    """
    groups: dict[str, list[clocks.Clock]] = {}
    for host, clock in by_host.items():
        groups.setdefault(machine(host, clock), []).append(clock)
    shared = {name: clocks.same_machine(members) for name, members in groups.items()}
    of_host = {host: machine(host, clock) for host, clock in by_host.items()}
    with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": place}) as connection:
        connection.execute(_SEGMENTS)
        for host in by_host:
            rows = [[host, *segment] for segment in shared[of_host[host]].segments]
            connection.executemany("insert into segments values (?, ?, ?, ?, ?, ?, ?)", rows)
        answer = connection.execute(_MERGE, {"files": list(files)})
        names = [column[0] for column in answer.description]
        errors = {host: shared[name].error_ns for host, name in of_host.items()}
        yield from mark((dict(zip(names, row, strict=True)) for row in _fetch(answer)), of_host, errors)


def _fetch(answer: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """The rows of an answer, some at a time."""
    while rows := answer.fetchmany(BATCH):
        yield from rows


def mark(
    rows: Iterable[dict[str, Any]], machines: Mapping[str, str], errors: Mapping[str, int | None]
) -> Iterator[dict[str, Any]]:
    """Add ``error_ns`` and ``order`` to rows that are in order.

    ``machines`` and ``errors`` are by host.  Of each machine the latest time that one of its records may have is
    kept; a record is certainly after those of the others when its earliest time is beyond them.
    """
    latest: dict[str, float] = {}
    for row in rows:
        mine, bound, error = machines[row["host"]], row["bound_ns"], errors[row["host"]]
        others = max((time for name, time in latest.items() if name != mine), default=None)
        spread = None if bound is None or error is None else bound + error
        certain = others is None or (spread is not None and row["realtime_ns"] - spread > others)
        high = float("inf") if spread is None else row["realtime_ns"] + spread
        latest[mine] = max(high, latest.get(mine, high))
        yield {**row, "error_ns": error, "order": "certain" if certain else "uncertain"}


def _make(export: Export) -> None:
    need("duckdb")
    files, machines = _placeable(export)
    if not machines:
        raise InputError("of no host can the records be placed in time")
    counts = {"certain": 0, "uncertain": 0}
    place = os.path.dirname(os.path.abspath(export.output))
    try:
        with whole_file(export.output) as stream, tempfile.TemporaryDirectory(prefix=".kedr-export-", dir=place) as tmp:
            for row in merge(files, machines, tmp):
                counts[row["order"]] += 1
                stream.write(json.dumps(row, default=str).encode("ascii") + b"\n")
    except duckdb.Error as error:
        raise InputError(f"the records cannot be merged: {error}") from None
    total = sum(counts.values())
    export.say(f"{export.output}: {total} records of {len(machines)} hosts, {counts['uncertain']} of uncertain order")


def _placeable(export: Export) -> tuple[list[str], dict[str, clocks.Clock]]:
    """The tables and clocks of hosts that have both; the others are left out."""
    files: list[str] = []
    machines: dict[str, clocks.Clock] = {}
    for host in export.hosts:
        try:
            clock, table = hosts.clock(host), hosts.table(host)
            if not clock.pairs:
                raise InputError(f"{host.name}: clocks.jsonl has no pair of clock readings")
            if lost := hosts.loss(host):
                export.warn(f"{host.name}{lost}")
        except KedrError as error:
            export.leave_out(error)
            continue
        files.append(table)
        machines[host.name] = clock
    return files, machines


FORMAT = Format("JSON Lines: records of all hosts in the order of the clock of day, with its error", _make)
