# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reboot a host and wait until it is back."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.kedr.lab.plugins.plugin_utils import hostshell
from ansible_collections.kedr.lab.plugins.plugin_utils.action import HostAction, StepError

PAUSE = 2.0
"""Seconds between two tries to reach the host."""
_BOOT_ID = re.compile(r"[0-9a-f-]{8,64}\Z")


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.host_reboot)."""

    default_step = "reboot"
    changes_host = True
    recorded = ("before", "release")

    def perform(self) -> dict[str, Any]:
        """Reboot, wait for another boot, compare the kernel."""
        if self.options["timeout"] < 1:
            raise StepError("INFRA", f"timeout: {self.options['timeout']} is out of range: at least 1 second")
        wanted = self.options["release"]
        before = self._look(reboot=not self.check_mode())
        if self.check_mode():
            return {"changed": True, "before": before["release"], "release": before["release"],
                    "msg": f"would reboot the host{f' into {wanted}' if wanted else ''}"}
        self.say(f"rebooting {f'into {wanted}' if wanted else ''}, waiting up to {self.options['timeout']} s")
        after = self._wait(before["boot_id"])
        told = {"changed": True, "before": before["release"], "release": after["release"]}
        if wanted and after["release"] != wanted:
            raise StepError("INFRA", f"the host came back with kernel {after['release']} and not with {wanted}: its "
                                     "boot loader chooses another one; make it boot that kernel", **told)
        return told

    def _look(self, reboot: bool) -> dict[str, str]:
        answer = self.ask(hostshell.load_script("host_reboot"), {"k_reboot": "yes" if reboot else "no"})
        if not _BOOT_ID.match(answer.one("boot_id")):
            raise hostshell.AnswerError("the host does not say which boot this is")
        return {name: hostshell.printable(answer.one(name), 200) for name in ("release", "boot_id")}

    def _wait(self, boot_id: str) -> dict[str, str]:
        """Ask until another boot answers; the connection is made anew for every try."""
        until = time.monotonic() + self.options["timeout"]
        last = "it still runs: nothing rebooted it"
        while time.monotonic() < until:
            time.sleep(PAUSE)
            with contextlib.suppress(AnsibleError, AttributeError):
                self._connection.reset()
            try:
                found = self._look(reboot=False)
            except (AnsibleConnectionFailure, hostshell.AnswerError) as error:
                last = hostshell.printable(str(error), 300)
                continue
            if found["boot_id"] != boot_id:
                return found
        raise StepError("INFRA", f"the host did not come back within {self.options['timeout']} s after the reboot: "
                                 f"{last}", changed=True)
