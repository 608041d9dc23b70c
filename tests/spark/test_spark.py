# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of records opens in Spark as it is: the same question has the same answer as in DuckDB."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.ask import query
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import host_records
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import dataset, rows
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import Record
from pyspark.sql import SparkSession

SAMPLE = Path(__file__).parents[1] / "unit" / "data" / "host"
NAMES = [("1e5", "web1"), ("100000", "web1"), ("2024-01-01", "007"), ("007", "_hidden"), ("true", "1e5"), ("x", "NULL")]
"""Names of runs and of hosts of which some engines make numbers, dates or nothing."""

EDGES = [-(1 << 63), -(1 << 31), -4095, -1, 0, 1, (1 << 31) - 1, (1 << 63) - 1]

QUESTIONS = [
    "select event, host, count(*) as n from calls group by event, host",
    "select run, system, host, count(*) as n, max(time_ns) as t from calls group by run, system, host",
    "select event, comm, cpu, count(distinct pid) as n from calls group by event, comm, cpu",
    "select ints['bytes_req'] as size, count(*) as n from calls where event = 'kmalloc' group by ints['bytes_req']",
    "select event, sum(cast(ints['ptr'] as decimal(38, 0))) as pointers from calls group by event",
    "select ints['n'] as n, result, texts['name'] as name, in_init, site from calls where event = 'called_edge'",
    "select texts['next_comm'] as comm, count(*) as n from calls group by texts['next_comm']",
    "select in_init, count(result) as results, count(site) as sites, count(*) as n from calls group by in_init",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real records of one host for each pair of names, and records with the ends of every type."""
    top = tmp_path_factory.mktemp("records")
    host = Path(shutil.copytree(SAMPLE, tmp_path_factory.mktemp("host") / "web1"))
    for run, name in NAMES:
        found = host_records.find(str(host), name)
        dataset.write(str(top), run, found.system, name, found.batches())
    edges = [
        Record(0, "é", 1, 0, "", 1, "p", "called_edge", {"n": n, "returnValue": n, "in_init": 1, "name": f"é{n}"})
        for n in EDGES
    ]
    origin = rows.Origin("edges", "6.12", {"called_edge": "ext4:core+0x10"})
    dataset.write(str(top), "edges", "a system/with=odd %signs", "edges", rows.text_batches(edges, {}, origin))
    return top


@pytest.fixture(scope="module")
def spark(table: Path) -> Iterator[SparkSession]:
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
        .getOrCreate()
    )
    session.read.parquet(str(table)).createOrReplaceTempView("calls")
    yield session
    session.stop()


def sorted_rows(rows: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in rows), key=repr)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_same_question_has_the_same_answer(
    spark: SparkSession, table: Path, question: str, tmp_path: Path
) -> None:
    ours = query.ask(query.connect([str(table)], str(tmp_path)), question)
    assert ours.rows
    assert sorted_rows(spark.sql(question).collect()) == sorted_rows(ours.rows)


def test_the_columns_have_the_same_types(spark: SparkSession) -> None:
    assert dict(spark.table("calls").dtypes) == {
        "host": "string",
        "kernel": "string",
        "cpu": "smallint",
        "pid": "int",
        "comm": "string",
        "time_ns": "bigint",
        "event": "string",
        "in_init": "boolean",
        "ints": "map<string,bigint>",
        "texts": "map<string,string>",
        "result": "bigint",
        "site": "string",
        "moment": "string",
        "run": "string",
        "system": "string",
    }


def test_no_host_is_passed_over_and_names_stay_names(spark: SparkSession) -> None:
    found = {(row.run, row.host) for row in spark.sql("select distinct run, host from calls").collect()}
    assert found == {*NAMES, ("edges", "edges")}
