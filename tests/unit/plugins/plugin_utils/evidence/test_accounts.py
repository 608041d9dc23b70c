# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of a watch: every record that was generated is there, or is lost and counted."""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import accounts
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import collected
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..host_dir import EVENTS, PAIRS, SECOND, HostDir, line, pages, stats

KFREE, UP = EVENTS


@pytest.fixture
def host(tmp_path: pathlib.Path) -> HostDir:
    return HostDir(tmp_path)


def account(host: HostDir, counts: dict[str, int] | None, flight_recorder: bool = False) -> dict[str, list[str]]:
    """{outcome: sentences} of a host."""
    trace = collected.read(str(host.path))
    trace.count()
    said: dict[str, list[str]] = {"ok": [], "fail": [], "missing": [], "note": []}
    for one in accounts.account(trace, counts, PAIRS, flight_recorder):
        said[one.outcome].append(f"{one.source}: {one.text}")
    return said


def test_counts_that_add_up_are_ok(host: HostDir) -> None:
    host.cpu(0, pages([KFREE] * 250 + [UP] * 3), stats(253))
    host.cpu(1, b"", stats(0))
    assert account(host, host.calls(250, 3)) == {
        "ok": [
            "stats.txt: 253 records generated on 2 CPUs, 253 came, 0 lost",
            "calls.json: the payloads count 253 calls: as many as records came or are lost",
        ],
        "fail": [], "missing": [], "note": [],
    }  # fmt: skip


NO_RETURN = "had not returned when the counters were read, or never will, or its event was off"

# -- what does not add up ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "outcome", "text"),
    [
        (stats(9), "fail", "raw: cpu0: 10 records came, the kernel handed out 9"),
        (stats(12), "fail", "raw: cpu0: 10 records came, the kernel handed out 12"),
        (stats(10, entries=4), "missing", "stats.txt: cpu0: 4 records were left in the buffer"),
    ],
)
def test_counts_that_differ_from_what_came_are_told(host: HostDir, counts: str, outcome: str, text: str) -> None:
    host.cpu(0, pages([KFREE] * 10), counts)
    said = account(host, host.calls(10, 0))
    assert said[outcome] == [text]
    assert not any("generated" in line for line in said["ok"])


@pytest.mark.parametrize(
    ("kfree", "up", "text"),
    [
        (11, 0, f"1 call of my_payload1/called_kfree {NO_RETURN} (11 calls counted, 10 records)"),
        (12, 0, f"2 calls of my_payload1/called_kfree {NO_RETURN} (12 calls counted, 10 records)"),
        (9, 0, "my_payload1/called_kfree: 9 calls counted, 10 records: the payload counts too few"),
        (10, 1, f"1 call of my_payload1/called_up {NO_RETURN} (1 calls counted, 0 records)"),
    ],
)
def test_a_call_without_a_record_or_a_record_without_a_call_fails(
    host: HostDir, kfree: int, up: int, text: str
) -> None:
    host.cpu(0, pages([KFREE] * 10), stats(10))
    assert account(host, host.calls(kfree, up))["fail"] == [f"calls.json: {text}"]


@pytest.mark.parametrize(("kfree", "up"), [(11, 0), (9, 0), (10, 1)])
def test_what_is_recorded_before_its_call_has_a_record_whether_it_returns_or_not(
    host: HostDir, kfree: int, up: int
) -> None:
    host.cpu(0, pages([KFREE] * 10), stats(10))
    trace = collected.read(str(host.path))
    trace.count()
    (found,) = (
        one.text
        for one in accounts.account(trace, host.calls(kfree, up), PAIRS, False, PAIRS)
        if one.outcome == "fail"
    )
    assert "not returned" not in found
    assert ("its event was off" in found) == (kfree > 10 or up > 0)


def test_a_call_that_the_ring_buffer_does_not_count_is_found_beside_loss(host: HostDir) -> None:
    host.cpu(0, pages([KFREE] * 10), stats(10, dropped=5))
    assert account(host, host.calls(17, 0))["fail"][1:] == [
        "calls.json: the payloads count 17 calls; 10 records came and 5 are lost: 2 are unaccounted for"
    ]


