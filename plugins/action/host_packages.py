# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make sure that a host has what building kernel modules for its running kernel needs."""

from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.host import packages, shell
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction, HostStopped, StepError


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.host_packages)."""

    default_step = "packages"
    changes_host = True
    recorded = ("lacking", "installed", "gone", "boot", "newest", "manager", "manager_seconds")
    usual_deadline = 7200.0

    def perform(self) -> dict[str, Any]:
        """Look and install in one round trip."""
        path = self.options["packages"]
        families = packages.load(self.path(path) if path else packages.DEFAULT)
        try:
            answer = self.ask(shell.load_script(*packages.programs(families)), {
                "k_data": packages.lines(families), "k_upgrade": "yes" if self.options["upgrade_kernel"] else "no",
                "k_check": "yes" if self.check_mode() else "no",
            })
        except HostStopped as error:
            told = self._told(error.answer)
            raise StepError(error.kind, error.reason, **told, changed=bool(told["installed"])) from error
        told = self._told(answer)
        if told["installed"]:
            self.say(f"{told['manager']} installed {len(told['installed'])} packages in {told['manager_seconds']} s")
        if self.check_mode():
            absent = printable(", ".join(answer.all("absent")), 300)
            self.say(_foretold(told, absent))
            return {**told, "changed": bool(told["wanted"] or absent), "msg": _foretold(told, absent)}
        return {**told, "changed": bool(told["installed"] or told["gone"])}

    @staticmethod
    def _told(answer: shell.Answer) -> dict[str, Any]:
        """Return what the host said, made printable."""
        def many(lines: list[str]) -> list[str]:
            return [printable(line, 300) for line in lines if line]

        return {
            "lacking": many(answer.all("lacking")), "wanted": many(answer.all("wanted")),
            "installed": many(answer.text("installed").splitlines()), "gone": many(answer.text("gone").splitlines()),
            **{key: printable(answer.one(word), 200)
               for key, word in (("boot", "boot_next"), ("newest", "newest"), ("manager", "manager"))},
            "manager_seconds": answer.number("manager_seconds"),
        }


def _foretold(told: dict[str, Any], absent: str) -> str:
    if not told["lacking"]:
        return "the host has what building kernel modules needs"
    first = f"would fetch the lists of packages, which have nothing for {absent}, and look again; " if absent else ""
    return first + (f"would install {', '.join(told['wanted'])}" if told["wanted"] else "would install nothing")
