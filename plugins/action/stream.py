# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take the traces of many hosts at once, from the control node."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base import rundir, steps
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError, KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import conditions, stream
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import ControlAction, StepError, given
from ansible_collections.kedr.lab.plugins.plugin_utils.host.reach import command_line
from ansible_collections.kedr.lab.plugins.plugin_utils.host.tracefs import event_paths, instance_name
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks

CLOCK_EVERY = 300.0
"""Seconds between two pairs of clock readings during a collection."""
ANSWER = 120.0
"""Seconds within which a host must answer when its clocks are read; in a snapshot, one that does not is given up."""
SHOW_EVERY = 10.0
"""Seconds between two lines that say how far the collection is."""
RATE_OVER = 2.0
"""Seconds over which a rate is measured."""
LARGEST = 10**12
"""Neither seconds nor records of a condition are as many."""
FILES = 1 << 16
"""Open files of this process at most: old programs close all that they might have, one by one."""
SCRIPT_LIMIT = 24 * 3600
"""Seconds that a command may take on a host at most."""

_CLOCK_PAIR = """
find_tracing
choose_place "$k_instance"
clock_pair during | text clocks
"""


@dataclass
class Lane:
    """One host of the task: how it is reached, its stream, the commands that run on it."""

    stream: stream.Host
    line: Callable[[str], Sequence[str]]
    files: Sequence[str]
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    script: conditions.Job | None = None
    ender: conditions.Job | None = None
    peak: int = 0
    before: tuple[float, int] | None = None
    clock: conditions.Job | None = None


def _content(path: str) -> bytes:
    """A file that goes to a host.  Raises StepError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise StepError("INFRA", f"{path}: cannot read a file for the hosts: {error.strerror}") from None


def _measure(lane: Lane, now: float, last: bool = False) -> None:
    """Keep the highest rate of bytes a second, over two seconds at least, that a host's buffers gave."""
    if lane.before is None:
        lane.before = now, lane.stream.written
    elif last or now - lane.before[0] >= RATE_OVER:
        seconds = max(now - lane.before[0], RATE_OVER)
        lane.peak = max(lane.peak, int((lane.stream.written - lane.before[1]) / seconds))
        lane.before = now, lane.stream.written


