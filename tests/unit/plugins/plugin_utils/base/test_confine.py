# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a child: what comes back, what it may not do, and how its end is told."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import confine
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError


def test_what_is_returned_comes_back_as_json_carries_it() -> None:
    assert confine.call(lambda: {"a": [1, "é"], "b": (2.5, None)}) == {"a": [1, "é"], "b": [2.5, None]}


def test_pieces_come_back_as_one() -> None:
    assert confine.collect(lambda: [b"x" * 300_000, b"", b"y"], 1 << 20) == b"x" * 300_000 + b"y"


def test_the_works_own_error_is_told_with_its_words_and_another_one_as_what_it_is() -> None:
    def own() -> None:
        raise ForeignError("it is cut off")

    with pytest.raises(ForeignError, match=r"^it is cut off$"):
        confine.call(own)
    with pytest.raises(ForeignError, match=r"^it cannot be read \(KeyError: 'name'\)$"):
        confine.call(lambda: {}["name"])


def deep(level: int) -> int:
    return deep(level + 1)


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(1 << 20)


def spin() -> None:
    while True:
        pass


SHORT = confine.Limits(cpu=1, seconds=3)
BUSY = SHORT._replace(seconds=120)
"""For work that must meet another limit first, on a machine that is busy with other things as well."""


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda: len(bytearray(200 << 20)), "needs more than 128 MB of memory"),
        (lambda: deep(0), "RecursionError"),
        (spin, "takes more than 1 s of processor time"),
        (signal.pause, "takes more than 3 s"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "ended with signal 15"),
        (lambda: os._exit(7), "ended with status 7"),
        (lambda: "x" * (33 << 20), "holds more than 32 MB"),
    ],
    ids=["memory", "depth", "processor", "clock", "crash", "exit", "answer"],
)
def test_too_much_and_a_crash_are_errors_of_what_was_read(work: Callable[[], Any], words: str) -> None:
    with pytest.raises(ForeignError, match=words):
        confine.call(work, SHORT if work is signal.pause else BUSY)


def test_endless_pieces_are_stopped_while_they_come() -> None:
    with pytest.raises(ForeignError, match="holds more than 8 MB"):
        confine.collect(endless, 8 << 20)


@pytest.mark.parametrize(
    "work",
    [
        pathlib.Path("/dev/null").read_bytes,
        pathlib.Path("/tmp/kedr-confined").touch,
        socket.socket,
        os.fork,
        lambda: os.setuid(0),
    ],
    ids=["reading", "writing", "socket", "process", "user"],
)
def test_the_work_can_neither_open_nor_start_anything(work: Callable[[], Any]) -> None:
    with pytest.raises(ForeignError, match="Error: "):
        confine.call(work)


def test_the_work_is_not_done_as_root_and_can_gain_nothing() -> None:
    with open("/proc/thread-self/status", "rb") as status:
        told = confine.call(lambda: [os.getuid(), os.getgroups(), status.read().decode()])
    assert told[0] != 0
    assert os.getuid() != 0 or told[1] == []


def test_work_that_needs_files_has_them_and_limits_all_the_same(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("text")
    limits = confine.Limits(drops=False, files=True)
    assert confine.call((tmp_path / "file").read_text, limits) == "text"
    with pytest.raises(ForeignError, match="needs more than 128 MB"):
        confine.call(lambda: len(bytearray(200 << 20)), limits)


def test_a_program_reads_what_it_is_given_and_its_complaint_is_told() -> None:
    limits = confine.Limits(files=True)
    cat, sh = shutil.which("cat") or "", shutil.which("sh") or ""
    assert confine.output([cat], b"x" * 100_000, 1 << 20, limits) == b"x" * 100_000
    with pytest.raises(ForeignError, match=r"^no good$"):
        confine.output([sh, "-c", "echo no good >&2; exit 1"], b"", 10, limits)
    with pytest.raises(ForeignError, match="none: cannot be started"):
        confine.output(["/none"], b"", 10, limits)


def test_an_interruption_ends_the_child_and_leaves_no_files_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(confine, "_received", interrupted)
    with pytest.raises(KeyboardInterrupt):
        confine.call(signal.pause)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert len(os.listdir("/proc/self/fd")) == before
