# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Begin a run: make its directory on the control node."""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from ansible.release import __version__ as ansible_version
from ansible_collections.kedr.lab.plugins.plugin_utils.base import rundir
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.expect import default_expect, load_expect
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import ControlAction
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.kept import guest_alive

EACH_FOR_ITSELF = ("free", "host_pinned", "ansible.builtin.free", "ansible.builtin.host_pinned")
"""Strategies by which every host does a task that is to be done once."""

OF_THE_INVENTORY = ("kedr_", "cp_controller_", "cp_target_", "host_", "lab_", "payloads_", "trace_")
"""How variables begin by which this collection is told what to do."""


class ActionModule(ControlAction):
    """See the documentation of M(kedr.lab.run)."""

    def perform(self, options: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Make the directory; return its path."""
        hosts = [str(name) for name in options["hosts"] or task_vars.get("groups", {}).get("all", [])]
        run_id = options["run_id"] or rundir.new_id(time.time(), os.getppid())
        runs_dir = self.path(options["runs_dir"])
        strategy = _strategy(self._task)
        if len(task_vars.get("ansible_play_hosts_all", [])) > 1 and strategy in EACH_FOR_ITSELF:
            return {"failed": True, "msg": f"strategy: {strategy} is not supported here: it does not heed run_once, so "
                                           "each host would begin a run; write strategy: linear in this play"}
        if self._task.check_mode:
            path = os.path.join(runs_dir, run_id)
            return {"changed": True, "run_id": run_id, "run_dir": path}
        hostvars = task_vars.get("hostvars", {})
        known = {name: self._about(hostvars, name) for name in hosts if name != "localhost"}
        mistakes = _said_by_hosts({name: hostvars[name] for name in known if name in hostvars})
        mistakes += _mistakes(known) if options["expectations"] else []
        if mistakes:
            return {"failed": True, "msg": "\n".join(map(str, mistakes))}
        about = {
            "started": round(time.time(), 3),
            "command": rundir.without_secrets(sys.argv),
            "directory": os.getcwd(),
            "ansible": ansible_version,
            "hosts": known,
            "parameters": {
                key: rundir.HIDDEN if rundir.is_secret(key) else str(value)
                for key, value in options["parameters"].items()
            },
        }
        try:
            path = rundir.make_run(runs_dir, run_id, about)
        except InputError as error:
            return {"failed": True, "msg": str(error)}
        return {"changed": True, "run_id": run_id, "run_dir": path}

    def _about(self, hostvars: Mapping[str, Any], name: str) -> dict[str, Any]:
        """What the judgement must know about a host and the host cannot tell."""
        variables: Mapping[str, Any] = {}
        if name in hostvars:  # asking for a host that is not there gives no error but an undefined value
            variables = hostvars[name]
        embedded, pidfile = variables.get("kedr_embedded") is True, str(variables.get("kedr_qemu_pidfile") or "")
        pid = _number(variables.get("kedr_qemu_pid"))
        row = variables.get("kedr_row")
        target = str(variables.get("kedr_target") or "cp_target")
        expect = str(variables.get("kedr_expect") or "")
        return {
            "embedded": embedded,
            "alive": guest_alive(pid, pidfile) if embedded else None,
            "test_host": variables.get("kedr_test_host") is True,
            "console": str(variables.get("kedr_console") or ""),
            "console_shows": str(variables.get("kedr_console_shows") or ""),
            "pid": pid,
            "pidfile": pidfile,
            "system": str(variables.get("kedr_system") or ""),
            "target": target,
            "expect": self.path(expect) if expect else default_expect(target),
            **({"row": {key: str(row.get(key) or "") for key in rundir.ROW_KEYS}} if isinstance(row, Mapping) else {}),
        }


def _said_by_hosts(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Variables that only the inventory may set and that came from hosts, as facts that Ansible has gathered."""
    return [
        f"{name} says {printable(str(fact), 80)} of itself in its facts, and only the inventory may say "
        "that: remove it from the host's facts, and from Ansible's fact cache"
        for name, variables in hosts.items()
        for fact in variables.get("ansible_facts", {}) if str(fact).startswith(OF_THE_INVENTORY)
    ]


def _number(value: Any) -> int:
    """A number of the inventory, which may be text there; 0 for anything else."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else 0


def _strategy(task: Any) -> str:
    """The strategy of the play that a task belongs to, or nothing where that cannot be told."""
    play = getattr(getattr(task, "_parent", None), "_play", None)
    return str(getattr(play, "strategy", None) or "")


def _mistakes(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Mistakes of the expectation files, which are better told now than after hours of work."""
    mistakes: list[str] = []
    for target, path in dict.fromkeys((about["target"], about["expect"]) for about in hosts.values()):
        try:
            expect = load_expect(path)
        except InputError as error:
            mistakes += error.problems
            if not os.path.exists(path):
                mistakes.append(f"the target {target} needs a file of expectations: name it with kedr_expect")
            continue
        if expect.target != target.replace("-", "_"):
            mistakes.append(f"{path}: it is about the target {expect.target}, and kedr_target is {target}")
    return mistakes
