# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds: who has a host, when a run counts as over, and what the program on the host makes of the link."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.processes import start_of
from ansible_collections.kedr.lab.plugins.plugin_utils.host import hold as holding
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell

HERE = {"boot": "b", "node": holding.this_node(), "pid": str(os.getpid()), "start": start_of(os.getpid())}
ELSEWHERE = {"boot": "b", "node": "another/1", "pid": str(os.getpid()), "start": "1", "up": "1000"}


def test_a_claim_is_read_back_as_it_was_made() -> None:
    hold = holding.parse(holding.claim("r1", "one", os.getpid()) + " since=1795436397 boot=b up=12")
    assert (hold["run"], hold["as"], hold["pid"], hold["up"]) == ("r1", "one", str(os.getpid()), "12")
    assert not holding.is_dead(hold, "b", 13.0, streams=False)
    assert holding.describe(hold).startswith("run r1 of ")
    assert holding.describe(hold).endswith(" since 2026-11-23 12:19:57 UTC")


@pytest.mark.parametrize(("hold", "streams", "uptime", "dead"), [
    (HERE, False, 10.0, False),
    ({**HERE, "boot": "earlier"}, True, 10.0, True),
    ({**HERE, "start": "1"}, True, 10.0, True),
    ({**HERE, "pid": "x"}, False, 10.0, True),
    (ELSEWHERE, False, 1000.0 + holding.LEASE, False),
    (ELSEWHERE, False, 1001.0 + holding.LEASE, True),
    (ELSEWHERE, True, 1001.0 + holding.LEASE, False),
    ({**ELSEWHERE, "up": "soon"}, False, 1.0, True),
    ({}, True, 1.0, True),
], ids=["lives", "host restarted", "number given again", "no number", "young", "old", "streams", "no uptime", "noise"])
def test_a_run_is_over_when_nothing_of_it_can_live(hold: dict, streams: bool, uptime: float, dead: bool) -> None:
    assert holding.is_dead(hold, "b", uptime, streams) is dead


def test_a_process_that_has_ended_has_no_start() -> None:
    with subprocess.Popen(["true"]) as ended:
        pid = ended.pid
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert start_of(pid) == ""


def test_what_a_host_says_of_a_hold_is_taken_word_by_word() -> None:
    assert holding.parse("run=r1 by=\x1b[31m as pid=$(x) =") == {"run": "r1"}
    assert holding.describe({}).startswith("run ? of ?")


@pytest.fixture
def hold(tmp_path: pathlib.Path):
    """Runs the host's program with its link in a directory of the test."""
    program = shell.load_script("kernel_log", "hold").replace("[ ! -d /run ] ||", "true ||")
    for place in ("/tmp/", "/var/tmp/"):
        program = program.replace(f" {place}kedr-stream", f" {tmp_path}/kedr-stream")
    program = program.replace("/dev/.kedr-hold", str(tmp_path / "hold"))

    def run(want: str, claim: str, stale: str = "", words: str = "", marker: str = "") -> shell.Answer:
        values = {"k_want": want, "k_claim": claim, "k_since": 1, "k_stale": stale, "k_marker": marker, "k_bytes": 999}
        at = program.index("k_hold=")
        call = shell.frame(f"need_root() {{ :; }}\n{program[:at]}{words}{program[at:]}", values)
        done = subprocess.run(call.command, shell=True, input=call.stdin, capture_output=True, check=True, timeout=60)
        return shell.parse(done.stdout, call.nonce)

    return run


def test_a_host_is_taken_once_and_let_go_by_its_holder_only(hold) -> None:
    assert hold("take", "run=a").one("taken") == "now"
    assert hold("take", "run=a").one("taken") == "before"
    refused = hold("take", "run=b")
    assert refused.one("held").startswith("run=a since=1 boot=")
    assert (refused.one("taken"), refused.one("streams")) == ("", "no")
    assert hold("drop", "run=b").one("dropped") == ""
    assert hold("look", "run=b").one("held").startswith("run=a ")
    assert hold("drop", "run=a").one("dropped") == "yes"
    assert hold("look", "run=b").one("held") == ""


def test_a_program_that_streams_is_seen(hold, tmp_path: pathlib.Path) -> None:
    hold("take", "run=a")
    (tmp_path / "kedr-stream-1").mkdir()
    place = tmp_path / "kedr-stream-1"
    with subprocess.Popen(["sh", "-c", "read line; exit 0"], stdin=subprocess.PIPE, cwd=place) as streams:
        (tmp_path / "kedr-stream-1/pid").write_text(f"{streams.pid}\n")
        assert hold("look", "run=b").one("streams") == "yes"
    assert hold("look", "run=b").one("streams") == "no"


def test_what_others_put_where_streams_are_is_not_waited_for(hold, tmp_path: pathlib.Path) -> None:
    hold("take", "run=a")
    (tmp_path / "kedr-stream-1").mkdir()
    os.mkfifo(tmp_path / "kedr-stream-1/pid")
    assert hold("look", "run=b").one("streams") == "no"


def test_only_the_hold_that_was_seen_is_replaced(hold) -> None:
    hold("take", "run=a")
    seen = hold("look", "run=b").one("held")
    assert hold("take", "run=b", "run=other since=1").one("held") == seen
    assert hold("take", "run=b", seen).one("taken") == "now"
    assert hold("take", "run=c", seen).one("held").startswith("run=b ")


def test_the_log_is_marked_and_sent_before_the_host_is_let_go(hold, tmp_path: pathlib.Path) -> None:
    hold("take", "run=a")
    words = (f'mark_log() {{ echo "<9>[2] $1" >>{tmp_path}/log; }}\n'
             f"dmesg() {{ cat {tmp_path}/log; ls {tmp_path}/hold; }}\n")
    (tmp_path / "log").write_text("<6>[1] x\n")
    got = hold("drop", "run=a", words=words, marker="kedr: run a ends")
    assert got.text("dmesg") == f"<6>[1] x\n<9>[2] kedr: run a ends\n{tmp_path}/hold\n"
    assert (got.one("marked"), got.one("dropped")) == ("yes", "yes")
    assert "dmesg" not in hold("drop", "run=a", words=words).blobs
