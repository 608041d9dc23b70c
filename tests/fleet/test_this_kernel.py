# SPDX-License-Identifier: GPL-3.0-or-later
"""The stream on the ring buffer of the kernel that runs here: an instance of the test's own, filled by its marker.

``scripts/test/fleet.sh`` leaves this file out, with a note, where no instance can be made.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import rounds
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.stats import parse_stats
from running import ENVIRONMENT

TRACING = pathlib.Path("/sys/kernel/tracing")
CONTROL = """
import select, sys
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import rounds
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream
directory, instance = sys.argv[1:]
host = HostStream("here", lambda command: ["sh", "-c", command], directory, instance, ["ftrace/print"])
rounds.collect([host], lambda hosts: bool(select.select([sys.stdin], [], [], 0)[0]), lambda line: None,
               final=True, on_live=lambda hosts: print("live", flush=True))
print(host.complete, host.error)
"""
"""A stream in a process of its own.  Arguments: directory, instance.  A line ends it."""


@pytest.fixture
def instance() -> Iterator[pathlib.Path]:
    """An instance of the trace buffer that nobody else uses, of 64 KiB for each CPU."""
    place = TRACING / "instances" / f"kedr-test-{os.getpid()}"
    place.mkdir()
    try:
        (place / "buffer_size_kb").write_text("64\n")
        yield place
    finally:
        for _attempt in range(50):
            try:
                place.rmdir()
                break
            except OSError:  # somebody still lets go of it
                time.sleep(0.1)


class Marker:
    """Writes numbered marks as fast as it is told to, from a thread of its own."""

    def __init__(self, instance: pathlib.Path) -> None:
        self.written, self.stopping = 0, threading.Event()
        self.file = os.open(instance / "trace_marker", os.O_WRONLY)
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.stopping.wait(0.01):
            self.write(20)

    def write(self, count: int) -> None:
        for _mark in range(count):
            os.write(self.file, b"mark %08d" % self.written)
            self.written += 1

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self.thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            self.thread.join()
            os.close(self.file)


def here(instance: pathlib.Path, place: pathlib.Path, environment: tuple[str, ...] = ()) -> HostStream:
    return HostStream(
        "here", lambda command: ["env", *environment, "sh", "-c", command], str(place), instance.name, ["ftrace/print"]
    )


def counts(place: pathlib.Path) -> tuple[int, int, int]:
    """Records that were read, that were lost, and that were left, of all CPUs, as the kernel counts them."""
    each = parse_stats((place / "stats.txt").read_text()).values()
    return sum(one.read or 0 for one in each), sum(one.lost for one in each), sum(one.entries for one in each)


def test_two_rounds_bring_every_record_once(instance: pathlib.Path, tmp_path: pathlib.Path) -> None:
    marker = Marker(instance)
    with marker.running():
        first = here(instance, tmp_path)
        rounds.collect([first], lambda hosts: first.records.total() > 1000, print, final=False)
        assert (first.done, first.complete, first.form) == (True, False, "pages")
    second = here(instance, tmp_path)
    rounds.collect([second], lambda hosts: True, print, final=True)
    assert second.complete, second.error
    read, lost, left = counts(tmp_path)
    assert (second.records.total(), marker.written, left) == (read, read + lost, 0)
    assert (instance / "tracing_on").read_text() == "0\n"


def test_pages_have_the_size_that_they_have_in_this_instance(instance: pathlib.Path, tmp_path: pathlib.Path) -> None:
    size, page = instance / "buffer_subbuf_size_kb", os.sysconf("SC_PAGE_SIZE")
    if size.exists():  # since Linux 6.8 they need not be those of the processor
        page = 16384
        size.write_text("16\n")
    marker = Marker(instance)
    marker.write(2000)
    os.close(marker.file)
    host = here(instance, tmp_path)
    rounds.collect([host], lambda hosts: True, print, final=True)
    assert host.complete, host.error
    read, lost, left = counts(tmp_path)
    assert (host.records.total(), marker.written, left) == (read, read + lost, 0)
    assert f"size:{page - 16};" in (tmp_path / "header.txt").read_text()


def test_text_is_read_where_dd_cannot_read_without_waiting(instance: pathlib.Path, tmp_path: pathlib.Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "dd").write_text('#!/bin/sh\ncase $* in *nonblock*) exit 1 ;; esac\nexec /bin/dd "$@"\n')
    (programs / "dd").chmod(0o755)
    environment = (f"PATH={programs}:{os.environ['PATH']}",)
    marker = Marker(instance)
    place = tmp_path / "here"
    with marker.running():
        first = here(instance, place, environment)
        rounds.collect([first], lambda hosts: first.records.total() > 1000, print, final=False)
        assert (first.done, first.form) == (True, "text"), first.error
    second = here(instance, place, environment)
    rounds.collect([second], lambda hosts: True, print, final=True)
    assert second.complete, second.error
    text = (place / "raw" / "trace_pipe.txt").read_text()
    read, lost, left = counts(place)
    numbers = [int(line.rpartition("mark ")[2]) for line in text.splitlines() if "mark " in line]
    assert numbers == sorted(set(numbers))
    assert second.records == {"trace_pipe": len(numbers)}
    assert (len(numbers), marker.written, left) == (read, read + lost, 0)


def test_a_stopped_control_node_never_holds_up_the_kernel(instance: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """What is traced goes on while nobody reads; what the buffer had no room for is counted."""
    marker = Marker(instance)
    control = subprocess.Popen(
        [sys.executable, "-c", CONTROL, tmp_path, instance.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert control.stdin and control.stdout
    try:
        assert control.stdout.readline() == "live\n"
        control.send_signal(signal.SIGSTOP)
        marker.write(600_000)  # 20 MB, into 64 KiB for each CPU
        control.send_signal(signal.SIGCONT)
        control.stdin.write("stop\n")
        control.stdin.close()
        assert control.stdout.read() == "True \n"
        assert control.wait(60) == 0
    finally:
        control.kill()
        control.wait()
        os.close(marker.file)
    host = here(instance, tmp_path)
    read, lost, left = counts(tmp_path)
    assert lost > 0
    assert (marker.written, left) == (read + lost, 0)
    assert sum(host.records.values()) == read
