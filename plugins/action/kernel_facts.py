# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read in one round trip what a host and its kernel are."""

import json
import os
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base import rundir
from ansible_collections.kedr.lab.plugins.plugin_utils.host import modules, shell
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction
from ansible_collections.kedr.lab.plugins.plugin_utils.host.facts import facts_of_answer
from ansible_collections.kedr.lab.plugins.plugin_utils.payload import resolve
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.functions import FUNCTIONS


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.kernel_facts)."""

    default_step = "facts"

    def perform(self) -> dict[str, Any]:
        """Ask the host, keep and return its facts."""
        symbols: set[str] = set()
        configs = {"CONFIG_CC_IS_CLANG"}
        paths = [self.path(path) for path in self.options["payloads"]]
        if paths:
            functions = self.options["functions"]
            payloads, db = resolve.load(paths, self.path(functions) if functions else FUNCTIONS)
            symbols, options = resolve.needed(payloads, db)
            configs |= options
        target = modules.name_of(self.options["target"]) if self.options["target"] else ""
        marker = self._marker()
        answer = self.ask(shell.load_script("tracefs", "prepared", "programs", "kernel_log", "kernel_facts"), {
            "k_symbols": sorted(symbols), "k_configs": sorted(configs), "k_target": target,
            "k_marker": marker,
        })
        facts = facts_of_answer(answer)
        facts["test_host"] = self.is_test_host()
        self.keep("facts.json", json.dumps(facts, indent=1, sort_keys=True) + "\n")
        for directory in facts["leftovers"]["programs"]:
            self.say(f"ended what an interrupted run left running in {directory}")
        return {"changed": bool(facts["leftovers"]["programs"]), "facts": facts}

    def _marker(self) -> str:
        """Return the line that begins this run in the host's kernel log, or nothing."""
        if not self.host_dir or self.check_mode() or not self.is_test_host():
            return ""
        return rundir.begins(os.path.basename(os.path.dirname(self.host_dir)))
