# SPDX-License-Identifier: GPL-3.0-or-later
"""What came from one host is read once, for its rows and for its counts."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import collected, rows
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import thread_names
from hypothesis import given
from hypothesis import strategies as st

from ..host_dir import EVENTS, PAIRS, SECOND, HostDir, line, pages, stats

ORIGIN = rows.Origin("one", "6.12")
KFREE, UP = EVENTS


@pytest.fixture
def host(tmp_path: pathlib.Path) -> HostDir:
    return HostDir(tmp_path)


def test_rows_and_counts_come_from_one_reading(host: HostDir) -> None:
    host.cpu(0, pages([KFREE, UP] * 120), stats(240))
    trace = collected.read(str(host.path))
    found = [row for batch in trace.batches(ORIGIN) for row in batch.to_pylist()]
    assert len(found) == trace.decoded == 240
    assert trace.recorded == dict.fromkeys(PAIRS, 120)
    assert (found[0]["event"], found[0]["comm"], found[0]["time_ns"]) == ("called_kfree", "insmod", SECOND + 1000)
    assert trace.last_ns == max(row["time_ns"] for row in found)


def test_a_hole_without_a_number_is_one_record_at_least(host: HostDir) -> None:
    host.cpu(0, pages([KFREE] * 200, lost={1: -1}), stats(200, overrun=30))
    trace = collected.read(str(host.path))
    trace.count()
    cpu = trace.cpus[0]
    assert (cpu.missed, cpu.lost, cpu.losses) == (1, 30, [collected.Loss(0, SECOND + 100_000, SECOND + 101_000)])


def test_rows_come_from_text_as_well(host: HostDir) -> None:
    host.write("raw/trace_pipe.txt", line(0, 1) + line(0, 2, "up"))
    found = [row for one in collected.read(str(host.path)).batches(ORIGIN) for row in one.to_pylist()]
    assert [(row["event"], row["time_ns"]) for row in found] == [
        ("called_kfree", 10_001_000_000), ("called_up", 10_002_000_000)
    ]  # fmt: skip


# -- names of threads --------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.integers(0, 10**9 - 1), st.binary(max_size=15).filter(lambda raw: not set(raw) & {0, *b"0123456789"})
    )
)
def test_names_of_threads_may_hold_anything(names: dict[int, bytes]) -> None:
    written = b"".join(b"%d %b\n" % item for item in names.items())
    assert thread_names(written) == {pid: name.decode("utf-8", "replace") for pid, name in names.items()}


def test_a_name_that_looks_like_the_next_line_names_nobody() -> None:
    assert thread_names(b"12 bash\n500 a\n12 b\n13 c\n") == {500: "a", 13: "c"}


def test_what_is_too_long_for_a_name_is_not_one() -> None:
    assert thread_names(b"lost\n1 abcdefg\nhijklmn\nopq\n2 b\n") == {1: "abcdefg\nhijklmn", 2: "b"}


def test_a_name_with_a_line_end_is_the_same_in_pages_and_in_text(host: HostDir) -> None:
    host.write("comms.txt", b"500 a\r\nb\x85\n501 c\n")
    host.cpu(0, pages([KFREE]), stats(1))
    printed = "{:>16}-500     [000] ..... 10.000001: called_kfree: kfree(0)\n".format("a\r\nb\x85")
    found = [row for batch in collected.read(str(host.path)).batches(ORIGIN) for row in batch.to_pylist()]
    host.write("raw/trace_pipe.txt", printed.encode("latin-1"))
    found += [row for batch in collected.read(str(host.path)).batches(ORIGIN) for row in batch.to_pylist()]
    assert [row["comm"] for row in found] == ["a\r\nb\ufffd"] * 2
