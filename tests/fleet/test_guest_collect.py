# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches of one real guest: what came is what was called, and one run at a time holds the host.

Three runs share the guest.  ``streamed`` watches some ten thousand calls and is ended by a file, while its command
still runs; a second run asks for the host meanwhile.  ``killed`` is killed in the middle.  ``snapshot`` finds what that
left.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pyarrow.dataset
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.cli.main import main
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.stats import parse_stats
from guests import ROOT, Lab, loaded_modules, playbook, start_lab, stop_lab
from moments import moment

LIMIT = 300
"""Seconds that anything may take before the test is given up."""
CALLS = 12_000
"""Records that the workload makes at least: it reads a device of 4000 bytes, byte by byte, three calls each."""

WORKLOAD = """\
i=0
while [ ! -c /dev/cfake0 ] && [ "$i" -lt 50 ]; do
    i=$((i + 1))
    sleep 0.1
done
dd if=/dev/cfake0 of=/dev/null bs=1 || exit 1
echo all was read
"""
OURS = {"cp_controller", "my_payload1", "my_payload2", "my_payload3", "cp_target"}


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Wait until something is true."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.1)
    raise AssertionError(f"never seen: {what}")


class Collect:
    """Runs playbooks/collect.yml on the guest."""

    def __init__(self, lab: Lab, place: pathlib.Path) -> None:
        self.lab, self.place = lab, place

    def arguments(self, run: str, variables: dict[str, object]) -> list[str]:
        told = {"kedr_runs_dir": str(self.place / "runs"), "kedr_run_id": run, **variables}
        return ["-i", str(self.lab.inventory), "playbooks/collect.yml", "-e", json.dumps(told)]

    def __call__(self, run: str, **variables: object) -> subprocess.CompletedProcess[str]:
        return playbook(*self.arguments(run, variables), lab=self.lab.directory)

    def start(self, run: str, **variables: object) -> subprocess.Popen:
        """Start a run whose output goes to a file, in a process group of its own."""
        with open(self.place / f"{run}.log", "w") as log:
            return subprocess.Popen(
                ["ansible-playbook", *self.arguments(run, variables)], cwd=ROOT,
                env={**os.environ, "KEDR_LAB_DIR": str(self.lab.directory), "ANSIBLE_FORCE_COLOR": "0",
                     "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def said(self, run: str) -> str:
        return (self.place / f"{run}.log").read_text()

    def host(self, run: str) -> pathlib.Path:
        return self.place / "runs" / run / "one"

    def read(self, run: str, name: str) -> dict:
        return json.loads((self.host(run) / name).read_text())

    def workload(self, then: str = "") -> str:
        path = self.place / "workload.sh"
        path.write_text(WORKLOAD + then)
        return str(path)


@pytest.fixture(scope="module")
def collect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collect]:
    place = tmp_path_factory.mktemp("collect")
    lab = start_lab(place / "lab", [{"name": "one"}])
    yield Collect(lab, place)
    stop_lab(lab)


@pytest.fixture(scope="module")
def streamed(collect: Collect) -> dict[str, str]:
    """What the first run said, and what the second one, which asked for the same host meanwhile."""
    end = collect.place / "end"
    running = collect.start("streamed", kedr_exercise=collect.workload("sleep 1000\n"), kedr_end_file=str(end))
    pages = collect.host("streamed") / "raw/cpu0.pages.part"
    wait_until(lambda: running.poll() is not None or (pages.exists() and pages.stat().st_size > CALLS * 28), "records")
    second = collect("second", kedr_duration=1)
    end.touch()
    status = running.wait(LIMIT)
    return {"first": collect.said("streamed"), "status": str(status), "second": second.stdout + second.stderr,
            "second status": str(second.returncode)}


@pytest.fixture(scope="module")
def snapshot(collect: Collect, streamed: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A snapshot on a host that a killed run has left as it was."""
    killed = collect.start("killed", kedr_duration=LIMIT)
    wait_until(lambda: killed.poll() is not None or "1 hosts stream" in collect.said("killed"), "a stream")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(LIMIT)
    return collect("snapshot", kedr_exercise=collect.workload(), kedr_mode="snapshot")


def accounts(collect: Collect, run: str) -> tuple[int, int, int]:
    """Records that came, calls that the payloads counted, records that the ring buffer says were read."""
    stats = parse_stats((collect.host(run) / "stats.txt").read_text())
    assert all(one.lost == 0 and one.entries == 0 for one in stats.values()), stats
    came = sum(collect.read(run, "stream.json")["records"].values())
    return came, sum(collect.read(run, "calls.json").values()), sum(one.read or 0 for one in stats.values())


def rows(collect: Collect, run: str) -> int:
    return pyarrow.dataset.dataset(collect.place / "runs" / run / "records", partitioning="hive").count_rows()


def test_a_stream_is_ended_by_a_file_and_ends_well(collect: Collect, streamed: dict[str, str]) -> None:
    assert streamed["status"] == "0", streamed["first"]
    about = collect.read("streamed", "stream.json")
    assert (about["complete"], about["error"], about["mode"]) == (True, "", "stream")
    assert about["ended_by"].endswith("/end appeared")


def test_records_of_a_stream_are_the_calls_that_were_made(collect: Collect, streamed: dict[str, str]) -> None:
    came, counted, read = accounts(collect, "streamed")
    assert came > CALLS, streamed["first"]
    assert came == counted == read == rows(collect, "streamed")


def test_a_watch_ends_with_the_page_that_shows_it(collect: Collect, streamed: dict[str, str]) -> None:
    page = collect.place / "runs/streamed/timeline.html"
    assert f"the page: {page}" in streamed["first"]
    assert "Nothing is missing" in page.read_text()


def test_a_command_that_still_runs_at_the_end_is_ended_on_the_host(collect: Collect, streamed: dict[str, str]) -> None:
    assert "all was read" in (collect.host("streamed") / "command.txt").read_text(), streamed["first"]
    assert collect.read("streamed", "stream.json")["command"] == {"status": None, "error": "", "killed": True}
    assert "sleep 1000" not in collect.lab.ssh("one", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


def test_a_second_run_is_told_who_holds_the_host(streamed: dict[str, str]) -> None:
    assert "the host is held by run streamed of " in streamed["second"]
    assert streamed["second status"] != "0"


def test_a_host_is_left_as_it_was(collect: Collect, snapshot: subprocess.CompletedProcess[str]) -> None:
    assert not OURS & loaded_modules(collect.lab, "one"), snapshot.stdout
    assert collect.lab.ssh("one", "ls /sys/kernel/tracing/instances /run | grep kedr || true") == ""


def test_the_hold_of_a_killed_run_is_taken_over(snapshot: subprocess.CompletedProcess[str]) -> None:
    assert "takes over from run killed of " in snapshot.stdout
    assert snapshot.returncode == 0, snapshot.stdout


def test_a_snapshot_has_the_calls_as_text_and_as_records(
    collect: Collect, snapshot: subprocess.CompletedProcess[str]
) -> None:
    came, counted, read = accounts(collect, "snapshot")
    assert came > CALLS, snapshot.stdout
    assert came == counted == read == rows(collect, "snapshot")
    text = (collect.host("snapshot") / "trace.txt").read_text()
    assert sum(not line.startswith("#") for line in text.splitlines()) == came
    assert collect.read("snapshot", "stream.json")["command"] == {"status": 0, "error": "", "killed": False}


def test_what_a_killed_run_had_received_is_kept(collect: Collect, snapshot: subprocess.CompletedProcess[str]) -> None:
    assert (collect.host("killed") / "raw/cpu0.pages.part").exists(), snapshot.stdout
    assert not (collect.host("killed") / "raw/cpu0.pages").exists()


def export(collect: Collect, kind: str, path: str) -> pathlib.Path:
    """What kedr export makes of a run or a host."""
    made = collect.place / kind
    assert main(["export", kind, str(collect.place / "runs" / path), "-o", str(made)]) == 0
    return made


def printed(text: str) -> list[tuple[str, str]]:
    """Event and text of each record; pointers as numbers, which trace-cmd and the kernel print differently."""
    lines = [re.search(r": (called_\w+): +(.*)", line) for line in text.splitlines()]
    pointer = re.compile(r"\b(?:0x)?([0-9a-f]{12,16})\b")
    return [
        (line[1], pointer.sub(lambda word: f"{int(word[1], 16):x}", line[2].replace("(nil)", "0")))
        for line in lines if line
    ]  # fmt: skip


def test_trace_cmd_prints_of_the_pages_what_the_kernel_printed(
    collect: Collect, snapshot: subprocess.CompletedProcess[str]
) -> None:
    dat = export(collect, "trace-dat", "snapshot/one")
    shown = subprocess.run(["trace-cmd", "report", "-N", dat], capture_output=True, text=True, check=True).stdout
    kernel = (collect.host("snapshot") / "trace.txt").read_text()
    assert len(printed(shown)) > CALLS, snapshot.stdout
    assert printed(shown) == printed(kernel)


def test_every_record_of_a_stream_lies_between_readings_of_the_clocks(
    collect: Collect, streamed: dict[str, str]
) -> None:
    found = [json.loads(line) for line in export(collect, "merged", "streamed").read_text().splitlines()]
    assert len(found) == rows(collect, "streamed") > CALLS, streamed["first"]
    known = clocks.parse((collect.host("streamed") / "clocks.jsonl").read_text())
    (judged,) = json.loads((collect.place / "runs" / "streamed" / "watch.json").read_text())["hosts"]
    assert judged["clock"] == known.summary()
    assert known.name == "boot" and {pair.when for pair in known.pairs} == {"begin", "during", "end"}
    assert {row["bound_ns"] is None for row in found} == {False}
    assert [row["realtime_ns"] for row in found] == sorted(moment(known, row["time_ns"]).realtime_ns for row in found)
