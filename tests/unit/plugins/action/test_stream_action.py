# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that streams from many hosts: what it refuses, and what it writes down of a command. The host is this
machine's sh, which has no answer to a stream."""

from __future__ import annotations

import json
import os
import pathlib
import resource
import time
from typing import Any

import pytest
import yaml
from ansible_collections.kedr.lab.plugins.action import stream as stream_action
from ansible_collections.kedr.lab.plugins.modules import stream as stream_module
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import watch as watching
from ansible_collections.kedr.lab.plugins.plugin_utils.host.reach import PLACE
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks

from .test_run_and_verdict import do

HOST = {"name": "one", "argv": ["/bin/sh", "-c", f"sh -c '{PLACE}'"], "instance": "kedr", "events": ["a:b"]}


def watch(
    run_dir: pathlib.Path, shell: str = f"sh -c '{PLACE}'", check: bool = False, **options: Any
) -> dict[str, Any]:
    """Watch one host, `shell` being how it is reached; a snapshot, for which nothing is streamed."""
    host = {**HOST, "argv": ["/bin/sh", "-c", shell]}
    given = {"run_dir": str(run_dir), "hosts": [host], "mode": "snapshot", **options}
    return do(stream_action, given, run_dir, check)


def steps(run_dir: pathlib.Path) -> dict[str, dict[str, Any]]:
    lines = (run_dir / "one" / "steps.jsonl").read_text().splitlines()
    return {step["step"]: step for step in map(json.loads, lines)}


def test_the_documentation_can_be_read() -> None:
    assert yaml.safe_load(stream_module.EXAMPLES)
    assert yaml.safe_load(stream_module.RETURN)


@pytest.mark.parametrize(("options", "why"), [
    ({}, "nothing says when the watch ends"),
    ({"duration": 0}, "duration: 0.0 is out of range"),
    ({"duration": -1}, "duration: -1.0 is out of range"),
    ({"duration": float("nan")}, "duration: nan is out of range"),
    ({"duration": float("inf")}, "duration: inf is out of range"),
    ({"mode": "stream", "events": 0}, "events: 0 is out of range"),
    ({"events": 5}, "a snapshot counts no records before its end"),
    ({"script": "/nowhere/script"}, "/nowhere/script: cannot be read: No such file"),
])
def test_a_condition_that_makes_no_sense_is_refused(tmp_path: pathlib.Path, options: dict[str, Any], why: str) -> None:
    result = watch(tmp_path, check=True, **options)
    assert (result["failed"], why in result["msg"]) == (True, True), result["msg"]
    assert not (tmp_path / "one").exists()
    assert watch(tmp_path, **options)["failed"] is True
    refused = steps(tmp_path)["stream"]
    assert (refused["status"], refused["kind"], refused["reason"]) == ("failed", "INFRA", result["msg"])


def test_a_file_that_is_there_cannot_end_a_watch_that_has_yet_to_begin(tmp_path: pathlib.Path) -> None:
    end = tmp_path / "end"
    end.touch()
    assert f"{end} is there already" in watch(tmp_path, check=True, file=str(end))["msg"]
    assert watch(tmp_path, check=True, end_file=str(end))["msg"] == "would stream from 1 hosts"
    assert watch(tmp_path, file=str(end))["ended_by"] == f"{end} appeared"


@pytest.mark.parametrize(("command", "status", "kind"), [("exit 0", "ok", ""), ("exit 3", "failed", "FAIL")])
def test_a_command_that_fails_is_a_failed_step(tmp_path: pathlib.Path, command: str, status: str, kind: str) -> None:
    result = watch(tmp_path, command=command)
    assert result["ended_by"] == "the command has ended"
    assert (steps(tmp_path)["command"]["status"], steps(tmp_path)["command"]["kind"]) == (status, kind)
    assert steps(tmp_path)["stream"]["status"] == "ok"


@pytest.mark.parametrize("shell", ["exit 255", f": {PLACE}", f"exec /nowhere/ssh '{PLACE}'"])
def test_a_command_of_which_nothing_came_is_a_failed_step(tmp_path: pathlib.Path, shell: str) -> None:
    watch(tmp_path, shell if PLACE in shell else f"{shell} # {PLACE}", command="exit 0")
    assert (steps(tmp_path)["command"]["status"], steps(tmp_path)["command"]["kind"]) == ("failed", "INFRA")


def test_a_host_that_stands_still_during_a_snapshot_is_given_up(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ANSWER", 1.0)
    hosts = [{**HOST, "name": "still", "argv": ["/bin/sh", "-c", f"exec sleep 1000; {PLACE}"]}, HOST]
    begun = time.monotonic()
    result = watch(tmp_path, hosts=hosts, command="exit 0")
    assert result["ended_by"] == "the command has ended"
    assert time.monotonic() - begun < 60
    told = {name: json.loads((tmp_path / name / "stream.json").read_text())["error"] for name in ("still", "one")}
    assert told == {"still": "the host did not answer for 1 s", "one": ""}


@pytest.mark.parametrize(("command", "options", "told"), [
    ("exit 0", {}, {"status": 0, "killed": False}),
    ("exit 3", {}, {"status": 3, "killed": False}),
    ("sleep 100", {"duration": 0.1}, {"status": -15, "killed": True}),
])
def test_how_the_local_command_ended_is_told(
    tmp_path: pathlib.Path, command: str, options: dict[str, Any], told: dict[str, Any]
) -> None:
    watch(tmp_path, local_command=command, **options)
    assert json.loads((tmp_path / "one" / "stream.json").read_text())["local_command"] == told


def test_what_cannot_be_written_of_one_host_is_told_and_stops_no_other(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("clocks.jsonl", "command.txt"):
        (tmp_path / "one" / name).mkdir(parents=True)
    monkeypatch.setattr(clocks, "dump", lambda _pairs: "a pair\n")
    hosts = [{**HOST, "name": name} for name in ("one", "two")]
    result = watch(tmp_path, hosts=hosts, command="exit 0")
    assert result["failed"] is True
    assert result["msg"].endswith("cannot be written: Is a directory")
    for name in ("one", "two"):
        assert json.loads((tmp_path / name / "stream.json").read_text())["command"]["status"] == 0
    assert (tmp_path / "two" / "clocks.jsonl").read_text() == "a pair\n"
    assert (tmp_path / "two" / "command.txt").exists()


def test_more_hosts_than_a_process_usually_may_have_files_for(tmp_path: pathlib.Path) -> None:
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    there = len(os.listdir("/proc/self/fd"))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (there + 20, most))
        watch(tmp_path, hosts=[{**HOST, "name": f"host{number}"} for number in range(10)], command="exit 0")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
    for number in range(10):
        assert json.loads((tmp_path / f"host{number}" / "stream.json").read_text())["command"]["status"] == 0
