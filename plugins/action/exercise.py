# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a script on a test host that makes the target work and checks what it does."""

from __future__ import annotations

import os
import re
import shlex
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils import hostshell
from ansible_collections.kedr.lab.plugins.plugin_utils.action import HostAction, StepError
from ansible_collections.kedr.lab.plugins.plugin_utils.checks import parse_checks

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
KILLED = (124, 137, 143)
"""Exit status of `timeout` (or of what it ran) when the time was over."""


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.exercise)."""

    default_step = "exercise"
    changes_host = True
    recorded = ("checks", "took")

    def perform(self) -> dict[str, Any]:
        """Send the script with its files, run it, judge its checks."""
        paths = [self.path(path) for path in (self.options["script"], *self.options["files"])]
        files = {f"files/{self._name(path)}": self.read_file(path, "a file of the exercise") for path in paths}
        if len(files) != len(paths):
            raise StepError("INFRA", "two files of the exercise have the same name")
        seconds = self.options["timeout"]
        if seconds < 1:
            raise StepError("INFRA", f"timeout: {seconds} is out of range: at least 1 second")
        exports = self._exports()
        if self.check_mode():
            return {"changed": True, "msg": f"would run {paths[0]} on the host", "checks": []}
        program = exports + hostshell.load_script("exercise")
        answer = self.ask(program, {"k_script": self._name(paths[0]), "k_seconds": seconds},
                          hostshell.make_tar(files))
        return self._judged(answer)

    @staticmethod
    def _name(path: str) -> str:
        name = os.path.basename(path)
        if not _FILE.match(name):
            raise StepError("INFRA", f"'{hostshell.printable(name, 80)}': rename this file of the exercise: letters, "
                                     "digits, '.', '_', '+' and '-' are allowed")
        return name

    def _exports(self) -> str:
        lines = []
        for name, value in (self.options["env"] or {}).items():
            if not _VARIABLE.match(name) or name.startswith("k_"):
                raise StepError("INFRA", f"env: '{hostshell.printable(name, 80)}' cannot name a variable")
            lines.append(f"export {name}={shlex.quote(str(value))}\n")
        return "".join(lines)

    def _judged(self, answer: hostshell.Answer) -> dict[str, Any]:
        output = answer.text("out")
        checks = parse_checks(output)
        status = answer.number("status")
        stderr = hostshell.printable(answer.text("err"), 2000).strip()
        times = [float(word) for word in answer.one("took").split() if re.fullmatch(r"[0-9]+(\.[0-9]+)?", word)]
        result = {"changed": True, "checks": checks, "took": round(times[-1] - times[0], 2) if times else 0.0,
                  "output": hostshell.printable(output, 4000)}
        reasons = [f"check {check['name']}: {check['detail']}" for check in checks if not check["ok"]]
        if status in KILLED:
            reasons.append(f"the exercise was killed (after at most {self.options['timeout']} s; exit status {status})")
        elif status:
            reasons.append(f"the exercise ended with exit status {status}")
        elif not checks:
            reasons.append("the exercise printed no line 'check NAME ok': nothing was checked")
        if reasons:
            raise StepError("FAIL", "\n".join(reasons + ([stderr] if stderr else [])), **result)
        return result
