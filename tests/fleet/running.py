# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the simulated hosts do with them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import select
import subprocess
import sys
from collections.abc import Callable, Sequence

from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream
from fleet import EVENT, HERE, INSTANCE, Fleet, SimulatedHost

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / ".collections")}
"""That of a process of ours that streams."""


class Writer:
    """The process that plays the kernel of all hosts, and the numbers that it ends with."""

    def __init__(self, hosts: Sequence[SimulatedHost], rate: float, pages: int, capacity: int) -> None:
        self.hosts = hosts
        self.counts: dict[str, dict[str, list[int]]] = {}
        words = [sys.executable, HERE / "writer.py", str(rate), str(pages), str(capacity)]
        self.process = subprocess.Popen(
            [*words, *(host.instance for host in hosts)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdin and self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        if self.stdout.readline() != "ready\n":
            self.stop()
            raise AssertionError("the process that plays the kernel could not begin")

    def go(self) -> None:
        """Begin to write; the second time: stop."""
        self.stdin.write("go\n")
        self.stdin.flush()

    def done(self) -> bool:
        """Whether all is written; then ``counts`` says how much: host -> CPU -> [generated, overrun]."""
        if not self.counts and select.select([self.stdout], [], [], 0)[0]:
            counts = json.loads(self.stdout.readline())
            self.counts = {host.name: counts[str(host.instance)] for host in self.hosts}
        return bool(self.counts)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.stdin.close()
        self.stdout.close()


MakeFleet = Callable[..., Fleet]
MakeWriter = Callable[..., Writer]


def children() -> list[str]:
    """Processes that this one has started and that still run, with their command lines."""
    found = []
    for pid in pathlib.Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError):
            found.append(pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
    return found


def streams(fleet: Fleet, place: pathlib.Path) -> list[HostStream]:
    """The hosts of a fleet as the stream takes them; their files go below ``place``."""
    found = []
    for host in fleet.hosts:
        directory = place / host.name
        directory.mkdir(parents=True, exist_ok=True)
        found.append(HostStream(host.name, fleet.argv(host), str(directory), INSTANCE, [EVENT]))
    return found