@pytest.mark.parametrize("counts", [None, {}, {PAIRS[0]: 10}])
def test_without_the_payloads_counts_evidence_is_missing(host: HostDir, counts: dict[str, int] | None) -> None:
    host.cpu(0, pages([KFREE] * 10), stats(10))
    said = account(host, counts)
    assert [line.split(":")[0] for line in said["missing"]] == ["calls.json"]
    assert said["fail"] == []


def test_records_of_events_that_no_payload_has_fail(host: HostDir) -> None:
    host.cpu(0, pages([KFREE] * 10 + [99]), stats(11))
    assert "raw: records of events that no payload has: unknown_99 (1)" in account(host, host.calls(10, 0))["fail"]


def test_a_kernel_that_does_not_count_what_was_read_is_held_against_the_payloads(host: HostDir) -> None:
    host.cpu(0, pages([KFREE] * 10), stats(None))
    assert account(host, host.calls(10, 0))["ok"][1:]
    assert account(host, host.calls(12, 0))["fail"]


def test_a_page_that_is_earlier_than_the_one_before_is_missing_evidence(host: HostDir) -> None:
    host.cpu(0, pages([KFREE] * 5, SECOND) + pages([KFREE] * 5, SECOND // 2) + pages([KFREE], SECOND // 4), stats(11))
    assert account(host, host.calls(11, 0))["missing"] == [
        "raw: cpu0: 2 records are earlier than the one before, the first 0.500001 s after 1.000005 s"
    ]


# -- loss --------------------------------------------------------------------------------------------


def test_loss_is_told_with_number_share_place_and_time(host: HostDir) -> None:
    host.cpu(3, pages([KFREE] * 300, lost={1: 60, 2: 40}), stats(300, overrun=100))
    text = (
        "stats.txt: cpu3 lost 100 of 400 records (25.00 %; overrun 100) "
        "between 1.000100 s and 1.000201 s of the trace clock in 2 holes"
    )
    assert account(host, host.calls(400, 0))["fail"] == [text]
    assert account(host, host.calls(400, 0), flight_recorder=True)["note"] == [f"{text}: overwritten by choice"]


def test_what_was_dropped_is_a_failure_even_of_a_flight_recorder(host: HostDir) -> None:
    host.cpu(0, pages([KFREE] * 9), stats(9, overrun=1, dropped=1))
    said = account(host, host.calls(11, 0), flight_recorder=True)
    assert said["fail"] == [
        "stats.txt: cpu0 lost 2 of 11 records (18.18 %; overrun 1, dropped 1) after 1.000001 s of the trace clock; "
        "the kernel does not tell when"
    ]


def test_a_hole_that_the_counts_do_not_know_fails(host: HostDir) -> None:
    host.cpu(0, pages([KFREE] * 200, lost={1: 7}), stats(200))
    assert account(host, host.calls(200, 0))["fail"] == [
        "raw: cpu0: the trace says that 7 records are lost, the ring buffer counts 0"
    ]


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "0.00 %"), (1, 10**9, "< 0.01 %"), (1, 8, "12.50 %"), (10**9 - 1, 10**9, "> 99.99 %"), (5, 5, "100.00 %")],
)
def test_a_share_never_hides_a_loss(part: int, whole: int, text: str) -> None:
    assert accounts.share(part, whole) == text


# -- hosts that died ---------------------------------------------------------------------------------


def test_of_a_dead_host_it_is_told_what_came_and_up_to_when(host: HostDir) -> None:
    data = pages([KFREE] * 250)
    host.cpu(0, data[:-1000], None, part=True)
    assert account(host, None)["missing"] == [
        "raw: cpu0: the last records did not come",
        "stats.txt: cpu0: no counts of the ring buffer; 200 records came, up to 1.000200 s of the trace clock",
        "calls.json: the payloads' counts of their calls did not come",
    ]


def test_a_host_of_which_nothing_came_has_no_counts(host: HostDir) -> None:
    assert account(host, None)["missing"][0] == "stats.txt: no CPU has counts or records"


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("header.txt", "nonsense", "header_page does not name timestamp"),
        ("formats.txt", "== a/b\nformat:\n", "no number"),
        ("stats.txt", "== cpu0\nentries: x\n", "stats.txt: line 2: "),
        ("raw/cpu0.pages", b"\xff" * 4096, "cpu0.pages: "),
    ],
)
def test_a_file_that_cannot_be_used_is_named(host: HostDir, name: str, content: Any, text: str) -> None:
    host.cpu(0, pages([KFREE]), stats(1))
    host.write(name, content)
    with pytest.raises(ForeignError, match=text):
        account(host, None)


