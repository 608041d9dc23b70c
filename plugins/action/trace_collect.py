# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring trace, loss counters, call sites and kernel log of a host home."""

import json
import os
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import about
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import counters
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.witness import EVENTS
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell, tracefs
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction, StepError
from ansible_collections.kedr.lab.plugins.plugin_utils.host.facts import module_names, seconds
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks

_CLOCKS = """
find_tracing
if [ -n "$k_tracing" ]; then
    choose_place "$k_instance"
    clock_pair end | text clocks
fi
"""


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.trace_collect)."""

    default_step = "collect"
    recorded = ("missing", "taint", "marker", "trace_bytes", "counters")
    usual_deadline = 900.0
    biggest_answer = shell.MAX_ANSWER

    def cleans_up(self) -> bool:
        """Return that the evidence is fetched also after contact was lost."""
        return True

    def perform(self) -> dict[str, Any]:
        """Collect everything in one round trip."""
        instance = tracefs.instance_name(self.options["instance"])
        events = tracefs.event_paths(self.options["events"])
        if self.check_mode():
            return {"changed": False, "msg": "would turn tracing off and collect the evidence"}
        answer = self.ask(shell.load_script("tracefs", "clocks", "kernel_log", "trace_collect") + _CLOCKS, {
            "k_instance": instance, "k_events": events, "k_witness": tracefs.event_paths(EVENTS),
            "k_bytes": tracefs.LOG_LIMIT,
            "k_stop": "yes" if self.is_test_host() else "no", "k_text": "yes" if self.options["text"] else "no",
        })
        run_id = os.path.basename(os.path.dirname(self.host_dir))
        log, marker = tracefs.log_of_run(answer.blobs.get("dmesg", b""), run_id)
        with about("the counters of calls"):
            counts = counters.parse(answer.text("calls"))
        end = {**self._end(answer, marker), "counters": len(counts)}
        self.append("clocks.jsonl", clocks.dump(clocks.take(answer.text("clocks").splitlines())))
        self.keep("calls.json", json.dumps(counts, indent=1, sort_keys=True) + "\n")
        self._keep_files(answer, log, end)
        for name in ("trace", "witness", "dmesg"):
            if len(answer.blobs.get(name, b"")) >= tracefs.LOG_LIMIT:
                raise StepError("INFRA", f"the {name} is larger than {tracefs.LOG_LIMIT >> 20} MiB and was cut: enable "
                                         "fewer events, exercise less, or collect (playbooks/collect.yml)", **end)
        return {"changed": answer.one("stopped") == "yes", **end}

    @staticmethod
    def _end(answer: shell.Answer, marker: bool) -> dict[str, Any]:
        modules = module_names(answer.text("modules"))
        return {
            "taint": answer.number("taint"), "modules": modules,
            "kedr_modules_present": "cp_controller" in modules,
            "marker": marker, "trace_bytes": len(answer.blobs.get("trace", b"")),
            "uptime": seconds(answer.one("uptime")),
            "missing": [printable(text, 200) for text in answer.all("missing")],
        }

    def _keep_files(self, answer: shell.Answer, log: bytes, end: dict[str, Any]) -> None:
        """Keep what came; a file that is missing says that it was missing on the host."""
        for blob in ("trace", "stats", "formats", "sites", "witness", "witness_stats"):
            if blob in answer.blobs:
                self.keep(f"{blob}.txt", answer.blobs[blob])
        self.keep("dmesg.txt", log)
        self.keep("end.json", json.dumps(end, indent=1, sort_keys=True) + "\n")
