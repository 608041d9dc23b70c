# SPDX-License-Identifier: GPL-3.0-or-later
"""Each question to the table of records has the right answer."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ..asked import answer, kfree, kmalloc
from ..table import Call, write


def test_calls_are_counted_by_function_and_host(two_kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counted = answer(capsys, "counts", two_kernels)
    assert [(row["event"], row["host"], row["kernel"], row["system"], row["calls"]) for row in counted] == [
        ("called_copy", "new", "6.12", "Debian 13", 1),
        ("called_kfree", "new", "6.12", "Debian 13", 1),
        ("called_kfree", "old", "6.1", "Debian 12", 2),
        ("called_kmalloc", "new", "6.12", "Debian 13", 2),
        ("called_kmalloc", "old", "6.1", "Debian 12", 2),
    ]


@pytest.mark.parametrize(
    ("chosen", "calls"),
    [
        (["host=old"], 4),
        (["host=o*", "host=new"], 8),
        (["kernel=6.1"], 4),
        (["event=called_k*", "host=new"], 3),
        (["run=r2"], 0),
        (["host='; drop view calls; --"], 0),
    ],
)
def test_records_are_chosen_by_columns(
    two_kernels: Path, capsys: pytest.CaptureFixture[str], chosen: list[str], calls: int
) -> None:
    words = [word for one in chosen for word in ("--where", one)]
    assert sum(row["calls"] for row in answer(capsys, "counts", two_kernels, *words)) == calls


def test_values_of_an_argument_come_with_the_most_frequent_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, *(kmalloc(n, size, 16) for n, size in enumerate([8, 64, 64, 8, 64, 1 << 20])))
    found = answer(capsys, "values", tmp_path, "--event", "kmalloc", "--argument", "size", "--limit", "2")
    assert [(row["value"], row["meaning"], row["calls"], row["percent"]) for row in found] == [
        ("64", "", 3, 50.0),
        ("8", "", 2, 33.33),
    ]


def test_values_of_results_tell_errors_and_addresses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, *(kmalloc(n, 1, value) for n, value in enumerate([(1 << 64) - 12, 0xFFFF888000000000, 0])))
    found = answer(capsys, "values", tmp_path)
    assert {(row["value"], row["meaning"]) for row in found} == {
        ("-12", "error"),
        (str(0xFFFF888000000000 - (1 << 64)), "0xffff888000000000"),
        ("0", ""),
    }


def test_values_of_texts(two_kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = answer(capsys, "values", two_kernels, "--event", "called_copy", "--argument", "name")
    assert (row["value"], row["calls"]) == ("x", 1)


def test_the_spread_of_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, *(kmalloc(size, size, 16) for size in range(1, 101)))
    (row,) = answer(capsys, "quantiles", tmp_path, "--event", "kmalloc", "--argument", "size")
    assert {name: row[name] for name in ("calls", "values", "min", "p25", "median", "p75", "p95", "p99", "max")} == {
        "calls": 100, "values": 100, "min": 1, "p25": 25, "median": 50, "p75": 75, "p95": 95, "p99": 99, "max": 100,
    }  # fmt: skip


def test_allocations_are_followed_to_their_free(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        tmp_path,
        kmalloc(1, 8, 0x1000),
        kmalloc(2, 8, 0x2000, in_init=1),
        kmalloc(2, 8, 0x3000),
        kfree(2, 0x3000),  # in the same microsecond: their order in the trace counts
        kfree(3, 0x1000),
        kmalloc(4, 8, 0x1000),
        kmalloc(5, 8, 0x1000),  # somebody else has given it back
        kfree(6, 0x1000),
        kmalloc(7, 0, 16),  # a size of 0
        kmalloc(8, 8, 0),  # no memory
        kmalloc(9, 8, (1 << 64) - 12),
        sites={"called_kmalloc": "ext4:core+0x10"},
        moments={"called_kfree": "before"},
    )
    (row,) = answer(capsys, "unfreed", tmp_path)
    assert (row["taken"], row["given_back"], row["handed_out_again"], row["never"]) == (5, 3, 1, 1)
    lost = answer(capsys, "unfreed-list", tmp_path)
    assert [(one["time_ns"], one["value"], one["given_back"], one["in_init"], one["site"]) for one in lost] == [
        (2, "0x2000", "never", True, "ext4:core+0x10"),
        (4, "0x1000", "handed out again", False, "ext4:core+0x10"),
    ]


@pytest.mark.parametrize("moments", [{"called_kfree": "after"}, {}])
def test_an_address_that_was_handed_out_twice_may_have_been_freed_and_recorded_late(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], moments: dict[str, str]
) -> None:
    """The second of two addresses is never given back afterwards: then no record can have come late."""
    calls = [kmalloc(1, 8, 0x1000), kmalloc(2, 8, 0x1000), kfree(3, 0x1000), kfree(4, 0x1000)]
    write(tmp_path, *calls, kmalloc(5, 8, 0x2000), kmalloc(6, 8, 0x2000), moments=moments)
    (row,) = answer(capsys, "unfreed", tmp_path)
    assert (row["handed_out_again"], row["or_recorded_late"]) == (2, 1)
    assert [one["given_back"] for one in answer(capsys, "unfreed-list", tmp_path)] == [
        "handed out again, or given back and recorded late", "handed out again", "never"
    ]  # fmt: skip


def test_what_krealloc_gives_back_is_recorded_late_in_any_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moments = {"called_kfree": "before", "called_krealloc": "after"}
    write(tmp_path, kmalloc(1, 8, 0x1000), kmalloc(2, 8, 0x1000), krealloc(3, 0x1000, 0x2000), moments=moments)
    rows = {row["event"]: row["or_recorded_late"] for row in answer(capsys, "unfreed", tmp_path)}
    assert rows == {"called_kmalloc": 1, "called_krealloc": 0}


def test_an_allocation_of_one_host_is_not_freed_by_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, kmalloc(1, 8, 0x1000))
    write(tmp_path, kfree(2, 0x1000), host="web2")
    write(tmp_path, kfree(2, 0x1000), run="r2")
    assert [(row["host"], row["never"]) for row in answer(capsys, "unfreed", tmp_path)] == [("web1", 1)]


def krealloc(time: int, old: int, new: int) -> Call:
    return Call(time, "called_krealloc", {"p": old, "size": 8, "returnValue": new})


def test_krealloc_gives_back_and_takes_unless_it_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        tmp_path,
        kmalloc(1, 8, 0x1000),
        krealloc(2, 0x1000, 0),
        krealloc(3, 0x1000, 0x1000),
        krealloc(4, 0x1000, 0x2000),
    )
    found = answer(capsys, "unfreed", tmp_path)
    assert [(row["event"], row["taken"], row["given_back"], row["never"]) for row in found] == [
        ("called_kmalloc", 1, 1, 0),
        ("called_krealloc", 2, 1, 1),
    ]


def test_the_time_between_two_events_for_the_same_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locks = [
        Call(time, f"called_{name}", {"sem": 1}) for time, name in ((10, "down"), (30, "up"), (40, "down"), (45, "up"))
    ]
    write(tmp_path, *locks, Call(50, "called_down", {"sem": 2}), Call(60, "called_up", {"sem": 3}))
    (row,) = answer(capsys, "between", tmp_path, "--first", "down:sem", "--then", "up:sem")
    assert (row["first"], row["then"], row["pairs"], row["min_ns"], row["max_ns"]) == (
        "called_down",
        "called_up",
        2,
        5,
        20,
    )


@pytest.mark.parametrize(
    ("down", "up", "measured"),
    [
        ("after", "before", "return to call"),
        ("after", "after", "return to return, with the second call"),
        ("before", "before", "call to call, with the first call"),
        ("before", "after", "call to return, with both calls"),
    ],
)
def test_the_time_between_two_events_says_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], down: str, up: str, measured: str
) -> None:
    calls = [Call(10, "called_down", {"sem": 1}), Call(30, "called_up", {"sem": 1})]
    write(tmp_path, *calls, moments={"called_down": down, "called_up": up})
    (row,) = answer(capsys, "between", tmp_path, "--first", "down:sem", "--then", "up:sem")
    assert (row["measured"], row["median_ns"]) == (measured, 20)


def test_times_of_two_moments_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls = [Call(10, "called_down", {"sem": 1}), Call(30, "called_up", {"sem": 1})]
    write(tmp_path, *calls)
    write(tmp_path, *calls, run="r2", moments={"called_down": "after", "called_up": "before"})
    rows = answer(capsys, "between", tmp_path, "--first", "down:sem", "--then", "up:sem")
    assert [(row["measured"], row["pairs"]) for row in rows] == [
        ("return to call", 1),
        ("return to return, with the second call", 1),
    ]


def test_tables_of_older_runs_were_recorded_after_the_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls = [Call(10, "called_down", {"sem": 1}), Call(30, "called_up", {"sem": 1})]
    write(tmp_path, *calls)
    (path,) = tmp_path.rglob("*.parquet")
    table = pq.ParquetFile(path).read().drop_columns(["moment"])
    pq.write_table(table, path)
    (row,) = answer(capsys, "between", tmp_path, "--first", "down:sem", "--then", "up:sem")
    assert row["measured"] == "return to return, with the second call"
    write(tmp_path, *calls, run="r2", moments={"called_up": "before"})
    assert len(answer(capsys, "between", tmp_path, "--first", "down:sem", "--then", "up:sem")) == 2
    assert [row["event"] for row in answer(capsys, "counts", tmp_path, "--where", "moment=before")] == ["called_up"]


def test_the_difference_of_two_kernels(two_kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "diff", two_kernels, "--left", "kernel=6.1", "--right", "kernel=6.12")
    assert [
        (row["difference"], row["event"], row["what"], row["value"], row["left"], row["right"]) for row in found
    ] == [
        ("only right", "called_copy", "calls", None, 0, 1),
        ("more left", "called_kfree", "calls", None, 2, 1),
        ("only left", "called_kmalloc", "argument size", "64", 2, 0),
        ("only right", "called_kmalloc", "argument size", "96", 0, 2),
        ("only left", "called_kfree", "argument p", "8192", 1, 0),
        ("only right", "called_kmalloc", "result", "0", 0, 1),
        ("only left", "called_kmalloc", "result", "8192", 1, 0),
        ("more right", "called_kfree", "argument p", "4096", 1, 1),
    ]


def test_a_kernel_does_not_differ_from_itself_and_numbers_of_hosts_do_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for host, kernel in (("a", "6.1"), ("b", "6.12"), ("c", "6.12")):
        write(tmp_path, kmalloc(1, 64, 0xFFFF888000000000 + (ord(host) << 12)), host=host, kernel=kernel)
    assert answer(capsys, "diff", tmp_path, "--left", "kernel=6.1", "--right", "kernel=6.12") == []
    everything = answer(capsys, "diff", tmp_path, "--left", "kernel=6.1", "--right", "kernel=6.12", "--at-least", "0")
    assert {row["difference"] for row in everything} == {"same"}
    assert ("result", "an address, or large") in {(row["what"], row["value"]) for row in everything}


def test_many_values_are_compared_by_their_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, *(kmalloc(n, 1000 + n, 0) for n in range(100)), host="a")
    write(tmp_path, *(kmalloc(n, 1001 + n, 0) for n in range(100)), host="b")
    found = answer(capsys, "diff", tmp_path, "--left", "host=a", "--right", "host=b", "--at-least", "0.001")
    assert [(row["what"], row["value"], row["left"], row["right"]) for row in found] == [
        ("argument size", "1024 to 2047", 76, 77),
        ("argument size", "512 to 1023", 24, 23),
    ]


def test_a_question_of_ones_own(two_kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "sql", two_kernels, "-q", "select max(ints['size']) as most from calls where not in_init")
    assert found == [{"most": 96}]


def test_several_runs_are_one_table_and_names_that_look_like_numbers_stay_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["1e5", "100000", "2024-01-01", "007", "true", "a b", "__HIVE", "50%", "x/y", "NULL"]
    for name in names:
        write(
            tmp_path / f"slice [{name[:1]}]*" / "records",
            kfree(1, 1),
            run=name,
            system=name,
            host=name.replace("/", "-"),
        )
    found = answer(
        capsys, "sql", tmp_path, "-q", "select run, system, host, typeof(run) as type from calls order by run"
    )
    assert [(row["run"], row["system"]) for row in found] == [(name, name) for name in sorted(names)]
    assert {row["type"] for row in found} == {"VARCHAR"}
