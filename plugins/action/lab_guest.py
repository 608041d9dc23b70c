# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Control-node side of kedr.lab.lab_guest."""

import os
from dataclasses import asdict
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import given
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.action import LabAction
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.inventory import variables
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.kept import keep_guest
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.lab import Lab
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.places import cache_root
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.spec import load_guests
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.tools import interruptible


class ActionModule(LabAction):
    """Starts or ends embedded guests on the control node."""

    def step(self, options: dict[str, Any]) -> str:
        """Starting is a step of a run; ending belongs to no host's own work."""
        return "guest" if options["state"] == "started" else ""

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return ``guests`` (name -> description and inventory variables) or the names that were ended."""
        lab = Lab(options["lab_dir"], cache_root(options["cache_dir"], os.environ), self.progress)
        with interruptible():
            return self._stop(lab, options) if options["state"] == "stopped" else self._start(lab, options)

    def _start(self, lab: Lab, options: dict[str, Any]) -> dict[str, Any]:
        specs = load_guests(given(options["guests"]), {name: options[name] for name in ("memory", "cpus", "cmdline")})
        if self._task.check_mode:
            missing = lab.missing(specs)
            return {"changed": bool(missing), "missing": missing}
        console_root = os.path.abspath(options["console_root"]) if options["console_root"] else ""
        changed, guests = lab.start(specs, options["accelerator"], console_root, float(options["timeout"]))
        return {
            "changed": changed,
            "inventory": lab.inventory,
            "guests": {guest.name: {**asdict(guest), "variables": variables(guest, lab.access)} for guest in guests},
        }

    def _stop(self, lab: Lab, options: dict[str, Any]) -> dict[str, Any]:
        names = [str(guest.get("name", "")) for guest in options["guests"]]
        if self._task.check_mode:
            ended = [guest.name for guest in lab.guests() if guest.running and (not names or guest.name in names)]
        else:
            if options["run_dir"]:
                for guest in lab.guests():
                    known = {
                        "embedded": True, "console": guest.console, "pid": guest.pid, "pidfile": guest.pidfile,
                    }  # fmt: skip
                    keep_guest(self.path(options["run_dir"]), guest.name, known)
            ended = lab.stop(names)
        return {"changed": bool(ended), "stopped": ended}