# -- the kernel's text -------------------------------------------------------------------------------


def test_a_host_without_pages_is_accounted_by_lines(host: HostDir) -> None:
    host.write("raw/trace_pipe.txt", line(0, 1) + line(1, 2, "up") + "CPU:0 [LOST 4 EVENTS]\n" + line(0, 3))
    host.cpu(0, b"", stats(2, overrun=4))
    host.cpu(1, b"", stats(1))
    said = account(host, host.calls(6, 1))
    assert said["ok"][0] == "stats.txt: 7 records generated on 2 CPUs, 3 came, 4 lost"
    assert said["fail"] == [
        "stats.txt: cpu0 lost 4 of 6 records (66.67 %; overrun 4) "
        "between 10.001000 s and 10.003000 s of the trace clock"
    ]


def test_text_that_was_cut_off_ends_with_its_last_whole_line(host: HostDir) -> None:
    host.write("raw/trace_pipe.txt.part", line(0, 1) + line(0, 2) + line(0, 3)[:-9])
    said = account(host, None)
    assert (
        "stats.txt: cpu0: no counts of the ring buffer; 2 records came, up to 10.002000 s of the trace clock"
        in (said["missing"])
    )


@pytest.mark.parametrize("bad", ["nonsense\n", "x" * 20000 + "\n", "\x1b[2J\n"])
def test_a_line_that_is_no_record_is_missing_evidence(host: HostDir, bad: str) -> None:
    host.write("raw/trace_pipe.txt", line(0, 1) + bad)
    host.cpu(0, b"", stats(1))
    assert any("cannot be read" in text for text in account(host, host.calls(1, 0))["missing"])


def test_text_whose_time_goes_back_is_missing_evidence(host: HostDir) -> None:
    host.write("raw/trace_pipe.txt", line(0, 2) + line(1, 1) + line(0, 1))
    host.cpu(0, b"", stats(2))
    host.cpu(1, b"", stats(1))
    assert account(host, host.calls(3, 0))["missing"] == [
        "raw: cpu0: 1 records are earlier than the one before, the first 10.001000 s after 10.002000 s"
    ]


# -- any counts --------------------------------------------------------------------------------------

COUNT = st.integers(0, 300)
ONE_CPU = st.tuples(st.integers(0, 150), st.integers(0, 150), COUNT, COUNT, COUNT)
"""Of one CPU: records of kfree and of up that came; overrun, commit overrun, dropped."""


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ONE_CPU, min_size=1, max_size=3), st.integers(-3, 3), st.integers(-3, 3))
def test_the_identity_holds_exactly_when_nothing_is_missing(
    cpus: list[tuple[int, ...]], read_off: int, calls_off: int
) -> None:
    """``read_off``: by how much the kernel's count of CPU 0 is wrong; ``calls_off``: that of the payloads."""
    with tempfile.TemporaryDirectory() as directory:
        host = HostDir(pathlib.Path(directory))
        lost = 0
        for number, (kfree, up, overrun, commit, dropped) in enumerate(cpus):
            off = max(read_off, -(kfree + up)) if number == 0 else 0
            host.cpu(number, pages([KFREE] * kfree + [UP] * up),
                     stats(kfree + up + off, overrun=overrun, commit=commit, dropped=dropped))  # fmt: skip
            lost += overrun + commit + dropped
        came = sum(cpu[0] + cpu[1] for cpu in cpus)
        ups = sum(cpu[1] for cpu in cpus)
        calls = max(came + lost + calls_off, ups)  # as if only kfree had been lost
        said = account(host, host.calls(calls - ups, ups))
    first = cpus[0][0] + cpus[0][1]
    wrong_read = max(read_off, -first)
    sentence = f"raw: cpu0: {first} records came, the kernel handed out {first + wrong_read}"
    assert (sentence in said["fail"]) == (wrong_read != 0)
    assert any(text.startswith("stats.txt: ") for text in said["ok"]) == (wrong_read == 0)
    assert bool(said["ok"][-1:] and said["ok"][-1].startswith("calls.json")) == (calls == came + lost)
    assert sum("lost" in text and text.startswith("stats.txt: cpu") for text in said["fail"]) == sum(
        any(cpu[2:]) for cpu in cpus
    )
