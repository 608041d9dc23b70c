# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the table of records, answered by DuckDB: the command kedr-trace.

The table is a directory of ``run=…/system=…/HOST.parquet`` (``dataset``); any number of directories, runs and
hosts make one table.  A question is a line of SQL over the view ``calls`` and prints a table of text, CSV or JSON.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

try:
    import duckdb

    DUCKDB_ERROR = ""
except ImportError as import_error:  # pragma: no cover - the requirement is installed where tests run
    DUCKDB_ERROR = str(import_error)

_NAME = re.compile(r"[A-Za-z_]\w*\Z")

COUNTS = """
select event, host, kernel, count(*) as calls, count(*) filter (where in_init) as in_init,
       count(distinct pid) as threads
from calls group by all order by event, host, kernel
"""

ARGUMENT = """
select event, host, ints[$name] as value, count(*) as calls
from calls where event = $event and map_contains(ints, $name)
group by all order by calls desc, value limit $limit
"""

TEXT_ARGUMENT = """
select event, host, texts[$name] as value, count(*) as calls
from calls where event = $event and map_contains(texts, $name)
group by all order by calls desc, value limit $limit
"""

RESULTS = """
select event, host,
       case when result between -4095 and -1 then 'error ' || result
            when result = 0 then '0' when abs(result) < 65536 then result::varchar
            when result < 0 then 'pointer' else 'large' end as result,
       count(*) as calls
from calls where result is not null group by all order by event, host, calls desc
"""

UNFREED = """
with steps as (
    select run, host, time_ns, event, pid, comm, in_init, result as value, true as begins from calls
    where event in $first and result <> 0 and result not between -4095 and -1
    union all
    select run, host, time_ns, event, pid, comm, in_init, ints[$name], false from calls where event in $then
), followed as (
    select *, lead(begins) over (partition by run, host, value order by time_ns) as again from steps
)
select run, host, event, time_ns, comm, pid, in_init, lower(hex(value)) as pointer
from followed where begins and again is distinct from false order by run, host, time_ns
"""

BETWEEN = """
with steps as (
    select run, host, time_ns, event, ints[$name] as value, event = $first as begins from calls
    where event in ($first, $then)
), followed as (
    select *, lead(begins) over w as again, lead(time_ns) over w - time_ns as gap_ns
    from steps window w as (partition by run, host, value order by time_ns)
)
select host, count(*) as pairs, min(gap_ns) as min_ns, median(gap_ns)::bigint as median_ns,
       quantile_cont(gap_ns, 0.99)::bigint as p99_ns, max(gap_ns) as max_ns
from followed where begins and again = false group by host order by host
"""

DIFF = """
with sides as (
    select event, case when {column} = $left then 1 else 2 end as side,
           case when result between -4095 and -1 then 'error ' || result
                when result is null then '-' when result = 0 then '0' else 'other' end as result,
           count(*) as calls
    from calls where {column} in ($left, $right) group by all
)
select event, result, coalesce(sum(calls) filter (where side = 1), 0)::bigint as "left",
       coalesce(sum(calls) filter (where side = 2), 0)::bigint as "right"
from sides group by event, result
having "left" <> "right" or $all order by event, result
"""


class QuestionError(Exception):
    """A question that cannot be answered.  The text says why and what to do."""


def files(directories: Sequence[str]) -> list[str]:
    """The Parquet files below directories.  Raises QuestionError when a directory has none."""
    found: list[str] = []
    for top in directories:
        here = [
            os.path.join(path, name)
            for path, _folders, names in os.walk(top)
            for name in names
            if name.endswith(".parquet")
        ]
        if not here:
            raise QuestionError(f"{top}: no records here: no file HOST.parquet; collect first (playbooks/collect.yml)")
        found += here
    return sorted(found)


def connect(directories: Sequence[str]) -> duckdb.DuckDBPyConnection:
    """A connection with the view ``calls`` over all records.  Raises QuestionError."""
    if DUCKDB_ERROR:
        raise QuestionError(f"duckdb is not installed ({DUCKDB_ERROR}); install it with pip")
    connection = duckdb.connect()
    connection.read_parquet(files(directories), hive_partitioning=True, union_by_name=True).create_view("calls")
    return connection


def ask(connection: duckdb.DuckDBPyConnection, question: str, **values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Ask one question; returns the names of the columns and the rows.  Raises QuestionError."""
    try:
        answer = connection.execute(question, values)
        return [column[0] for column in answer.description], answer.fetchall()
    except duckdb.Error as error:
        raise QuestionError(f"the question cannot be answered: {error}") from None
