# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take a test host for one run, or let go of it."""

import os
import time
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base import rundir
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.host import hold as holding
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell, tracefs
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction, StepError


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.hold)."""

    changes_host = True
    biggest_answer = shell.MAX_ANSWER
    recorded = ("took_over", "marker", "missing")

    def step_name(self) -> str:
        """Return the usual step: hold or release."""
        return "release" if self.cleans_up() else "hold"

    def cleans_up(self) -> bool:
        """Return whether the host is to be let go."""
        return bool(self.options["state"] == "absent")

    def perform(self) -> dict[str, Any]:
        """Take or drop the hold; a stale one is replaced in a second round trip."""
        self.run_id = os.path.basename(os.path.dirname(self.host_dir))
        self.claim = holding.claim(self.run_id or "-", self.host_name(), os.getppid())
        if self.cleans_up():
            return self._let_go()
        answer = self._program("look" if self.check_mode() else "take")
        text = printable(answer.one("held"), 1000)
        if not text:
            return {"changed": answer.one("taken") != "before", "took_over": ""}
        hold = holding.parse(text)
        if not self._is_stale(hold, answer):
            raise StepError("INFRA", f"the host is held by {holding.describe(hold)}: wait until that run has ended; "
                                     "if it has, and this cannot be seen from here, set kedr_take_over: true")
        if not self.check_mode():
            answer = self._program("take", text)
            if answer.one("held"):
                other = holding.parse(printable(answer.one("held"), 1000))
                raise StepError("INFRA", f"the host was taken over by {holding.describe(other)} at the same moment")
        self.say(f"takes over from {holding.describe(hold)}, which is over")
        return {"changed": True, "took_over": hold.get("run", "?")}

    def _let_go(self) -> dict[str, Any]:
        """Mark the end of the run in the kernel log, bring the log home as a whole, and drop the hold."""
        if self.check_mode():
            return {"changed": False, "msg": "would let go of the host"}
        answer = self._program("drop")
        log, marker = tracefs.log_of_run(answer.blobs.get("dmesg", b""), self.run_id)
        # A log that has lost the beginning of the run does not take the place of one that came earlier.
        if log and (marker or not os.path.exists(os.path.join(self.host_dir, "dmesg.txt"))):
            self.keep("dmesg.txt", log)
        told = {
            "changed": answer.one("dropped") == "yes", "marker": marker,
            "missing": [printable(text, 200) for text in answer.all("missing")],
        }
        if len(answer.blobs.get("dmesg", b"")) >= tracefs.LOG_LIMIT:
            raise StepError("INFRA", f"the kernel log is larger than {tracefs.LOG_LIMIT >> 20} MiB and was cut", **told)
        return told

    def _program(self, want: str, stale: str = "") -> shell.Answer:
        return self.ask(shell.load_script("kernel_log", "hold"), {
            "k_want": want, "k_claim": self.claim, "k_since": int(time.time()), "k_stale": stale,
            "k_marker": rundir.ends(self.run_id) if self.run_id else "", "k_bytes": tracefs.LOG_LIMIT,
        })

    def _is_stale(self, hold: dict[str, str], answer: shell.Answer) -> bool:
        try:
            uptime = float(answer.one("uptime"))
        except ValueError:
            raise ForeignError("the host did not say how long it has been up") from None
        return bool(self.options["take_over"]) or holding.is_dead(
            hold, answer.one("boot") or "-", uptime, answer.one("streams") == "yes"
        )
