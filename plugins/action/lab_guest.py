# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Control-node side of kedr.lab.lab_guest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ansible.utils.display import Display
from ansible_collections.kedr.lab.plugins.plugin_utils.action import ControlAction, given
from ansible_collections.kedr.lab.plugins.plugin_utils.lab_guest import Lab
from ansible_collections.kedr.lab.plugins.plugin_utils.lab_spec import (
    LabError,
    cache_root,
    interruptible,
    load_guests,
)


class ActionModule(ControlAction):
    """Starts or ends embedded guests on the control node."""

    def perform(self, options: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``guests`` (name -> description and inventory variables) or the names that were ended."""
        lab = Lab(options["lab_dir"], cache_root(options["cache_dir"], os.environ), Display().display)
        try:
            with interruptible():
                if options["state"] == "stopped":
                    return self._stop(lab, options)
                return self._start(lab, options)
        except LabError as error:
            return {"failed": True, "kind": error.kind, "msg": str(error)}
        except OSError as error:
            return {"failed": True, "kind": "INFRA", "msg": f"{error.filename}: {error.strerror}"}

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
            "guests": {guest.name: {**asdict(guest), "variables": lab.variables(guest)} for guest in guests},
        }

    def _stop(self, lab: Lab, options: dict[str, Any]) -> dict[str, Any]:
        names = [str(guest.get("name", "")) for guest in options["guests"]]
        if self._task.check_mode:
            ended = [guest.name for guest in lab.guests() if guest.running and (not names or guest.name in names)]
        else:
            ended = lab.stop(names)
        return {"changed": bool(ended), "stopped": ended}
