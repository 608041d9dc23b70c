# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host left behind becomes rows, from pages or from printed text. The sample was recorded on Debian 13."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import host_records

SAMPLE = Path(paths.ROOT) / "tests" / "unit" / "data" / "host"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "web1"))


def read(directory: Path) -> tuple[host_records.HostRecords, list[dict[str, Any]]]:
    found = host_records.find(str(directory), "web1")
    rows = [row for batch in found.batches() for row in batch.to_pylist(maps_as_pydicts="strict")]
    return found, rows


def test_pages_and_what_the_kernel_prints_of_them_make_the_same_rows(host: Path) -> None:
    pages, binary = read(host)
    shutil.rmtree(host / "raw")
    text, printed = read(host)
    assert (pages.trace.form, text.trace.form, pages.problems, text.problems) == ("pages", "text", [], [])
    assert len(binary) == len(printed) > 700
    for ours, kernels in zip(binary, printed, strict=True):
        assert abs(ours["time_ns"] - kernels["time_ns"]) <= 500  # microseconds are printed, rounded
        assert {key: ours[key] for key in ("host", "kernel", "cpu", "pid", "comm", "event")} == {
            key: kernels[key] for key in ("host", "kernel", "cpu", "pid", "comm", "event")
        }
        same = {"bytes_req", "bytes_alloc", "node", "prev_pid", "next_pid", "prev_prio", "next_prio", "pid", "old_pid"}
        assert {name: value for name, value in ours["ints"].items() if name in same} == {
            name: value for name, value in kernels["ints"].items() if name in same
        }
        same = {"prev_comm", "next_comm", "filename"}
        assert {name: value for name, value in ours["texts"].items() if name in same} == {
            name: value for name, value in kernels["texts"].items() if name in same
        }
    assert Counter(row["event"] for row in binary).keys() >= {"kmalloc", "kfree", "sched_switch", "sched_process_exec"}


def test_pages_of_a_host_that_died_are_read_as_far_as_they_came(host: Path) -> None:
    (host / "raw" / "cpu0.pages").rename(host / "raw" / "cpu0.pages.part")
    with open(host / "raw" / "cpu0.pages.part", "r+b") as stream:
        stream.truncate(3 * 4096 + 100)
    (host / "stats.txt").unlink()
    _found, rows = read(host)
    assert 0 < len(rows) < 400


def write_sites(host: Path, *lines: str) -> None:
    areas = [f"text {area} 0x1000 scanned 4000" for area in ("core", "init")]
    (host / "sites.txt").write_text("".join(f"{line}\n" for line in ("target ext4", *areas, *lines)))
    events = [
        {"event": "kfree", "function": "kfree", "symbol": "kfree", "moment": "before"},
        {"event": "kmalloc", "function": "kmalloc", "symbol": "_km"},
    ]
    (host / "payloads.json").write_text(json.dumps([{"module": "m", "events": events}]))


def test_the_site_is_known_where_one_place_was_patched(host: Path) -> None:
    write_sites(
        host,
        "site kfree jmp core 0x5e6 to kedr_repl_kfree+0x0 m",
        "site _km call init 0x1 to kedr_repl_kmalloc+0x0 m",
        "site _km call core 0x2 to kedr_repl_kmalloc+0x0 m",
        "function kfree call 0 jmp 1",
        "function _km call 2 jmp 0",
    )
    _found, rows = read(host)
    assert {row["event"]: row["site"] for row in rows} == {
        "kfree": "ext4:core+0x5e6",
        "kmalloc": None,
        "sched_switch": None,
        "sched_process_exec": None,
    }
    assert {row["event"]: row["moment"] for row in rows} == {
        "kfree": "before",
        "kmalloc": "after",
        "sched_switch": None,
        "sched_process_exec": None,
    }


def test_a_report_of_sites_that_cannot_be_read_is_said_and_costs_no_record(host: Path) -> None:
    write_sites(host, "site kfree jmp nowhere")
    found, rows = read(host)
    assert len(rows) > 700
    (problem,) = found.problems
    assert "sites.txt: line 4" in problem and "no call site is known" in problem
    assert {row["moment"] for row in rows if row["event"] == "kfree"} == {"before"}


def test_lines_that_are_no_records_are_counted(host: Path) -> None:
    shutil.rmtree(host / "raw")
    lines = (host / "trace.txt").read_text().splitlines(keepends=True)
    (host / "trace.txt").write_text(
        "".join(lines[:30]) + "\x1b[2J not a record\nCPU:0 [LOST 17 EVENTS]\n" + "".join(lines[30:])
    )
    found, rows = read(host)
    assert len(rows) == len(lines) - sum(line.startswith("#") for line in lines)
    assert found.problems == [
        "trace.txt: 1 lines are not records, the first is line 31: not a trace record",
        "trace.txt: the kernel says that 17 records are lost",
    ]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("facts.json", "{", "facts.json: is not valid JSON"),
        ("facts.json", "[]", "facts.json: does not hold a JSON object"),
        ("facts.json", "{}", "no release of the kernel"),
        ("formats.txt", "== kmem/kfree\nID: 1\n", "format of kmem/kfree: no number"),
        ("header.txt", "", "header_page does not name timestamp"),
        ("raw/cpu0.pages", "x" * 4096, "raw/cpu0.pages: page 0"),
    ],
)
def test_files_that_cannot_be_read_are_named(host: Path, name: str, text: str, reason: str) -> None:
    (host / name).write_text(text)
    with pytest.raises(ForeignError, match=reason):
        read(host)


def test_a_host_without_a_trace_is_told_from_one_without_records(host: Path) -> None:
    shutil.rmtree(host / "raw")
    (host / "trace.txt").unlink()
    with pytest.raises(ForeignError, match="no trace of this host"):
        read(host)
    (host / "raw").mkdir()
    with pytest.raises(ForeignError, match="no trace of this host"):
        read(host)
    (host / "trace.txt").write_text("# tracer: nop\n")
    assert read(host)[1] == []
