# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Set up or take down a trace buffer on a test host."""

import os
import re
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.rates import measured_rate
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.witness import EVENTS
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction, StepError
from ansible_collections.kedr.lab.plugins.plugin_utils.host.tracefs import event_paths, instance_name
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks

LARGEST = 1 << 24
"""KiB of a buffer of one processor at most."""
OVERWRITE = {None: "", True: "1", False: "0"}


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.trace)."""

    changes_host = True
    recorded = ("tracing_dir", "instance", "witness", "overwrite")

    def step_name(self) -> str:
        """Return the usual step: trace or untrace."""
        return "trace" if self.options["state"] == "present" else "untrace"

    def cleans_up(self) -> bool:
        """Return whether the buffer is to go."""
        return bool(self.options["state"] == "absent")

    def perform(self) -> dict[str, Any]:
        """Bring the buffer into the wanted state in one round trip."""
        state = self.options["state"]
        events = self.options["events"]
        for name in ("clock", "tracer"):
            if not re.fullmatch(r"[A-Za-z0-9_:-]*", self.options[name] or ""):
                raise StepError("INFRA", f"'{printable(self.options[name], 80)}' is not a valid {name}")
        size = self._buffer_size()
        program = shell.load_script("tracefs", "clocks", "trace") + f"need_root Tracing\n{state}\n"
        if state == "present" and not self.check_mode():
            program += 'choose_place "$k_instance"\n{ clock_about; clock_pair begin; } | text clocks\n'
        answer = self.ask(program, {
            "k_instance": instance_name(self.options["instance"]), "k_events": event_paths(events),
            "k_clock": self.options["clock"], "k_clocks": " ".join(clocks.PREFERRED),
            "k_overwrite": OVERWRITE[self.options["overwrite"]], "k_size": size,
            "k_witness": event_paths(EVENTS) if self.options["witness"] else [],
            "k_tracer": self.options["tracer"], "k_check": "yes" if self.check_mode() else "no",
        })
        self.append("clocks.jsonl", clocks.dump(clocks.take(answer.text("clocks").splitlines())))
        changes = [printable(text, 200) for text in answer.all("changed")]
        return {
            "changed": bool(changes), "changes": changes, "events": events,
            "witness": [printable(text, 100) for text in answer.all("witness")],
            "tracing_dir": printable(answer.one("tracing_dir"), 300),
            "instance": answer.one("instance") == "yes", "overwrite": self.options["overwrite"], **self._diff(answer),
        }

    def _buffer_size(self) -> int:
        """KiB for each processor: as given, or more where a rate was measured that needs more."""
        size = int(self.options["buffer_size_kb"])
        if not 1 <= size <= LARGEST:
            raise StepError("INFRA", f"buffer_size_kb: {size} is out of range: 1 to {LARGEST} KiB per CPU")
        seconds = self.options["buffer_seconds"]
        if not seconds or not self.host_dir:
            return size
        run_dir, host = os.path.split(self.host_dir)
        wanted = int(measured_rate(os.path.dirname(run_dir), host) * seconds) >> 10
        if wanted > size:
            self.say(f"a buffer of {min(wanted, LARGEST)} KiB per CPU, for {seconds:g} s of the measured rate")
        return min(max(size, wanted), LARGEST)

    def _diff(self, answer: shell.Answer) -> dict[str, Any]:
        if not self._task.diff:
            return {}
        return {"diff": {name: "".join(f"{printable(line, 300)}\n" for line in answer.all(name))
                         for name in ("before", "after")}}
