# SPDX-License-Identifier: GPL-3.0-or-later
"""A watch is OK only with all evidence; each host's trouble stands in its own row."""

from __future__ import annotations

import json
import os
import pathlib
import re
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.cli.main import main
from ansible_collections.kedr.lab.plugins.plugin_utils.report import watch as report
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks, dataset
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.clocks import ClockPair
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import watch

from ..host_dir import seal, stats
from ..ring_pages import HEADER, Page
from ..run_dir import CONSOLE, DMESG, HOST, MODULES, PLANS, POLICY, ROOT, RUN_ID, RunDir, formats, step

SCHEMA = json.loads((ROOT / "schemas" / "watch.schema.json").read_text())
EVENTS = [f"{module}/called_{name}" for module, functions in PLANS.items() for name in functions]
COMMON = """\
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;
"""


def binary_formats() -> str:
    """Format files with a number for each event, counted from 100, and the fields that all events have."""
    number = iter(range(100, 1000))
    text = re.sub("ID: 1\n", lambda _: f"ID: {next(number)}\n", formats())
    return text.replace("format:\n", f"format:\n{COMMON}\n")


def recorded(counts: dict[str, int]) -> bytes:
    """One page with so many records of each event."""
    page = Page(10**9)
    for name, count in counts.items():
        for _record in range(count):
            page.record(struct.pack("<HBBiQ", 100 + EVENTS.index(name), 0, 0, 500, 0) + bytes(8), 1000)
    return page.bytes()


CALLS = {name: 3 if name.endswith(("kfree", "_up")) else 0 for name in EVENTS}


