# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of records on disk: names of partitions, one file for a host, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as arrow
import pyarrow.parquet as pq
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import dataset, rows
from hypothesis import given
from hypothesis import strategies as st

from ..table import Call, write

UP = Call(5, "called_up", {"sem": -1, "name": "a"})


def test_a_host_is_one_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    write(tmp_path, UP)
    assert dataset.files([str(tmp_path)]) == [str(tmp_path / "run=r1" / "system=Debian%2013" / "web1.parquet")]
    modes = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {
        "run=r1": 0o700,
        "run=r1/system=Debian%2013": 0o700,
        "run=r1/system=Debian%2013/web1.parquet": 0o600,
    }


def test_a_host_that_is_written_again_replaces_its_file_under_whatever_system(tmp_path: Path) -> None:
    write(tmp_path, UP, system="")
    write(tmp_path, UP, host="web2", system="")
    write(tmp_path, UP, UP)
    found = [os.path.relpath(path, tmp_path) for path in dataset.files([str(tmp_path)])]
    assert found == ["run=r1/system=Debian%2013/web1.parquet", "run=r1/system=unknown/web2.parquet"]
    assert pq.read_metadata(tmp_path / found[0]).num_rows == 2


def test_what_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path, UP)

    def broken() -> Iterator[rows.pa.RecordBatch]:
        yield from pq.read_table(dataset.files([str(tmp_path)])[0], partitioning=None).to_batches()
        raise ForeignError("cut off")

    with pytest.raises(ForeignError):
        dataset.write(str(tmp_path), "r1", "Debian 13", "web1", broken())
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["web1.parquet"]
    assert pq.read_metadata(dataset.files([str(tmp_path)])[0]).num_rows == 1


def test_row_groups_of_batches_with_other_names_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "TEXT_ROWS", 2)
    monkeypatch.setattr(dataset, "GROUP_ROWS", 4)
    calls = [Call(time, f"event{time}", {f"arg{time}": time}, f"comm{time}") for time in range(10)]
    write(tmp_path, *calls)
    table = pq.read_table(dataset.files([str(tmp_path)])[0], partitioning=None)
    assert table.column("event").to_pylist() == [f"event{time}" for time in range(10)]
    assert table.column("ints").to_pylist() == [[(f"arg{time}", time)] for time in range(10)]
    assert pq.read_metadata(dataset.files([str(tmp_path)])[0]).num_row_groups == 3


@given(st.text(min_size=1, max_size=30).filter(lambda name: "\0" not in name and name.isprintable()))
def test_no_name_leaves_its_directory_and_every_name_comes_back(name: str) -> None:
    path = dataset.partition("/top", name, name)
    top, run, system = path.rsplit("/", 2)
    assert top == "/top"
    part = arrow.HivePartitioning(rows.pa.schema([("run", "string"), ("system", "string")]))
    assert arrow.get_partition_keys(part.parse(f"/{run}/{system}/x.parquet")) == {"run": name, "system": name}
    assert not dataset.quoted(name).startswith(("_", "."))


def test_files_are_found_once_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path / "slice1" / "r1" / "records", UP)
    write(tmp_path / "slice2" / "r2" / "records", UP, run="r2")
    (tmp_path / "latest").symlink_to("slice2")
    (tmp_path / "other.parquet").write_text("not ours")
    assert len(dataset.files([str(tmp_path)])) == 2
    assert len(dataset.files([str(tmp_path), str(tmp_path / "latest"), str(tmp_path / "slice2" / "r2")])) == 2


def test_a_directory_without_records_is_named(tmp_path: Path) -> None:
    with pytest.raises(ForeignError, match="no records here: no run=RUN"):
        dataset.files([str(tmp_path)])
    with pytest.raises(ForeignError, match="nowhere: there is no such directory"):
        dataset.files([str(tmp_path / "nowhere")])


def test_rows_become_lines_of_json(tmp_path: Path) -> None:
    write(
        tmp_path,
        Call(5, "called_f", {"n": -1, "name": "\x1b[2J", "in_init": 1, "returnValue": (1 << 64) - 12}),
        run="1e5",
    )
    (line,) = dataset.json_lines(dataset.files([str(tmp_path)])[0])
    assert line.isascii()
    assert json.loads(line) == {
        "run": "1e5",
        "system": "Debian 13",
        "host": "web1",
        "kernel": "6.12",
        "cpu": 0,
        "pid": 7,
        "comm": "sh",
        "time_ns": 5,
        "event": "called_f",
        "in_init": True,
        "ints": {"n": -1},
        "texts": {"name": "\x1b[2J"},
        "result": -12,
        "site": None,
        "moment": None,
    }


def test_json_of_several_pieces_has_every_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "TEXT_ROWS", 3)
    monkeypatch.setattr(dataset, "GROUP_ROWS", 7)
    monkeypatch.setattr(dataset, "JSON_ROWS", 2)
    calls = [Call(n, f"e{n % 3}", {f"arg{k}": n * k for k in range(n % 4)} | {"t": f"text {n}"}) for n in range(20)]
    write(tmp_path, *calls)
    found = [json.loads(line) for line in dataset.json_lines(dataset.files([str(tmp_path)])[0])]
    assert [{**row["ints"], **row["texts"]} for row in found] == [call.fields for call in calls]
    assert [(row["time_ns"], row["event"]) for row in found] == [(call.time_ns, call.event) for call in calls]


def test_json_of_a_part_of_a_column_is_that_of_the_part() -> None:
    pairs = [[("a", 1)], [("b", 2), ("c", None)], [], [("d", 4)]]
    whole = rows.pa.array(pairs, rows.pa.map_("string", "int64"))
    assert dataset._words(whole.slice(1, 2)) == ['{"b": 2, "c": null}', "{}"]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, UP)
    path = dataset.files([str(tmp_path)])[0]
    Path(path).write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(ForeignError, match=r"web1\.parquet: cannot be read"):
        list(dataset.json_lines(path))
