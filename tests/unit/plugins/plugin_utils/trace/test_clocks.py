# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of clock readings: what a host says, what lies between two pairs, which record came first."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell as hostshell
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks
from hypothesis import given
from hypothesis import strategies as st
from moments import moment, order

BOOT_ID = "7673e382-488d-4354-a96e-4e91ae62a48e"
CHRONY = "C0000201,192.0.2.1,3,1795435424.5,-0.000012,0.00001,0.00002,-1.2,0.001,0.05,0.001500,0.000250,64.2,{}"
SHELLS = [shell for shell in ("sh", "dash", "bash --posix", "busybox sh") if shutil.which(shell.split()[0])]
DAY = 1_795_435_424_999_545_707


def clock(
    *pairs: tuple[int, int, int], name: str = "boot", boot_id: str = "", error_ns: int | None = 0
) -> clocks.Clock:
    """A clock with pairs (trace_ns, offset_ns, uncertainty_ns)."""
    found = tuple(clocks.ClockPair("during", name, at, at + offset, unsure) for at, offset, unsure in pairs)
    return clocks.Clock(name, found, boot_id, error_ns)


# -- which clock -------------------------------------------------------------------------------------


# -- what a host says --------------------------------------------------------------------------------


def test_offsets_of_the_kernel_make_an_exact_pair() -> None:
    [pair] = clocks.take(["clocks begin boot timers 30206121399175 1795405218869552862 1000"])
    assert pair == {
        "when": "begin",
        "clock": "boot",
        "trace_ns": 30206121400175,
        "realtime_ns": 30206121399175 + 1795405218869552862,
        "uncertainty_ns": clocks.TIMERS_NS,
    }


def test_marks_around_a_reading_bound_the_offset_and_the_narrowest_sides_of_all_tries_count() -> None:
    first = f"31.370000:mark1 31.372000:{DAY}"
    second = f"31.380000:mark2 31.381000:{DAY + 10_500_000}"
    [pair] = clocks.take([f"clocks end local marks {first} {second}"])
    low = max(DAY - 31_372_000_999, DAY + 10_500_000 - 31_381_000_999)
    high = min(DAY - 31_370_000_000, DAY + 10_500_000 - 31_380_000_000)
    assert pair["realtime_ns"] - pair["trace_ns"] == (low + high) // 2
    assert 0 <= pair["uncertainty_ns"] - (high - low) / 2 < 1
    assert pair["trace_ns"] == 31_370_000_000


def test_a_date_without_nanoseconds_is_worth_a_second() -> None:
    [pair] = clocks.take([f"clocks end local marks 5.000000:mark1 5.001000:{DAY // 10**9}N"])
    assert abs(pair["uncertainty_ns"] - 500_500_499) <= 1


@pytest.mark.parametrize(
    "line",
    [
        "clocks begin boot timers 1 2",
        "clocks begin boot timers 1 2 x",
        "clocks begin boot timers 1 2 99999999999999999999",
        "clocks sometime boot timers 1 2 3",
        "clocks begin bo\x1bot timers 1 2 3",
        "clocks begin local marks",
        "clocks begin local marks 12:mark1 13:1795435424999545707",
        "clocks begin local marks 5.000000:1795435424999545707",
        f"clocks begin local marks 5.0:mark1 9.000000:mark1 5.000000:{DAY} 9.000000:mark2 5.000000:{DAY + 10**12}",
        "clocks boot_id ../../etc",
        "clocks chrony 506 Cannot talk to daemon",
        "clocks chrony " + CHRONY.format("Normal").replace("0.001500", "nan"),
        "clocks",
        "",
    ],
)
def test_what_makes_no_sense_gives_nothing(line: str) -> None:
    assert clocks.take([line]) == []


@given(st.text())
def test_whatever_a_host_says_is_taken_or_left(text: str) -> None:
    for prefix in ("", "clocks ", "clocks begin boot ", "clocks chrony "):
        found = clocks.take([prefix + text])
        assert clocks.parse(clocks.dump(found)) is not None


def test_chrony_bounds_the_error_while_it_is_synchronised() -> None:
    [good] = clocks.take(["clocks chrony " + CHRONY.format("Normal")])
    assert good["chrony"]["error_ns"] == 12_000 + 250_000 + 750_000
    [lost] = clocks.take(["clocks chrony " + CHRONY.format("Not synchronised")])
    assert lost["chrony"]["error_ns"] is None
    [alone] = clocks.take(["clocks chrony " + CHRONY.format("Normal").replace("C0000201", "7F7F0101")])
    assert alone["chrony"]["error_ns"] is None


