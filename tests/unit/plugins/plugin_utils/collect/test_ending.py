# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a watch."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Sequence

from ansible_collections.kedr.lab.plugins.plugin_utils.collect.ending import COMMAND_ENDED, Ending
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.jobs import Job, wait_for
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream


def host(records: int) -> HostStream:
    made = HostStream("one", lambda command: ["sh", "-c", command], "/nowhere", "kedr", [])
    made.records["cpu0"] = records
    return made


def line(command: str) -> Sequence[str]:
    return ["/bin/sh", "-c", command]


def test_time_runs_from_when_all_hosts_stream() -> None:
    ending = Ending(duration=0.0)
    assert not ending.met({})
    ending.live()
    assert ending.met({})
    assert ending.reason == "0 s are over"


def test_records_of_all_hosts_count_together() -> None:
    ending = Ending(events=10)
    ending.live()
    assert not ending.met({"one": host(4), "two": host(5)})
    assert ending.met({"one": host(4), "two": host(6)})
    assert ending.reason == "10 records came"


def test_records_are_counted_only_when_a_condition_asks(tmp_path: pathlib.Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "cpu0.pages.part").write_bytes(b"no page")
    one = HostStream("one", line, str(tmp_path), "kedr", [])
    ending = Ending(duration=1000.0)
    ending.live()
    assert not ending.met({"one": one})
    assert not one.damage  # nobody has looked
    ending.events = 1
    assert not ending.met({"one": one})
    assert "cannot be read" in one.damage


def test_a_file_ends_a_watch_that_does_not_stream_yet(tmp_path: pathlib.Path) -> None:
    ending = Ending(files=[str(tmp_path / "end")])
    assert not ending.met({})
    (tmp_path / "end").symlink_to("nowhere")
    assert ending.met({})


def test_a_playbook_that_is_gone_ends_it() -> None:
    assert Ending(parent=1 << 30).met({})


def test_it_ends_when_the_last_command_has_ended() -> None:
    jobs = [Job("one", line("exit 3")), Job("two", line("sleep 100"))]
    ending = Ending(jobs=jobs)
    ending.live()
    for job in jobs:
        job.start()
    wait_for(jobs[:1], 30)
    assert not ending.met({})
    jobs[1].end()
    assert ending.met({})
    assert (jobs[0].status, jobs[1].status) == (3, -15)


def test_the_command_of_a_host_that_is_lost_is_not_waited_for() -> None:
    jobs = [Job("one", line("sleep 100")), Job("localhost", line("exit 0"))]
    one, two = host(0), host(0)
    ending = Ending(jobs=jobs)
    ending.live()
    for job in jobs:
        job.start()
    wait_for(jobs[1:], 30)
    assert not ending.met({"one": one, "two": two})
    one.error = "nothing came for 30 s"
    assert ending.met({"one": one, "two": two})
    assert ending.reason == COMMAND_ENDED
    jobs[0].end()


def test_it_ends_when_all_hosts_are_lost() -> None:
    one, two = host(0), host(0)
    ending = Ending(duration=1000.0)
    ending.live()
    one.error = "nothing came for 30 s"
    assert not ending.met({"one": one, "two": two})
    two.error = "the connection broke"
    assert ending.met({"one": one, "two": two})
    assert ending.reason == "no host is left"


def test_a_host_that_writes_without_end_is_ended_while_another_still_works() -> None:
    jobs = [Job("one", ["sleep", "100"], nonce="N"), Job("two", ["yes", "v beat 1"], nonce="N")]
    for job in jobs:
        job.start()
    ending = Ending(jobs=jobs)
    ending.live()
    begun = time.monotonic()
    while jobs[1].status is None and time.monotonic() - begun < 50:
        assert not ending.met({})
    assert [job.status for job in jobs] == [None, -9]
    jobs[0].end()
