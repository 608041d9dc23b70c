# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands beside the streams of a watch. The host is this machine's sh."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Sequence

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import jobs


def line(command: str) -> Sequence[str]:
    return ["/bin/sh", "-c", command]


@pytest.mark.parametrize(("script", "printed", "status"), [
    (b"cat data; echo oops >&2; exit 3\n", b"12\noops\n", 3),
    (b"echo fine\n", b"fine\n", 0),
])
def test_a_script_says_what_it_printed_and_how_it_ended(script: bytes, printed: bytes, status: int) -> None:
    job = jobs.script_job("one", line, script, {"data": b"12"}, 30, "0" * 24)
    job.start()
    jobs.wait_for([job], 30)
    assert job.result() == (printed, status, "")


def test_a_script_that_is_ended_has_still_said_what_it_printed() -> None:
    job = jobs.script_job("one", line, b"echo before\nsleep 1000\necho after\n", {}, 600, "1" * 24)
    job.start()
    place = pathlib.Path("/tmp/kedr-" + "1" * 24)
    stop = time.monotonic() + 30
    while time.monotonic() < stop and not (place / "out.txt").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    ender = jobs.end_job("one", line, "1" * 24)
    ender.start()
    jobs.wait_for([ender], 30)
    assert ender.result() == (b"before\n", None, "")
    jobs.wait_for([job], 30)
    assert not place.exists()


def test_a_connection_that_fails_says_so() -> None:
    job = jobs.script_job("one", lambda command: line("echo no route >&2; exit 255"), b"true\n", {}, 30, "2" * 24)
    job.start()
    jobs.wait_for([job], 30)
    output, status, error = job.result()
    assert (output, status) == (b"", None)
    assert "no route" in error


@pytest.mark.parametrize(("said", "why"), [
    ("v status x\n", "not a number"),
    ("v status 0\nv status 0\n", "2 times"),
])
def test_an_answer_without_an_exit_status_is_told(said: str, why: str) -> None:
    job = jobs.Job("one", ["printf", f"kedr-begin N\n{said}kedr-end N\n"], nonce="N")
    job.start()
    jobs.wait_for([job], 30)
    output, status, error = job.result()
    assert (output, status, why in error) == (b"", None, True), error


def test_a_connection_that_cannot_be_started_is_told() -> None:
    job = jobs.Job("one", ["/nowhere/ssh"], nonce="N")
    job.start()
    assert job.ended()
    assert job.result() == (b"", None, "its command could not be started: "
                                       "[Errno 2] No such file or directory: '/nowhere/ssh'")


def test_a_host_that_writes_without_end_fills_no_disk() -> None:
    job = jobs.Job("one", ["yes", "v beat 1"], nonce="N")
    job.start()
    jobs.wait_for([job], 30)
    assert job.status == -9
    assert job.result()[1:] == (None, f"the host wrote more than {jobs.MAX_ANSWER} bytes")