def _allow_files() -> None:
    """Allow this process more open files, as far as it may: each host takes up to nine, and 1024 are usual."""
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(most, FILES)
    if usual != resource.RLIM_INFINITY and usual < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class ActionModule(ControlAction):
    """See the documentation of M(kedr.lab.stream)."""

    def perform(self, options: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Stream until a condition is met; the outcome of each host goes into its stream.json."""
        self.options = options
        self.run_dir = self.path(options["run_dir"])
        try:
            self.lanes = [self._lane(row) for row in given(options["hosts"])]
            self._check_conditions()
            self.script = self._script()
            self.contents = {path: _content(path) for lane in self.lanes for path in lane.files}
        except KedrError as error:
            return self._refuse(printable(str(error)))
        if self._task.check_mode or not self.lanes:
            told = f"would stream from {len(self.lanes)} hosts"
            return {"changed": False, "msg": told, "streams": {}, "ended_by": ""}
        _allow_files()
        self.trouble = ""
        self.begun = steps.begin()
        self.shown = self.clocked = time.monotonic()
        self.local = self._local_job()
        self.conditions = conditions.Conditions(parent=os.getppid())
        if not options["final"]:
            self.conditions.duration, self.conditions.events = options["duration"], options["events"]
            self.conditions.files = [self.path(options[name]) for name in ("file", "end_file") if options[name]]
            self.conditions.tick = self._tick
        try:
            self._collect()
        finally:
            self._end_jobs()
        streams = {}
        for lane in self.lanes:
            with self._writing():
                streams[lane.stream.name] = self._keep(lane)
        failed = {"failed": True, "msg": self.trouble} if self.trouble else {}
        return {"changed": True, "streams": streams, "ended_by": self.conditions.reason, **failed}

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """What cannot be written of one host, for example since the disk is full, is told and stops no other."""
        try:
            yield
        except OSError as error:
            self.trouble = f"{error.filename or self.run_dir}: cannot be written: {error.strerror or error}"
            self._say(self.trouble)

    def _step(self) -> str:
        return "drain" if self.options["final"] else "stream"

    def _refuse(self, reason: str) -> dict[str, Any]:
        """Nothing was streamed: every host of the round has that in its record."""
        for row in [] if self._task.check_mode else self.options["hosts"]:
            if rundir.HOST_NAME.fullmatch(row["name"]):
                steps.record(os.path.join(self.run_dir, row["name"]), self._step(), steps.begin(),
                             steps.outcome("INFRA", reason))
        return {"failed": True, "msg": reason}

    def _collect(self) -> None:
        """One round with all hosts; for a snapshot there is nothing to take before the last round."""
        hosts = {lane.stream.name: lane.stream for lane in self.lanes}
        if self.options["final"]:
            stream.collect(list(hosts.values()), lambda _hosts: True, self._say, final=True)
        elif self.options["mode"] == "stream":
            stream.collect(list(hosts.values()), self.conditions.met, self._say, final=False, on_live=self._live)
            for lane in self.lanes:
                _measure(lane, time.monotonic(), last=True)
        else:
            self._live(hosts)
            while not self.conditions.met(hosts):
                time.sleep(stream.TICK)

    # -- options -------------------------------------------------------------------------------------

    def _lane(self, row: Mapping[str, Any]) -> Lane:
        name = row["name"]
        rundir.check_hosts([name])
        argv = row["argv"]

        def line(command: str) -> Sequence[str]:
            return command_line(argv, command)

        line("true")
        host = stream.Host(name, line, os.path.join(self.run_dir, name), instance_name(row["instance"]),
                           event_paths(row["events"]))
        return Lane(host, line, [self.path(path) for path in row.get("files") or []])

    def _check_conditions(self) -> None:
        options = self.options
        for name in ("duration", "events"):
            if options[name] is not None and not 0 < options[name] < LARGEST:
                raise StepError("INFRA", f"{name}: {options[name]} is out of range: more than 0, less than {LARGEST}")
        wanted = ("duration", "events", "file", "end_file", "script", "command", "local_command")
        if not options["final"] and not any(options[name] for name in wanted):
            raise StepError("INFRA", "nothing says when the collection ends: give kedr_duration, kedr_until_events, "
                                     "kedr_until_file, kedr_command, kedr_local_command or kedr_exercise")
        if options["mode"] == "snapshot" and options["events"]:
            raise StepError("INFRA", "a snapshot counts no records before its end: kedr_until_events needs "
                                     "kedr_mode: stream")
        if options["script"] and options["command"]:
            raise StepError("INFRA", "give one of command and script (kedr_command and kedr_exercise)")
        # What appears after the check at the beginning of the run ends the collection.
        if self._task.check_mode and options["file"] and os.path.lexists(self.path(options["file"])):
            raise StepError("INFRA", f"{self.path(options['file'])} is there already, so it cannot end the collection: "
                                     "remove it first")

    def _script(self) -> bytes:
        """What runs on every host; nothing when no command does."""
        if self.options["final"]:
            return b""
        if self.options["command"]:
            return str(self.options["command"]).encode() + b"\n"
        return _content(self.path(self.options["script"])) if self.options["script"] else b""

    def _local_job(self) -> conditions.Job | None:
        if not self.options["local_command"] or self.options["final"]:
            return None
        hosts = " ".join(lane.stream.name for lane in self.lanes)
        return conditions.Job("localhost", ["/bin/sh", "-c", self.options["local_command"]],
                         environment={"KEDR_RUN_DIR": self.run_dir, "KEDR_HOSTS": hosts})

    # -- while the hosts stream ----------------------------------------------------------------------

    def _streams(self) -> bool:
        return bool(self.options["mode"] == "stream")

    def _say(self, text: str) -> None:
        self._display.display(f"    {printable(text, 500)}")

    def _live(self, hosts: stream.Hosts) -> None:
        """All hosts stream: the commands begin."""
        if self._streams():
            self._say(f"{sum(host.streamed and not host.error for host in hosts.values())} hosts stream")
        else:
            self._say(f"{len(hosts)} hosts are watched")
        self._read_clocks()
        jobs: list[conditions.Job] = []
        for lane in self.lanes:
            if self.script and not lane.stream.error:
                files = {os.path.basename(path): self.contents[path] for path in lane.files}
                lane.script = conditions.script_job(
                    lane.stream.name, lane.line, self.script, files, self._limit(), lane.token
                )
                jobs.append(lane.script)
        jobs += [self.local] if self.local else []
        for job in jobs:
            job.start()
        self.conditions.jobs = jobs
        self.conditions.live()

    def _limit(self) -> int:
        return int(min(self.options["duration"] or SCRIPT_LIMIT, SCRIPT_LIMIT)) + 1

    def _tick(self, hosts: stream.Hosts) -> None:
        now = time.monotonic()
        if self.conditions.live_since is not None and now - self.shown >= SHOW_EVERY:
            self.shown = now
            records = sum(sum(host.records.values()) for host in hosts.values())
            came = f": {records} records" if self._streams() else ""
            self._say(f"{now - self.conditions.live_since:.0f} s{came} of {len(hosts)} hosts")
        if self.conditions.live_since is not None and now - self.clocked >= CLOCK_EVERY:
            self._read_clocks()
        for lane in self.lanes:
            self._take_clock(lane)
            _measure(lane, now)

    def _read_clocks(self) -> None:
        self.clocked = time.monotonic()
        program = shell.load_script("tracefs", "clocks") + _CLOCK_PAIR
        for lane in self.lanes:
            if not lane.clock and (lane.stream.link or not self._streams()):
                call = shell.frame(program, {"k_instance": lane.stream.instance})
                lane.clock = conditions.Job(lane.stream.name, lane.line(call.command), call.stdin, nonce=call.nonce)
                lane.clock.start()

    def _take_clock(self, lane: Lane) -> None:
        """Keep a pair of clock readings that has come; one that did not come is missed by nobody."""
        if lane.clock and not lane.clock.ended() and time.monotonic() - lane.clock.begun > ANSWER:
            lane.clock.end(1.0)
            if not self._streams():
                lane.stream.error = lane.stream.error or f"the host did not answer for {ANSWER:.0f} s"
        if not lane.clock or not lane.clock.ended():
            return
        job, lane.clock = lane.clock, None
        try:
            lines = shell.parse(job.output(), job.nonce).text("clocks").splitlines()
        except ForeignError:
            return
        if text := clocks.dump(clocks.take(lines)):
            with self._writing():
                rundir.append(os.path.join(lane.stream.directory, "clocks.jsonl"), text)

    # -- afterwards ----------------------------------------------------------------------------------

    def _end_jobs(self) -> None:
        """End the commands that still run, on the hosts as well, and keep what they printed."""
        for lane in self.lanes:
            if lane.script and not lane.script.ended():
                lane.ender = conditions.end_job(lane.stream.name, lane.line, lane.token)
                lane.ender.start()
        conditions.wait_for([lane.ender for lane in self.lanes if lane.ender], 20)
        conditions.wait_for([lane.script for lane in self.lanes if lane.script], 5)
        for lane in self.lanes:
            if lane.clock:
                conditions.wait_for([lane.clock], 5)
                self._take_clock(lane)
            if lane.script:
                printed = (lane.ender or lane.script).result()[0]
                with self._writing():
                    rundir.keep(os.path.join(lane.stream.directory, "command.txt"), printed)
                    lane.stream.texts["command.txt"] = hashlib.sha256(printed).hexdigest()
        if self.local:
            self.local_killed = not self.local.ended()
            self.local.end()
            with self._writing():
                rundir.keep(os.path.join(self.run_dir, "command.txt"), self.local.output())

    def _keep(self, lane: Lane) -> dict[str, Any]:
        """Write stream.json of a host and the record of the step; return what the file holds."""
        host, final = lane.stream, self.options["final"]
        path = os.path.join(host.directory, "stream.json")
        about = {**self._earlier(path), "mode": self.options["mode"], "ended": round(time.time(), 3),
                 "received": host.received, "records": dict(sorted(host.records.items())),
                 "complete": host.complete, "error": printable(host.error, 1000),
                 "lost_connections": host.lost_connections}
        about.setdefault("began", round(self.begun.wall, 3))
        about.update({name: value for name, value in (("form", host.form), ("packing", host.packing)) if value})
        if not final:
            about["ended_by"], about["peak"] = self.conditions.reason, lane.peak
        if lane.script:
            _output, status, error = (lane.ender or lane.script).result()
            about["command"] = {"status": status, "error": error, "killed": lane.ender is not None}
            self._record_command(host, about["command"])
        if self.local:
            about["local_command"] = {"status": self.local.status, "killed": self.local_killed}
        text = json.dumps(about, indent=1, sort_keys=True) + "\n"
        rundir.keep(path, text)
        steps.record(host.directory, self._step(), self.begun, steps.outcome("INFRA", about["error"]), round_trips=1,
                     boots=[host.boot] if host.boot else [],
                     data={key: about[key] for key in ("records", "received", "complete")},
                     files={**host.texts, "stream.json": hashlib.sha256(text.encode()).hexdigest()})
        return about

    def _record_command(self, host: stream.Host, outcome: Mapping[str, Any]) -> None:
        """A command that failed on its own is a failed step; one that was ended, since all was over, is not."""
        status = outcome["status"]
        reason = outcome["error"] or "the host did not say how the command ended"
        if status is not None:
            reason = f"the command ended with exit status {status}"
        bad = status != 0 and not outcome["killed"]
        kind = "INFRA" if status is None else "FAIL"
        steps.record(host.directory, "command", self.begun, steps.outcome(kind, reason if bad else ""),
                     round_trips=1, data={"status": status})

    @staticmethod
    def _earlier(path: str) -> dict[str, Any]:
        """What an earlier round of this run wrote down."""
        try:
            with open(path, encoding="utf-8") as file:
                earlier = json.load(file)
        except (OSError, ValueError):
            return {}
        kept = ("began", "ended_by", "peak", "command", "local_command")
        return {key: earlier[key] for key in kept if key in earlier}
