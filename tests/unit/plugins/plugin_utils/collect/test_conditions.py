# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a collection, and the commands beside it. The host is this machine's sh."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Sequence

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import conditions as until
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import stream


def host(records: int) -> stream.Host:
    made = stream.Host("one", lambda command: ["sh", "-c", command], "/nowhere", "kedr", [])
    made.records["cpu0"] = records
    return made


def line(command: str) -> Sequence[str]:
    return ["/bin/sh", "-c", command]


def test_time_runs_from_when_all_hosts_stream() -> None:
    conditions = until.Conditions(duration=0.0)
    assert not conditions.met({})
    conditions.live()
    assert conditions.met({})
    assert conditions.reason == "0 s are over"


def test_records_of_all_hosts_count_together() -> None:
    conditions = until.Conditions(events=10)
    conditions.live()
    assert not conditions.met({"one": host(4), "two": host(5)})
    assert conditions.met({"one": host(4), "two": host(6)})
    assert conditions.reason == "10 records came"


def test_records_are_counted_only_when_a_condition_asks(tmp_path: pathlib.Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "cpu0.pages.part").write_bytes(b"no page")
    one = stream.Host("one", line, str(tmp_path), "kedr", [])
    conditions = until.Conditions(duration=1000.0)
    conditions.live()
    assert not conditions.met({"one": one})
    assert not one.damage  # nobody has looked
    conditions.events = 1
    assert not conditions.met({"one": one})
    assert "cannot be read" in one.damage


def test_a_file_ends_a_collection_that_does_not_stream_yet(tmp_path: pathlib.Path) -> None:
    conditions = until.Conditions(files=[str(tmp_path / "end")])
    assert not conditions.met({})
    (tmp_path / "end").symlink_to("nowhere")
    assert conditions.met({})


def test_a_playbook_that_is_gone_ends_it() -> None:
    assert until.Conditions(parent=1 << 30).met({})


def test_it_ends_when_the_last_command_has_ended() -> None:
    jobs = [until.Job("one", line("exit 3")), until.Job("two", line("sleep 100"))]
    conditions = until.Conditions(jobs=jobs)
    conditions.live()
    for job in jobs:
        job.start()
    until.wait_for(jobs[:1], 30)
    assert not conditions.met({})
    jobs[1].end()
    assert conditions.met({})
    assert (jobs[0].status, jobs[1].status) == (3, -15)


def test_the_command_of_a_host_that_is_lost_is_not_waited_for() -> None:
    jobs = [until.Job("one", line("sleep 100")), until.Job("localhost", line("exit 0"))]
    one, two = host(0), host(0)
    conditions = until.Conditions(jobs=jobs)
    conditions.live()
    for job in jobs:
        job.start()
    until.wait_for(jobs[1:], 30)
    assert not conditions.met({"one": one, "two": two})
    one.error = "nothing came for 30 s"
    assert conditions.met({"one": one, "two": two})
    assert conditions.reason == until.COMMAND_ENDED
    jobs[0].end()


def test_it_ends_when_all_hosts_are_lost() -> None:
    one, two = host(0), host(0)
    conditions = until.Conditions(duration=1000.0)
    conditions.live()
    one.error = "nothing came for 30 s"
    assert not conditions.met({"one": one, "two": two})
    two.error = "the connection broke"
    assert conditions.met({"one": one, "two": two})
    assert conditions.reason == "no host is left"


@pytest.mark.parametrize(("script", "printed", "status"), [
    (b"cat data; echo oops >&2; exit 3\n", b"12\noops\n", 3),
    (b"echo fine\n", b"fine\n", 0),
])
def test_a_script_says_what_it_printed_and_how_it_ended(script: bytes, printed: bytes, status: int) -> None:
    job = until.script_job("one", line, script, {"data": b"12"}, 30, "0" * 24)
    job.start()
    until.wait_for([job], 30)
    assert job.result() == (printed, status, "")


def test_a_script_that_is_ended_has_still_said_what_it_printed() -> None:
    job = until.script_job("one", line, b"echo before\nsleep 1000\necho after\n", {}, 600, "1" * 24)
    job.start()
    place = pathlib.Path("/tmp/kedr-" + "1" * 24)
    stop = until.time.monotonic() + 30
    while until.time.monotonic() < stop and not (place / "out.txt").exists():
        until.time.sleep(0.05)
    until.time.sleep(0.5)
    ender = until.end_job("one", line, "1" * 24)
    ender.start()
    until.wait_for([ender], 30)
    assert ender.result() == (b"before\n", None, "")
    until.wait_for([job], 30)
    assert not place.exists()


def test_a_connection_that_fails_says_so() -> None:
    job = until.script_job("one", lambda command: line("echo no route >&2; exit 255"), b"true\n", {}, 30, "2" * 24)
    job.start()
    until.wait_for([job], 30)
    output, status, error = job.result()
    assert (output, status) == (b"", None)
    assert "no route" in error


@pytest.mark.parametrize(("said", "why"), [
    ("v status x\n", "not a number"),
    ("v status 0\nv status 0\n", "2 times"),
])
def test_an_answer_without_an_exit_status_is_told(said: str, why: str) -> None:
    job = until.Job("one", ["printf", f"kedr-begin N\n{said}kedr-end N\n"], nonce="N")
    job.start()
    until.wait_for([job], 30)
    output, status, error = job.result()
    assert (output, status, why in error) == (b"", None, True), error


def test_a_connection_that_cannot_be_started_is_told() -> None:
    job = until.Job("one", ["/nowhere/ssh"], nonce="N")
    job.start()
    assert job.ended()
    assert job.result() == (b"", None, "its command could not be started: "
                                       "[Errno 2] No such file or directory: '/nowhere/ssh'")


def test_a_host_that_writes_without_end_fills_no_disk() -> None:
    job = until.Job("one", ["yes", "v beat 1"], nonce="N")
    job.start()
    until.wait_for([job], 30)
    assert job.status == -9
    assert job.result()[1:] == (None, f"the host wrote more than {until.MAX_ANSWER} bytes")


def test_a_host_that_writes_without_end_is_ended_while_another_still_works() -> None:
    jobs = [until.Job("one", ["sleep", "100"], nonce="N"), until.Job("two", ["yes", "v beat 1"], nonce="N")]
    for job in jobs:
        job.start()
    conditions = until.Conditions(jobs=jobs)
    conditions.live()
    begun = time.monotonic()
    while jobs[1].status is None and time.monotonic() - begun < 50:
        assert not conditions.met({})
    assert [job.status for job in jobs] == [None, -9]
    jobs[0].end()
