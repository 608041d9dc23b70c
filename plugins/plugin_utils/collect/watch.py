# SPDX-License-Identifier: GPL-3.0-or-later
"""One round of a watch: the hosts stream, commands run beside, clocks are read, until the round ends."""

import contextlib
import hashlib
import os
import resource
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..base import rundir, steps
from . import jobs, rounds
from .ending import Ending
from .jobs import Job
from .rates import Rate
from .stream import HostStream, Streams

CLOCK_EVERY = 300.0
"""Seconds between two pairs of clock readings."""
ANSWER = 120.0
"""Seconds within which a host must answer when its clocks are read; in a snapshot, one that does not is given up."""
SHOW_EVERY = 10.0
"""Seconds between two lines that say how far the watch is."""
FILES = 1 << 16
"""Open files of this process at most: old programs close all that they might have, one by one."""
SCRIPT_LIMIT = 24 * 3600
"""Seconds that a command may take on a host at most."""


@dataclass
class WatchedHost:
    """One host of a watch: its stream, how it is reached, the commands that run on it.

    ``files`` are those that the script finds beside itself, by their names.
    """

    stream: HostStream
    line: jobs.Line
    files: Mapping[str, bytes] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    rate: Rate = field(default_factory=Rate)
    script: Job | None = None
    ender: Job | None = None
    clock: Job | None = None

    def begin_script(self, script: bytes, seconds: int) -> Job:
        """Run a script on the host, so many seconds at most."""
        self.script = jobs.script_job(self.stream.name, self.line, script, self.files, seconds, self.token)
        self.script.start()
        return self.script

    def begin_end(self) -> None:
        """Begin to end the script on the host, where it still runs."""
        if self.script and not self.script.ended():
            self.ender = jobs.end_job(self.stream.name, self.line, self.token)
            self.ender.start()

    def read_clocks(self) -> None:
        """Begin to read the clocks of the host."""
        self.clock = jobs.clock_job(self.stream.name, self.line, self.stream.instance)
        self.clock.start()

    def command_result(self) -> tuple[bytes, int | None, str]:
        """What the script printed, its exit status, and why these are not known, as ``Job.result`` does."""
        job = self.ender or self.script
        return job.result() if job else (b"", None, "")


def _allow_files() -> None:
    """Allow this process more open files, as far as it may: each host takes up to nine, and 1024 are usual."""
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(most, FILES)
    if usual != resource.RLIM_INFINITY and usual < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


@dataclass
class Watch:
    """One round with all hosts.

    ``streams``: records are taken while they appear, else (a snapshot) the hosts are only watched.  ``final``: what is
    left is taken, and nothing is waited for.  ``script`` runs on every host, ``local`` on the control node.  ``say``
    shows a line.  ``trouble`` is what could not be written on the control node.
    """

    hosts: Sequence[WatchedHost]
    run_dir: str
    say: Callable[[str], None]
    ending: Ending
    streams: bool = True
    final: bool = False
    script: bytes = b""
    local: Job | None = None
    local_killed: bool = False
    trouble: str = ""
    begun: steps.Begin = field(default_factory=steps.begin)
    _shown: float = field(default_factory=time.monotonic)
    _clocked: float = 0.0

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Tell what cannot be written of one host, for example since the disk is full; it stops no other."""
        try:
            yield
        except OSError as error:
            self.trouble = f"{error.filename or self.run_dir}: cannot be written: {error.strerror or error}"
            self.say(self.trouble)

    def run(self) -> None:
        """Watch until the end of the round; what the hosts and commands say is in their files then."""
        _allow_files()
        try:
            self._round({one.stream.name: one.stream for one in self.hosts})
        finally:
            self._end_jobs()

    def _round(self, streams: Streams) -> None:
        if self.final:
            rounds.collect(list(streams.values()), lambda _streams: True, self.say, final=True)
        elif self.streams:
            rounds.collect(list(streams.values()), self._is_over, self.say, final=False, on_live=self._live)
            for one in self.hosts:
                one.rate.measure(time.monotonic(), one.stream.written, last=True)
        else:
            self._live(streams)
            while not self._is_over(streams):
                time.sleep(rounds.TICK)

    def _live(self, streams: Streams) -> None:
        """All hosts stream: the commands begin."""
        if self.streams:
            self.say(f"{sum(one.streamed and not one.error for one in streams.values())} hosts stream")
        else:
            self.say(f"{len(streams)} hosts are watched")
        self._read_clocks()
        if self.script:
            seconds = int(min(self.ending.duration or SCRIPT_LIMIT, SCRIPT_LIMIT)) + 1
            commands = [one.begin_script(self.script, seconds) for one in self.hosts if not one.stream.error]
        else:
            commands = []
        if self.local:
            self.local.start()
            commands.append(self.local)
        self.ending.jobs = commands
        self.ending.live()

    def _is_over(self, streams: Streams) -> bool:
        """Do what is due, and look whether the round ends."""
        now = time.monotonic()
        if self.ending.live_since is not None:
            self._show(streams, now)
            if now - self._clocked >= CLOCK_EVERY:
                self._read_clocks()
        for one in self.hosts:
            self._take_clock(one)
            one.rate.measure(now, one.stream.written)
        return self.ending.met(streams)

    def _show(self, streams: Streams, now: float) -> None:
        if now - self._shown >= SHOW_EVERY and self.ending.live_since is not None:
            self._shown = now
            records = sum(sum(one.records.values()) for one in streams.values())
            came = f": {records} records" if self.streams else ""
            self.say(f"{now - self.ending.live_since:.0f} s{came} of {len(streams)} hosts")

    def _read_clocks(self) -> None:
        self._clocked = time.monotonic()
        for one in self.hosts:
            if not one.clock and (one.stream.link or not self.streams):
                one.read_clocks()

    def _take_clock(self, one: WatchedHost) -> None:
        """Keep a pair of clock readings that has come; a pair that did not come is not needed."""
        if one.clock and not one.clock.ended() and time.monotonic() - one.clock.begun > ANSWER:
            one.clock.end(1.0)
            if not self.streams:
                one.stream.error = one.stream.error or f"the host did not answer for {ANSWER:.0f} s"
        if not one.clock or not one.clock.ended():
            return
        job, one.clock = one.clock, None
        if text := jobs.clock_readings(job):
            with self.writing():
                rundir.append(os.path.join(one.stream.directory, "clocks.jsonl"), text)

    def _end_jobs(self) -> None:
        """End the commands that still run, on the hosts as well, and keep what they printed."""
        for one in self.hosts:
            one.begin_end()
        jobs.wait_for([one.ender for one in self.hosts if one.ender], 20)
        jobs.wait_for([one.script for one in self.hosts if one.script], 5)
        for one in self.hosts:
            if one.clock:
                jobs.wait_for([one.clock], 5)
                self._take_clock(one)
            if one.script:
                printed = one.command_result()[0]
                with self.writing():
                    rundir.keep(os.path.join(one.stream.directory, "command.txt"), printed)
                    one.stream.texts["command.txt"] = hashlib.sha256(printed).hexdigest()
        if self.local:
            self.local_killed = not self.local.ended()
            self.local.end()
            with self.writing():
                rundir.keep(os.path.join(self.run_dir, "command.txt"), self.local.output())
