# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take the traces of many hosts at once, from the control node."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base import rundir
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError, about
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import outcome
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.ending import Ending
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.jobs import Job
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.watch import Watch, WatchedHost
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import ControlAction, StepError, given
from ansible_collections.kedr.lab.plugins.plugin_utils.host.reach import command_line
from ansible_collections.kedr.lab.plugins.plugin_utils.host.tracefs import event_paths, instance_name

LARGEST = 10**12
"""Neither seconds nor records of a condition are as many."""


def _content(path: str) -> bytes:
    """A file that goes to a host.  Raises ForeignError."""
    with about(path), open(path, "rb") as file:
        return file.read()


class ActionModule(ControlAction):
    """See the documentation of M(kedr.lab.stream)."""

    def perform(self, options: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Stream until a condition is met; the outcome of each host goes into its stream.json."""
        self.options = options
        self.run_dir = self.path(options["run_dir"])
        try:
            watch = self._watch()
        except KedrError as error:
            return self._refuse(printable(str(error)))
        if self._task.check_mode or not watch.hosts:
            told = f"would stream from {len(watch.hosts)} hosts"
            return {"changed": False, "msg": told, "streams": {}, "ended_by": ""}
        watch.run()
        streams = {}
        for host in watch.hosts:
            with watch.writing():
                streams[host.stream.name] = outcome.keep(watch, host)
        failed = {"failed": True, "msg": watch.trouble} if watch.trouble else {}
        return {"changed": True, "streams": streams, "ended_by": watch.ending.reason, **failed}

    def _refuse(self, reason: str) -> dict[str, Any]:
        """Nothing was streamed: every host of the round has that in its record."""
        for row in [] if self._task.check_mode else self.options["hosts"]:
            outcome.refuse(self.run_dir, row["name"], self.options["final"], reason)
        return {"failed": True, "msg": reason}

    def _watch(self) -> Watch:
        """The round that the options describe.  Raises KedrError when they make no sense."""
        hosts = [self._host(row) for row in given(self.options["hosts"])]
        self._check_conditions()
        script = self._script()
        for host, row in zip(hosts, given(self.options["hosts"]), strict=True):
            paths = [self.path(path) for path in row.get("files") or []]
            host.files = {os.path.basename(path): _content(path) for path in paths}
        return Watch(
            hosts, self.run_dir, self._say, self._ending(), streams=self.options["mode"] == "stream",
            final=self.options["final"], script=script, local=self._local_job(hosts),
        )  # fmt: skip

    def _say(self, text: str) -> None:
        self._display.display(f"    {printable(text, 500)}")

    def _host(self, row: Mapping[str, Any]) -> WatchedHost:
        name, argv = row["name"], row["argv"]
        rundir.check_hosts([name])

        def line(command: str) -> Sequence[str]:
            return command_line(argv, command)

        line("true")
        directory = os.path.join(self.run_dir, name)
        return WatchedHost(
            HostStream(name, line, directory, instance_name(row["instance"]), event_paths(row["events"])), line
        )

    def _check_conditions(self) -> None:
        options = self.options
        for name in ("duration", "events"):
            if options[name] is not None and not 0 < options[name] < LARGEST:
                raise StepError("INFRA", f"{name}: {options[name]} is out of range: more than 0, less than {LARGEST}")
        wanted = ("duration", "events", "file", "end_file", "script", "command", "local_command")
        if not options["final"] and not any(options[name] for name in wanted):
            raise StepError("INFRA", "nothing says when the watch ends: give kedr_duration, kedr_until_events, "
                                     "kedr_until_file, kedr_command, kedr_local_command or kedr_exercise")
        if options["mode"] == "snapshot" and options["events"]:
            raise StepError("INFRA", "a snapshot counts no records before its end: kedr_until_events needs "
                                     "kedr_mode: stream")
        if options["script"] and options["command"]:
            raise StepError("INFRA", "give one of command and script (kedr_command and kedr_exercise)")
        # What appears after the check at the beginning of the run ends the watch.
        if self._task.check_mode and options["file"] and os.path.lexists(self.path(options["file"])):
            raise StepError("INFRA", f"{self.path(options['file'])} is there already, so it cannot end the watch: "
                                     "remove it first")

    def _ending(self) -> Ending:
        options = self.options
        if options["final"]:
            return Ending()
        files = [self.path(options[name]) for name in ("file", "end_file") if options[name]]
        return Ending(options["duration"], options["events"], files, parent=os.getppid())

    def _script(self) -> bytes:
        """What runs on every host; nothing when no command does."""
        if self.options["final"]:
            return b""
        if self.options["command"]:
            return str(self.options["command"]).encode() + b"\n"
        return _content(self.path(self.options["script"])) if self.options["script"] else b""

    def _local_job(self, hosts: Sequence[WatchedHost]) -> Job | None:
        if not self.options["local_command"] or self.options["final"]:
            return None
        names = " ".join(host.stream.name for host in hosts)
        return Job("localhost", ["/bin/sh", "-c", self.options["local_command"]],
                   environment={"KEDR_RUN_DIR": self.run_dir, "KEDR_HOSTS": names})
