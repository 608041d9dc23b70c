# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a script on a test host that makes the target work and checks what it does."""

import os
import re
import shlex
import signal
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction, StepError
from ansible_collections.kedr.lab.plugins.plugin_utils.host.exercise import parse_checks

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
KILLED = (124, 137, 143)
"""Exit status of `timeout` (or of what it ran) when the time was over."""
GRACE = 0.5
"""Seconds by which the clocks of `timeout` and of the measurement may differ."""


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.exercise)."""

    default_step = "exercise"
    changes_host = True
    recorded = ("checks", "took", "cut")

    def default_deadline(self) -> float:
        """Return the time of the script, and a while for what is around it."""
        return float(self.options["timeout"]) + 120

    def perform(self) -> dict[str, Any]:
        """Send the script with its files, run it, judge its checks."""
        paths = [self.path(path) for path in (self.options["script"], *self.options["files"])]
        files = {f"files/{self._name(path)}": self.read_file(path, "a file of the exercise") for path in paths}
        if len(files) != len(paths):
            raise InputError("two files of the exercise have the same name")
        seconds = self.options["timeout"]
        if seconds < 1:
            raise InputError(f"timeout: {seconds} is out of range: at least 1 second")
        exports = self._exports()
        if self.check_mode():
            return {"changed": True, "msg": f"would run {paths[0]} on the host", "checks": []}
        program = exports + shell.load_script("exercise")
        answer = self.ask(program, {"k_script": self._name(paths[0]), "k_seconds": seconds}, shell.make_tar(files))
        return self._judged(answer)

    @staticmethod
    def _name(path: str) -> str:
        name = os.path.basename(path)
        if not _FILE.match(name):
            raise InputError(f"'{printable(name, 80)}': rename this file of the exercise: letters, digits, '.', '_', "
                             "'+' and '-' are allowed")
        return name

    def _exports(self) -> str:
        lines = []
        for name, value in (self.options["env"] or {}).items():
            if not _VARIABLE.match(name) or name.startswith("k_"):
                raise InputError(f"env: '{printable(name, 80)}' cannot name a variable")
            lines.append(f"export {name}={shlex.quote(str(value))}\n")
        return "".join(lines)

    def _judged(self, answer: shell.Answer) -> dict[str, Any]:
        output = answer.text("out")
        checks = parse_checks(output)
        status = answer.number("status")
        stderr = printable(answer.text("err"), 2000).strip()
        times = [float(word) for word in answer.one("took").split() if re.fullmatch(r"[0-9]+(\.[0-9]+)?", word)]
        took = round(times[-1] - times[0], 2) if times else 0.0
        result = {"changed": True, "checks": checks, "took": took, "output": printable(output, 4000)}
        reasons = [f"check {check['name']}: {check['detail']}" for check in checks if not check["ok"]]
        if answer.one("cut") == "yes":
            result["cut"] = True
            reasons.append("the exercise printed more than 1 MiB, of which the rest was cut")
        end = self._end(status, took if times else float(self.options["timeout"]))
        if end:
            reasons.append(end)
        elif not checks:
            reasons.append("the exercise printed no line 'check NAME ok': nothing was checked")
        if reasons:
            raise StepError("FAIL", "\n".join(reasons + ([stderr] if stderr else [])), **result)
        return result

    def _end(self, status: int, took: float) -> str:
        """Return what is wrong with how the script ended, or nothing; `took` is in seconds."""
        timeout = self.options["timeout"]
        if status in KILLED and took >= timeout - GRACE:
            return f"the exercise was killed because its time was over (timeout: {timeout} s; exit status {status})"
        if status == 128 + signal.SIGKILL:
            return f"the exercise was killed by signal 9 after {took:g} s: out of memory? see dmesg.txt"
        if 128 < status < 128 + signal.NSIG:
            return f"the exercise was ended by signal {status - 128} after {took:g} s (exit status {status})"
        return f"the exercise ended with exit status {status}" if status else ""