class WatchDir:
    """The directory of a watch of one host that is OK, to be spoiled by a test."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.host = run.host
        (self.host / "raw").mkdir()
        for name in ("trace.txt", "witness.txt", "witness_stats.txt"):
            (self.host / name).unlink()
        run.write("formats.txt", binary_formats())
        run.write("header.txt", HEADER)
        run.write("comms.txt", "500 insmod\n")
        run.write("calls.json", CALLS)
        run.write("stream.json", {"complete": True, "error": ""})
        run.write("end.json", {"taint": 4096, "modules": ["ext4", *MODULES]})
        self.records(recorded(CALLS), stats(6))
        self.steps([self.step(name) for name in watch.STEPS])

    @staticmethod
    def step(name: str, **more: Any) -> dict[str, Any]:
        gone = {"data": {"changed_modules": ["cp_target"]}} if name == "unload_target" else {}
        return step(name, **{**gone, **more})

    def steps(self, steps: list[dict[str, Any]]) -> None:
        self.run.steps(steps)

    def changed(self, name: str, **more: Any) -> None:
        """All steps as they are, but for one."""
        self.steps([self.step(one, **(more if one == name else {})) for one in watch.STEPS])

    def records(self, pages: bytes, counts: str) -> None:
        (self.host / "raw" / "cpu0.pages").write_bytes(pages)
        self.run.write("stats.txt", "== cpu0\n" + counts)

    def judge(self, hosts: tuple[str, ...] = (HOST,), target: str = "cp_target", whole: bool = True) -> dict[str, Any]:
        """Judge what is there; ``whole``: as it was received."""
        if whole:
            seal(self.host)
        info = {**self.run.info, "target": target}
        if not self.run.received and (self.host / "steps.jsonl").is_file():
            self.run.receive()
        (self.run.path / "run.json").write_text(json.dumps({"command": [], "hosts": dict.fromkeys(hosts, info)}))
        results = watch.judge_run(str(self.run.path), hosts, POLICY)
        jsonschema.Draft202012Validator(SCHEMA).validate(results)
        assert report.table(results)
        return results

    def entry(self) -> dict[str, Any]:
        return self.judge()["hosts"][0]

    def table(self) -> list[dict[str, Any]]:
        (path,) = self.run.path.glob("records/run=*/system=*/*.parquet")
        return pq.ParquetFile(path).read().to_pylist()


@pytest.fixture
def collected(tmp_path: pathlib.Path, target_ko: bytes) -> WatchDir:
    return WatchDir(RunDir(tmp_path, target_ko))


def test_a_watch_with_all_evidence_is_ok(collected: WatchDir) -> None:
    results = collected.judge()
    (entry,) = results["hosts"]
    assert entry["verdict"] == "OK", entry
    assert (results["run_id"], results["targets"]) == (RUN_ID, ["cp_target"])
    assert (entry["records"], entry["lost"], entry["kernel"]) == (6, 0, "6.12.107+deb13-amd64")
    assert entry["events"]["called_kfree"] == {"counted": 3, "recorded": 3}
    assert entry["cpus"][0]["generated"] == entry["cpus"][0]["decoded"] == 6
    assert all(check["ok"] for check in entry["checks"])


def test_the_table_of_records_is_written_for_the_run_and_the_system(collected: WatchDir) -> None:
    collected.judge()
    (path,) = collected.run.path.glob("records/*/*/*")
    assert path.name == f"{HOST}.parquet"
    assert path.parent.parent.name == f"run={RUN_ID}"
    rows = collected.table()
    assert len(rows) == 6
    assert {row["event"] for row in rows} == {"called_kfree", "called_up"}
    assert {row["host"] for row in rows} == {HOST}


def test_a_call_site_is_named_where_it_is_the_only_one_of_its_function(collected: WatchDir) -> None:
    counts = {**CALLS, "my_payload2/called_copy_to_user": 1}
    collected.run.write("calls.json", counts)
    collected.records(recorded(counts), stats(7))
    collected.judge()
    places = {row["event"]: row["site"] for row in collected.table()}
    assert places == {"called_kfree": None, "called_up": None, "called_copy_to_user": "cp_target:core+0x14"}


def test_results_that_cannot_be_written_leave_no_older_ones(
    collected: WatchDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(collected.run.path)
    assert report.write(path, collected.judge())
    (collected.run.path / report.PAGE).write_text("OK")

    def full(path: str, content: str) -> None:
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(report, "write_file", full)
    with pytest.raises(OSError, match="No space left"):
        report.write(path, {"run_id": RUN_ID, "targets": [], "hosts": []})
    assert not (collected.run.path / report.NAME).exists()
    assert not (collected.run.path / report.PAGE).exists()


def test_judging_again_gives_the_same(collected: WatchDir) -> None:
    first = collected.judge()
    assert report.write(str(collected.run.path), first)
    assert collected.judge() == first
    assert not report.write(str(collected.run.path), first)
    assert os.stat(collected.run.path / "watch.json").st_mode & 0o777 == 0o600


# -- what is not OK ----------------------------------------------------------------------------------

Spoil = Callable[[WatchDir], None]
BAD: dict[str, tuple[Spoil, str, str]] = {
    "lost": (lambda c: c.records(recorded(CALLS), stats(6, dropped=2)), "FAIL", "cpu0 lost 2 of 8 records (25.00 %"),
    "unread": (lambda c: c.records(recorded(CALLS), stats(6, entries=2)), "NO-RESULT", "2 records were left"),
    "not come": (lambda c: c.records(recorded(CALLS), stats(7)), "FAIL", "6 records came, the kernel handed out 7"),
    "not counted": (lambda c: c.run.write("calls.json", {}), "NO-RESULT", "no payload counts the calls of"),
    "counted wrong": (
        lambda c: c.run.write("calls.json", {**CALLS, EVENTS[1]: 4}),
        "FAIL",
        "1 call of my_payload1/called_kfree had not returned when the counters were read, or never will, or its ev",
    ),
    "counted wrong before the call": (
        lambda c: (
            c.run.write("calls.json", {**CALLS, EVENTS[1]: 4}),
            c.run.replace("payloads.json", '"kfree", "moment": "after"', '"kfree", "moment": "before"'),
        ),
        "FAIL",
        "1 call of my_payload1/called_kfree made no record: its event was off (4 calls counted, 3 records)",
    ),
    "no end": (lambda c: c.run.write("stream.json", {"complete": False}), "NO-RESULT", "the stream has no end"),
    "disk full": (
        lambda c: c.run.write("stream.json", {"complete": False, "error": "no space left for the trace"}),
        "INFRA",
        "stream.json: no space left for the trace",
    ),
    "splat": (
        lambda c: c.run.write("dmesg.txt", DMESG.replace("cfake: 2 devices", "BUG: page fault")),
        "FAIL",
        "lines of splats",
    ),
    "missed site": (
        lambda c: (
            c.run.replace("sites.txt", "site kfree jmp core 0xa to kedr_repl_kfree+0x0 my_payload1\n", ""),
            c.run.replace("sites.txt", "function kfree call 1 jmp 1", "function kfree call 1 jmp 0"),
        ),
        "FAIL",
        "kfree: 0 jmp sites patched",
    ),
    "taint": (lambda c: c.run.write("end.json", {"taint": 4096 | 512, "modules": MODULES}), "FAIL", "flags 512"),
    "still loaded": (
        lambda c: c.run.write("end.json", {"taint": 4096, "modules": ["cp_target"]}),
        "FAIL",
        "cp_target was still loaded",
    ),
    "nothing recorded": (
        lambda c: (c.run.write("calls.json", dict.fromkeys(EVENTS, 0)), c.records(b"", stats(0))),
        "NO-RESULT",
        "no record at all",
    ),
    "fewer CPUs": (
        lambda c: c.run.replace("facts.json", '"cpus": 1', '"cpus": 2'),
        "NO-RESULT",
        "counts of 1 CPUs, the host has 2",
    ),
    "no text of a snapshot": (
        lambda c: c.run.write("stream.json", {"complete": True, "error": "", "mode": "snapshot"}),
        "NO-RESULT",
        "trace.txt: the kernel's text of this snapshot did not come",
    ),
    "local command": (
        lambda c: c.run.write(
            "stream.json", {"complete": True, "error": "", "local_command": {"status": 3, "killed": False}}
        ),
        "FAIL",
        "the command on the control node ended with exit status 3",
    ),
    "build": (
        lambda c: c.changed("build", status="failed", kind="INFRA", reason="no headers"), "INFRA", "build: no headers",
    ),
    "refused": (
        lambda c: c.changed("load", status="refused", kind="SKIP", reason="held by run r2"), "SKIP", "held by run r2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_evidence_against_a_watch_decides_and_says_what(collected: WatchDir, name: str) -> None:
    spoil, word, reason = BAD[name]
    spoil(collected)
    entry = collected.entry()
    assert (entry["verdict"], reason in entry["reason"]) == (word, True), entry["reason"]


RECEIVED = ["raw/cpu0.pages", "raw/cpu0.pages.sums", "header.txt", "formats.txt", "stats.txt", "comms.txt"]


@pytest.mark.parametrize("name", RECEIVED)
def test_a_file_that_is_not_what_was_received_is_no_result(collected: WatchDir, name: str) -> None:
    seal(collected.host)
    damaged = collected.host / name
    content = bytearray(damaged.read_bytes())
    content[1] ^= 1
    damaged.write_bytes(content)
    (entry,) = collected.judge(whole=False)["hosts"]
    bad = [check["name"] for check in entry["checks"] if not check["ok"]]
    assert (entry["verdict"], name.removesuffix(".sums") in bad) == ("NO-RESULT", True), entry


def test_without_checksums_nothing_shows_what_was_received(collected: WatchDir) -> None:
    (entry,) = collected.judge(whole=False)["hosts"]
    assert (entry["verdict"], "raw: there are no checksums" in entry["reason"]) == ("NO-RESULT", True)


def test_a_trace_whose_time_goes_back_is_no_result(collected: WatchDir) -> None:
    kfree = struct.pack("<HBBiQ", 100 + EVENTS.index("my_payload1/called_kfree"), 0, 0, 500, 0) + bytes(8)
    later, earlier = (Page(start).record(kfree).record(kfree, 1000).bytes() for start in (2 * 10**9, 10**9))
    collected.run.write("calls.json", {**CALLS, EVENTS[1]: 4, "my_payload1/called_up": 0, "my_payload2/called_up": 0})
    collected.records(later + earlier, stats(4))
    entry = collected.entry()
    text = "raw: cpu0: 1 records are earlier than the one before, the first 1.000000 s after 2.000001 s"
    assert text in [f"{check['name']}: {check['text']}" for check in entry["checks"] if not check["ok"]], entry


EVIDENCE = ["facts.json", "payloads.json", "formats.txt", "header.txt", "stats.txt", "sites.txt", "dmesg.txt",
            "end.json", "calls.json", "stream.json", "steps.jsonl", "modules/cp_target.ko"]  # fmt: skip


@pytest.mark.parametrize("name", EVIDENCE)
@pytest.mark.parametrize("content", [None, b"", b"\x00\xff\x1b[2J garbage\n", b"{}", b"[]"])
def test_evidence_that_is_missing_or_spoiled_is_not_ok(collected: WatchDir, name: str, content: bytes | None) -> None:
    if content is None:
        (collected.host / name).unlink()
    else:
        (collected.host / name).write_bytes(content)
    assert collected.entry()["verdict"] in ("NO-RESULT", "FAIL")


@pytest.mark.parametrize("name", watch.STEPS)
def test_a_step_without_a_record_is_no_result(collected: WatchDir, name: str) -> None:
    collected.steps([collected.step(one) for one in watch.STEPS if one != name])
    entry = collected.entry()
    assert entry["verdict"] == "NO-RESULT"
    assert any(name in check["text"] for check in entry["checks"] if not check["ok"])


def test_without_a_target_no_call_site_can_be_checked(collected: WatchDir) -> None:
    (entry,) = collected.judge(target="")["hosts"]
    assert (entry["verdict"], "no target of this host" in entry["reason"]) == ("NO-RESULT", True)
    assert not any("is unloaded" in check["text"] for check in entry["checks"])


def test_what_a_flight_recorder_overwrote_is_told_and_ok(collected: WatchDir) -> None:
    collected.records(recorded(CALLS), stats(6, overrun=4))
    collected.run.write("calls.json", {**CALLS, EVENTS[1]: 7})
    assert collected.entry()["verdict"] == "FAIL"
    collected.changed("trace", data={"overwrite": None})
    assert collected.entry()["verdict"] == "FAIL"
    collected.changed("trace", data={"overwrite": True})
    entry = collected.entry()
    assert (entry["verdict"], entry["lost"]) == ("OK", 4)
    assert any("overwritten by choice" in note for note in entry["notes"])


def test_a_local_command_that_was_ended_since_all_was_over_is_no_failure(collected: WatchDir) -> None:
    ended = {"status": -15, "killed": True}
    collected.run.write("stream.json", {"complete": True, "error": "", "local_command": ended})
    assert collected.entry()["verdict"] == "OK"


@pytest.mark.parametrize(("entries", "lines", "word"), [(6, 6, "OK"), (6, 5, "NO-RESULT"), (7, 7, "FAIL")])
def test_a_snapshots_text_must_have_as_many_records(collected: WatchDir, entries: int, lines: int, word: str) -> None:
    heading = f"# tracer: nop\n#\n# entries-in-buffer/entries-written: {entries}/9   #P:1\n#\n"
    records = f"{'a' + chr(10) + 'b':>16}-7       [000] ..... 1.000001: called_kfree: kfree(0)\n" * lines
    collected.run.write("trace.txt", heading + records + "cut")
    assert collected.entry()["verdict"] == word


def test_a_snapshots_text_without_a_count_is_no_result(collected: WatchDir) -> None:
    collected.run.write("trace.txt", "# tracer: nop\n")
    assert collected.entry()["verdict"] == "NO-RESULT"


# -- hosts that died ---------------------------------------------------------------------------------


def died(collected: WatchDir) -> None:
    """The host was lost in the middle of the stream."""
    for name in ("stats.txt", "calls.json", "sites.txt", "end.json"):
        (collected.host / name).unlink()
    os.rename(collected.host / "raw" / "cpu0.pages", collected.host / "raw" / "cpu0.pages.part")
    collected.run.write("stream.json", {"complete": False, "error": "the connection ended before the trace did"})
    done = watch.STEPS[: watch.STEPS.index("target") + 1]
    collected.steps([
        *(collected.step(one) for one in done),
        collected.step("stream", status="failed", kind="INFRA", reason="the connection ended before the trace did"),
    ])  # fmt: skip


def test_of_a_guest_that_died_what_came_is_kept_and_told(collected: WatchDir) -> None:
    died(collected)
    collected.run.embed("[    0.000000] Linux version 6.12\n", False)
    entry = collected.entry()
    assert entry["verdict"] == "CRASH"
    assert entry["reason"].endswith("(6 records came, up to 1.000006 s of the trace clock)")
    assert (entry["records"], entry["cpus"][0]["generated"]) == (6, None)
    assert len(collected.table()) == 6


def test_a_guest_that_lives_and_lost_its_connection_is_infra(collected: WatchDir) -> None:
    died(collected)
    collected.run.embed("[    0.000000] Linux version 6.12\n", True)
    assert collected.entry()["verdict"] == "INFRA"


def test_a_host_that_is_unreachable_after_its_stream_broke_is_a_crash(collected: WatchDir) -> None:
    died(collected)
    text = (collected.host / "steps.jsonl").read_text()
    lost = collected.step("unload_target", status="unreachable", kind="INFRA", reason="timed out")
    collected.run.write("steps.jsonl", text + json.dumps(lost) + "\n")
    entry = collected.entry()
    assert (entry["verdict"], "lost contact" in entry["reason"]) == ("CRASH", True)


def test_a_host_without_a_directory_harms_no_other(collected: WatchDir) -> None:
    (entry, other) = collected.judge((HOST, "gone"))["hosts"]
    assert (entry["verdict"], other["verdict"]) == ("OK", "NO-RESULT")


@pytest.mark.parametrize("pages", [b"\xff" * 4096, b"\0" * 100, bytes(8) + b"\xff" * 4088])
def test_damaged_pages_harm_only_their_host(collected: WatchDir, pages: bytes) -> None:
    (collected.host / "raw" / "cpu0.pages").write_bytes(pages)
    assert collected.entry()["verdict"] in ("NO-RESULT", "FAIL")


def test_a_table_that_cannot_be_written_is_the_labs_fault(
    collected: WatchDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> int:
        raise OSError(28, "No space left on device", "/records")

    monkeypatch.setattr(dataset, "write", full)
    entry = collected.entry()
    assert (entry["verdict"], entry["reason"]) == (
        "INFRA", "/records: the table cannot be written: No space left on device",
    )  # fmt: skip


def test_errors_that_the_targets_print_are_told(collected: WatchDir) -> None:
    collected.run.replace("dmesg.txt", "<6>[    9.900000] cp_target: cfake", "<3>[    9.900000] ext4: no such block")
    (entry,) = collected.judge(target="cp_target,ext4")["hosts"]
    assert any("at level error or worse: ext4: no such block" in note for note in entry["notes"])


def test_the_last_lines_of_the_console_are_kept_of_a_host_that_is_not_ok(collected: WatchDir) -> None:
    collected.run.embed(CONSOLE + "[   11.0] Kernel panic - not syncing: Fatal exception\n", True)
    entry = collected.entry()
    assert (entry["verdict"], entry["console"][-1]) == ("CRASH", "Kernel panic - not syncing: Fatal exception")
    collected.run.embed(CONSOLE, True)
    assert collected.entry()["console"] == []


def test_the_readings_of_the_clocks_come_without_a_step_that_brought_them(collected: WatchDir) -> None:
    begin, end = ("begin", "boot", 10**9, 5 * 10**9, 100), ("end", "boot", 3 * 10**9, 7 * 10**9 + 5, 100)
    collected.run.receive()
    collected.run.write("clocks.jsonl", clocks.dump([ClockPair(*one)._asdict() for one in (begin, end)]))
    clock = collected.entry()["clock"]
    assert (clock["pairs"], clock["offset_ns"], clock["drift_ns"]) == (2, 4 * 10**9, 5)


# -- what is shown -----------------------------------------------------------------------------------


def test_the_table_shows_loss_and_why_a_host_is_not_ok(collected: WatchDir) -> None:
    collected.records(recorded(CALLS), stats(6, dropped=2))
    shown = report.table(collected.judge()).splitlines()
    assert re.search(rf"^{HOST} .* 6 +2 +25\.00 % +FAIL$", shown[2])
    assert shown[-1] == "watch: 0 of 1 hosts OK, 6 records, 2 lost"
    assert any(line.startswith("  BAD  stats.txt: cpu0 lost 2 of 8") for line in shown)


def test_what_a_host_says_harms_no_terminal(collected: WatchDir) -> None:
    collected.run.write("stream.json", {"complete": False, "error": "\x1b[2J\r\nx"})
    assert "\x1b" not in report.table(collected.judge())


def test_the_command_judges_from_the_directory_alone(collected: WatchDir, capsys: pytest.CaptureFixture[str]) -> None:
    collected.judge()
    assert main(["judge", str(collected.run.path)]) == 0
    assert json.loads((collected.run.path / "watch.json").read_text())["hosts"][0]["verdict"] == "OK"
    collected.run.write("calls.json", {})
    assert main(["judge", str(collected.run.path)]) == 1
    assert "1 hosts OK" in capsys.readouterr().out
    assert main(["judge", str(collected.host)]) == 2
    assert "run.json: cannot be read: No such file or directory" in capsys.readouterr().err


# -- several control nodes ---------------------------------------------------------------------------


def test_slices_of_a_fleet_that_were_judged_side_by_side_are_one_table(
    tmp_path: pathlib.Path, target_ko: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs below one directory, as two slices of a job write them at the same time."""
    places = []
    for name in ("one", "two"):
        run = RunDir(tmp_path / name, target_ko)
        WatchDir(run).changed("facts")
        seal(run.host)
        place = tmp_path / "runs" / f"awx-{name}"
        place.parent.mkdir(exist_ok=True)
        run.path.rename(place)
        (place / HOST).rename(place / name)
        run.host = place / name
        run.write("dmesg.txt", DMESG.replace(RUN_ID, place.name))
        run.receive()
        (place / "run.json").write_text(json.dumps({"command": [], "hosts": {name: {"target": "cp_target"}}}))
        places.append(str(place))
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda place: main(["judge", place]), places)) == [0, 0]
    capsys.readouterr()
    assert main(["trace", "counts", "--format", "json", str(tmp_path / "runs")]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["host"], row["event"], row["calls"]) for row in rows} == {
        (host, event, 3) for host in ("one", "two") for event in ("called_kfree", "called_up")
    }
