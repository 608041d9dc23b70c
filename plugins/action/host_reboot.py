# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reboot a host and wait until it is back."""

import contextlib
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError, InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import BOOT_ID, HostAction, StepError

PAUSE = 2.0
"""Seconds between two tries to reach the host."""
TRY = 60.0
"""Seconds that one such try may take."""


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.host_reboot)."""

    default_step = "reboot"
    changes_host = True
    recorded = ("before", "release")

    def perform(self) -> dict[str, Any]:
        """Reboot, wait for another boot, compare the kernel."""
        if self.options["timeout"] < 1:
            raise InputError(f"timeout: {self.options['timeout']} is out of range: at least 1 second")
        wanted = self.options["release"]
        before = self._look(reboot=not self.check_mode())
        if self.check_mode():
            return {"changed": True, "before": before["release"], "release": before["release"],
                    "msg": f"would reboot the host{f' into {wanted}' if wanted else ''}"}
        self.say(f"rebooting {f'into {wanted}' if wanted else ''}, waiting up to {self.options['timeout']} s")
        after = self._wait(before["boot"])
        told = {"changed": True, "before": before["release"], "release": after["release"]}
        if wanted and after["release"] != wanted:
            raise StepError("INFRA", f"the host came back with kernel {after['release']} and not with {wanted}: its "
                                     "boot loader chooses another one; make it boot that kernel", **told)
        return told

    def _look(self, reboot: bool, seconds: float = 0) -> dict[str, str]:
        values = {"k_reboot": "yes" if reboot else "no"}
        answer = self.ask(shell.load_script("host_reboot"), values, seconds=seconds)
        if not BOOT_ID.match(answer.one("boot")):
            raise ForeignError("the host does not say which boot this is")
        return {name: printable(answer.one(name), 200) for name in ("release", "boot")}

    def _wait(self, boot: str) -> dict[str, str]:
        """Ask until another boot answers; the connection is made anew for every try."""
        until = time.monotonic() + self.options["timeout"]
        last = "it still runs: nothing rebooted it"
        while time.monotonic() < until:
            time.sleep(PAUSE)
            with contextlib.suppress(AnsibleError, AttributeError):
                self._connection.reset()
            try:
                found = self._look(reboot=False, seconds=TRY)
            except (AnsibleConnectionFailure, ForeignError) as error:
                last = printable(str(error), 300)
                continue
            if found["boot"] != boot:
                return found
        raise StepError("INFRA", f"the host did not come back within {self.options['timeout']} s after the reboot: "
                                 f"{last}", changed=True)