def now() -> int:
    """The clock of day, as a program of the machine reads it."""
    return int(subprocess.run(["date", "+%s%N"], capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_program_reads_the_offsets_of_a_kernel(tmp_path: Path, shell: str) -> None:
    """On the machine of the test: the pair lies between two readings of the clock of day."""
    (tmp_path / "trace_clock").write_text("local [mono]\n")
    program = hostshell.load_script("tracefs", "clocks") + "k_tracing=/nowhere\nclock_pair begin\nclock_about\n"
    call = hostshell.frame(program, {"k_place": str(tmp_path)})
    command = call.command.replace("sh -c", f"{shell} -c", 1)
    before = now()
    run = subprocess.run(command, shell=True, input=call.stdin, capture_output=True, check=True)
    after = now()
    found = clocks.take(run.stdout.decode().splitlines())
    pairs = [one for one in found if "when" in one]
    assert run.stderr == b"" and len(pairs) == int(b"clocks begin mono timers" in run.stdout)
    for pair in pairs:
        assert before <= pair["realtime_ns"] <= after
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert [one["boot_id"] for one in found if "boot_id" in one] == [boot_id]


def timers(tmp_path: Path, text: str) -> str:
    """What the program makes of a timer_list."""
    (tmp_path / "timer_list").write_text(text)
    script = hostshell.load_script("clocks").replace("/proc/timer_list", str(tmp_path / "timer_list"))
    run = subprocess.run(["sh", "-c", script + "clock_timers 2"], capture_output=True, text=True, check=True)
    return run.stdout


def timer_list(realtime: int, other: int) -> str:
    cpu = " clock 1:\n  .index:      1\n  .offset:     {} nsecs\n clock 2:\n  .index:      2\n  .offset:     7 nsecs\n"
    return "now at 9223372036854775807 nsecs\n\ncpu: 0\n" + cpu.format(realtime) + "cpu: 1\n" + cpu.format(other)


def test_offsets_on_which_cpus_differ_are_not_taken(tmp_path: Path) -> None:
    assert timers(tmp_path, timer_list(DAY, DAY)) == f"timers 9223372036854775807 {DAY} 7\n"
    assert timers(tmp_path, timer_list(DAY, DAY + 1)) == ""
    assert timers(tmp_path, "") == ""


# -- between pairs -----------------------------------------------------------------------------------


@given(
    st.integers(0, 10**15),
    st.integers(1, 10**12),
    st.integers(-(10**12), 10**18),
    st.integers(-(10**9), 10**9),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(-1, 1),
    st.floats(-1, 1),
)
def test_any_offset_on_the_way_from_one_pair_to_the_next_is_within_the_bound(
    begin: int,
    span: int,
    offset: int,
    change: int,
    first: int,
    second: int,
    place: float,
    done: float,
    off1: float,
    off2: float,
) -> None:
    """The truth at both ends is anywhere in the pair's uncertainty, and moves in one direction in between."""
    found = clock((begin, offset, first), (begin + span, offset + change, second))
    at = begin + int(span * place)
    reading = moment(found, at)
    assert reading is not None and reading.bound_ns is not None
    true_begin, true_end = offset + int(first * off1), offset + change + int(second * off2)
    truth = at + true_begin + int((true_end - true_begin) * done)
    assert abs(truth - reading.realtime_ns) <= reading.bound_ns + 1  # rounding of the truth made here


def test_before_the_first_pair_and_after_the_last_no_bound_is_claimed() -> None:
    found = clock((100, 1000, 5), (200, 1000, 5))
    assert moment(found, 99) == (1099, None)
    assert moment(found, 100) == (1100, 5)
    assert moment(found, 200) == (1200, 5)
    assert moment(found, 201) == (1201, None)
    assert moment(clock((100, 1000, 5)), 100) == (1100, None)
    assert moment(clock(), 100) is None


def test_the_summary_has_the_widest_bound() -> None:
    summary = clock((0, 100, 5), (100, 110, 7), (200, 110, 1), error_ns=None).summary()
    assert summary == {"clock": "boot", "pairs": 3, "offset_ns": 100, "drift_ns": 10, "bound_ns": 17, "error_ns": None}
    assert clock().summary() is None


# -- order -------------------------------------------------------------------------------------------


def test_order_between_hosts_needs_a_gap_beyond_both_bounds() -> None:
    one = clock((0, 10**6, 10), (1000, 10**6, 10), error_ns=100)
    two = clock((0, 10**6, 20), (1000, 10**6, 20), error_ns=70)
    assert order(one, 300, two, 501) == "before"
    assert order(two, 501, one, 300) == "after"
    assert order(one, 300, two, 500) == "unknown"


def test_without_a_figure_of_the_error_no_order_between_hosts_is_claimed() -> None:
    one = clock((0, 0, 1), (10**12, 0, 1), error_ns=None)
    two = clock((0, 0, 1), (10**12, 0, 1), error_ns=0)
    assert order(one, 0, two, 10**12) == "unknown"
    assert order(two, 0, two, 10**12) == "before"
    assert order(clock(), 0, two, 10**12) == "unknown"


def test_one_kernel_has_one_clock() -> None:
    one, two = clock(boot_id=BOOT_ID, error_ns=None), clock(boot_id=BOOT_ID, error_ns=None)
    assert order(one, 5, two, 6) == "before"
    assert order(one, 6, two, 5) == "after"
    assert order(one, 5, two, 5) == "unknown"
    local = clock(name="local", boot_id=BOOT_ID)
    assert order(local, 5, local, 6) == "unknown"


pair_lists = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**4)), min_size=2, max_size=6
)


