# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of records as Parquet files: ``records/run=RUN/system=SYSTEM/HOST.parquet`` below a directory.

Partitions are named as Hive does it, so that DuckDB, Spark and Arrow open the directory as one table.  A host
has one file, which appears whole or not at all; control nodes that share a directory write different runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote, unquote

from ..base.errors import ForeignError
from ..base.files import whole_file
from .rows import schema

with contextlib.suppress(ImportError):
    import pyarrow as pa
    import pyarrow.parquet as pq

RECORDS = "records"
"""Directory of the table of a run, in the directory of the run."""
GROUP_ROWS = 1 << 20
"""Rows of one row group: what is held in memory while writing."""
JSON_ROWS = 4096
"""Rows that are held in memory while they become JSON."""

_PARTITION = re.compile(r"run=([^/]+)/system=([^/]+)/[^/]+\.parquet\Z")


def quoted(name: str) -> str:
    """A name as part of a path.

    Every character that paths or Hive would mind is quoted, and what makes a file one that Spark passes over.
    """
    text = quote(name, safe="")
    return f"%{ord(text[0]):02X}{text[1:]}" if text[:1] in ("_", ".") else text


def partition(top: str, run: str, system: str) -> str:
    """Directory of one run and one system below ``top``."""
    return os.path.join(top, f"run={quoted(run)}", f"system={quoted(system or 'unknown')}")


def write(top: str, run: str, system: str, host: str, batches: Iterable[pa.RecordBatch]) -> int:
    """Write the file of one host (mode 0600); returns the number of rows.

    Rows are in the order of ``batches``.  A file that the host has under another system of the run is removed: the
    system was not known better when it was written.  Raises OSError when it cannot be written, and whatever
    ``batches`` raises; then there is no new file.
    """
    directory = partition(top, run, system)
    for made in (top, os.path.dirname(directory), directory):
        os.makedirs(made, mode=0o700, exist_ok=True)
    path = os.path.join(directory, f"{quoted(host)}.parquet")
    rows = 0
    with whole_file(path) as stream, pq.ParquetWriter(stream, schema(), **_options()) as writer:
        for table in _groups(batches):
            writer.write_table(table)
            rows += table.num_rows
    _forget_others(top, run, path)
    return rows


def _forget_others(top: str, run: str, path: str) -> None:
    systems = os.path.join(top, f"run={quoted(run)}")
    for name in os.listdir(systems):
        other = os.path.join(systems, name, os.path.basename(path))
        if name.startswith("system=") and other != path and os.path.isfile(other):
            os.unlink(other)


def _options() -> dict[str, Any]:
    """How columns are written: times as differences, the others through dictionaries.

    That names are dictionaries in memory is not stored: Arrow cannot read those of maps back in more than one piece.
    """
    plain = [one.name for one in schema() if one.name not in ("time_ns", "ints", "texts")]
    maps = [f"{name}.key_value.{part}" for name in ("ints", "texts") for part in ("key", "value")]
    return {
        "compression": "zstd", "store_schema": False, "use_dictionary": plain + maps,
        "column_encoding": {"time_ns": "DELTA_BINARY_PACKED"},
    }


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together to row groups; the writer wants one dictionary for each column of a group."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= GROUP_ROWS:
            yield pa.Table.from_batches(held).unify_dictionaries()
            held, rows = [], 0
    if held:
        yield pa.Table.from_batches(held).unify_dictionaries()


def files(directories: Sequence[str]) -> list[str]:
    """The files of hosts below directories, each once.  Raises ForeignError when a directory has none."""
    found: dict[str, None] = {}
    for top in directories:
        if not os.path.isdir(top):
            raise ForeignError(f"{top}: there is no such directory")
        here = [
            os.path.realpath(os.path.join(path, name))
            for path, _folders, names in os.walk(os.path.realpath(top))
            for name in names
            if _PARTITION.search(os.path.join(path, name)) and not name.startswith(".")
        ]
        if not here:
            raise ForeignError(
                f"{top}: no records here: no run=RUN/system=SYSTEM/HOST.parquet; collect some, or make them of the "
                "traces of a run with 'kedr trace table RUN'"
            )
        found.update(dict.fromkeys(sorted(here)))
    return list(found)


def json_lines(path: str) -> Iterator[str]:
    """The rows of one file as lines of JSON, in bounded memory.  Raises ForeignError."""
    names = _PARTITION.search(path)
    if names is None:
        raise ForeignError(f"{path}: not a run=RUN/system=SYSTEM/HOST.parquet")
    run, system = unquote(names[1]), unquote(names[2])
    try:
        with pq.ParquetFile(path) as stream:
            for batch in stream.iter_batches(batch_size=JSON_ROWS):
                yield from _lines(batch, json.dumps({"run": run, "system": system})[:-1])
    except (pa.ArrowException, OSError) as error:
        raise ForeignError(f"{path}: cannot be read: {error}") from None


def _lines(batch: pa.RecordBatch, start: str) -> Iterator[str]:
    """The rows of a batch as JSON; ``start`` is the beginning of each object, without its end."""
    names = [f", {json.dumps(name)}: " for name in batch.schema.names]
    for row in zip(*(_words(column) for column in batch.columns), strict=True):
        yield start + "".join(name + word for name, word in zip(names, row, strict=True)) + "}"


def _words(column: pa.Array) -> list[str]:
    """The values of a column as JSON; what is there several times is made once."""
    if pa.types.is_map(column.type):
        edges = column.offsets.to_pylist()  # places in all keys and items, also where the column is a part
        pairs = [f"{key}: {value}" for key, value in zip(_words(column.keys), _words(column.items), strict=True)]
        return [f"{{{', '.join(pairs[a:b])}}}" for a, b in pairwise(edges)]
    encoded = column.dictionary_encode()
    words = [*(json.dumps(value) for value in encoded.dictionary.to_pylist()), "null"]
    return [words[index] for index in encoded.indices.fill_null(len(words) - 1).to_pylist()]
