# SPDX-License-Identifier: GPL-3.0-or-later
"""Judged watches for tests: watch.json and the tables of records beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import dataset, rows
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import Record

RUN = "20260131T120000Z-1"
CLOCK = {"clock": "boot", "pairs": 3, "offset_ns": 1_769_860_000_000_000_000, "drift_ns": 0, "bound_ns": 10_000,
         "error_ns": 40_000}  # fmt: skip


def call(
    time_ns: int, event: str, *, cpu: int = 0, comm: str = "dd", pid: int = 7, **fields: int | str
) -> Record:
    """One record; ``fields`` as an event has them, with in_init and returnValue."""
    return Record(0, comm, pid, cpu, "", time_ns, "p", event, fields)


def cpu(number: int, decoded: int, **more: Any) -> dict[str, Any]:
    """The account of a CPU of which every record came."""
    none = dict.fromkeys(("overrun", "commit_overrun", "dropped", "left", "missed"), 0)
    account = {"cpu": number, "generated": decoded, "read": decoded, **none, "decoded": decoded, "losses": [],
               "first_ns": 1, "last_ns": 2}  # fmt: skip
    return {**account, **more}


def host(name: str, *cpus: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The entry of a host in watch.json; it is OK."""
    entry = {"host": name, "system": "Debian 13", "kernel": "6.12.117+deb13-amd64", "arch": "x86_64", "verdict": "OK",
             "reason": "all 12 checks hold", "records": sum(one["decoded"] for one in cpus), "lost": 0,
             "checks": [{"name": "stats.txt", "ok": True, "text": "the counts add up"}], "notes": [],
             "cpus": list(cpus), "events": {}, "clock": CLOCK, "console": []}  # fmt: skip
    return {**entry, **more}


def watch(run: Path, hosts: list[dict[str, Any]], tables: dict[str, list[Record]]) -> Path:
    """Write a run directory; returns it."""
    run.mkdir(parents=True, exist_ok=True)
    judged = {"run_id": RUN, "targets": ["cp_target"], "hosts": hosts}
    (run / "watch.json").write_text(json.dumps(judged), encoding="utf-8")
    for name, calls in tables.items():
        batches = rows.text_batches(calls, {}, rows.Origin(name, "6.12", {}))
        dataset.write(str(run / "records"), RUN, "Debian 13", name, batches)
    return run


def large(run: Path, hosts: int, cpus: int, count: int, events: int = 6) -> Path:
    """A watch of ``count`` records of every CPU, in bursts as a driver at work makes them."""
    names = [f"web{number}" for number in range(hosts)]
    chance = np.random.default_rng(1)
    for name in names:
        batches = [_batch(name, number, count, events, chance) for number in range(cpus)]
        dataset.write(str(run / "records"), RUN, "Debian 13", name, batches)
    return watch(run, [host(name, *(cpu(number, count) for number in range(cpus))) for name in names], {})


def _batch(name: str, number: int, count: int, events: int, chance: np.random.Generator) -> pa.RecordBatch:
    def same(value: str) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([value]))

    def map_of(keys: list[str], items: pa.Array) -> pa.Array:
        named = pa.DictionaryArray.from_arrays(
            pa.array(np.tile(np.arange(len(keys), dtype=np.int32), count)), pa.array(keys, pa.string())
        )
        return pa.MapArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * len(keys)), named, items)

    steps = chance.integers(300, 20_000, count) + np.where(chance.random(count) < 0.001, 50_000_000, 0)
    values = np.stack([np.full(count, -0x7000_0000_0000), np.arange(count), chance.integers(1, 4096, count)], 1)
    kinds = [f"called_function_{letter}" for letter in "abcdefghijkl"[:events]]
    event = chance.choice(len(kinds), count, p=np.arange(len(kinds), 0, -1) / sum(range(len(kinds) + 1)))
    columns = {
        "host": same(name),
        "kernel": same("6.12"),
        "cpu": pa.array(np.full(count, number, np.int16)),
        "pid": pa.array(chance.integers(100, 140, count).astype(np.int32)),
        "comm": same("dd"),
        "time_ns": pa.array(10**12 + np.cumsum(steps)),
        "event": pa.DictionaryArray.from_arrays(pa.array(event.astype(np.int32)), pa.array(kinds)),
        "in_init": pa.array(np.arange(count) < count // 50),
        "ints": map_of(["to", "from", "n"], pa.array(values.reshape(-1))),
        "texts": map_of([], pa.array([], pa.string())),
        "result": pa.array(np.where(event == 0, 0, -14)),
        "site": same("cfake_read+0x42"),
        "moment": same("after"),
    }
    return pa.RecordBatch.from_pydict(columns, schema=rows.schema())