@given(pair_lists, pair_lists, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 100), st.integers(0, 100))
def test_a_claimed_order_is_true_and_the_other_way_round_the_opposite(
    ones: list[tuple[int, int, int]],
    twos: list[tuple[int, int, int]],
    at1: int,
    at2: int,
    error1: int,
    error2: int,
) -> None:
    text = [
        clocks.dump([{**clock(pair).pairs[0]._asdict()} for pair in pairs])
        + clocks.dump([{"chrony": {"error_ns": error}}])
        for pairs, error in ((ones, error1), (twos, error2))
    ]
    one, two = (clocks.parse(part) for part in text)
    claimed = order(one, at1, two, at2)
    opposite = {"before": "after", "after": "before", "unknown": "unknown"}
    assert order(two, at2, one, at1) == opposite[claimed]
    first, second = moment(one, at1), moment(two, at2)
    assert first is not None and second is not None
    if claimed == "before":
        assert first.bound_ns is not None and second.bound_ns is not None
        assert first.realtime_ns + first.bound_ns + error1 < second.realtime_ns - second.bound_ns - error2


# -- the file ----------------------------------------------------------------------------------------


def test_a_file_is_read_back_as_it_was_written() -> None:
    lines = [
        "clocks begin boot timers 100 5000 0",
        f"clocks boot_id {BOOT_ID}",
        "clocks chrony " + CHRONY.format("Normal"),
        "clocks end boot timers 200 5000 0",
    ]
    found = clocks.parse(clocks.dump(clocks.take(lines)))
    assert found.name == "boot" and found.boot_id == BOOT_ID and found.error_ns == 1_012_000
    assert [pair.trace_ns for pair in found.pairs] == [100, 200]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"chrony": {}}',
        '{"when":"end","clock":"boot","trace_ns":"1","realtime_ns":1,"uncertainty_ns":1}',
    ],
)
def test_a_damaged_line_is_named(text: str) -> None:
    good = json.dumps(clock((1, 2, 3)).pairs[0]._asdict())
    with pytest.raises(ForeignError, match=r"^line 2: "):
        clocks.parse(f"{good}\n{text}\n")


def test_readings_of_two_trace_clocks_are_refused() -> None:
    both = [clock((1, 2, 3)).pairs[0]._asdict(), clock((1, 2, 3), name="mono").pairs[0]._asdict()]
    with pytest.raises(ForeignError, match="boot, mono"):
        clocks.parse(clocks.dump(both))


def test_readings_of_two_starts_of_the_kernel_are_refused() -> None:
    with pytest.raises(ForeignError, match="started anew"):
        clocks.parse(clocks.dump([{"boot_id": BOOT_ID}, {"boot_id": BOOT_ID.replace("7", "8")}]))
    assert clocks.parse(clocks.dump([{"boot_id": BOOT_ID}] * 2)).boot_id == BOOT_ID


def test_readings_of_one_machine_are_put_together() -> None:
    one, two = (
        clock((1, 2, 3), (9, 2, 3), boot_id=BOOT_ID, error_ns=None),
        clock((5, 2, 1), boot_id=BOOT_ID, error_ns=4),
    )
    both = clocks.same_machine([one, two])
    assert [pair.trace_ns for pair in both.pairs] == [1, 5, 9] and both.error_ns == 4
