# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of records as Parquet files: ``records/run=RUN/system=SYSTEM/HOST.parquet`` below a directory.

Partitions are named as Hive does it, so that DuckDB, Spark and Arrow open the directory as one table.  A host
has one file, which appears whole or not at all; control nodes that share a directory write different runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from urllib.parse import quote

from ansible_collections.kedr.lab.plugins.plugin_utils import records

try:
    import pyarrow as pa
    import pyarrow.parquet as pq

    PARQUET_ERROR = ""
except ImportError as import_error:  # pragma: no cover - the requirement is installed where tests run
    PARQUET_ERROR = str(import_error)

GROUP_ROWS = 1 << 20
"""Rows of one row group: what is held in memory while writing."""


def partition(top: str, run: str, system: str) -> str:
    """Directory of one run and one system below ``top``; every character that paths or Hive would mind is quoted."""
    return os.path.join(top, f"run={quote(run, safe='')}", f"system={quote(system or 'unknown', safe='')}")


def write(top: str, run: str, system: str, host: str, batches: Iterable[pa.RecordBatch]) -> int:
    """Write the file of one host (mode 0600); returns the number of rows.

    Rows are sorted by time within a row group.  Raises OSError when it cannot be written, and whatever
    ``batches`` raises; then there is no file.
    """
    directory = partition(top, run, system)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, f"{quote(host, safe='')}.parquet")
    temporary = f"{path}.{os.getpid()}.tmp"
    rows = 0
    try:
        with (
            open(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as stream,
            pq.ParquetWriter(stream, records.schema(), compression="zstd") as writer,
        ):
            held: list[pa.RecordBatch] = []
            for batch in batches:
                held.append(batch)
                rows += batch.num_rows
                if sum(one.num_rows for one in held) >= GROUP_ROWS:
                    writer.write_table(_sorted(held))
                    held = []
            if held:
                writer.write_table(_sorted(held))
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return rows


def _sorted(batches: list[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(batches).sort_by("time_ns")
