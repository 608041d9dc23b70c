# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Control-node side of kedr.lab.lab_guest."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kedr.lab.plugins.plugin_utils.lab_guest import Lab
from ansible_collections.kedr.lab.plugins.plugin_utils.lab_qemu import ACCELERATORS
from ansible_collections.kedr.lab.plugins.plugin_utils.lab_spec import (
    LabError,
    cache_root,
    interruptible,
    load_guests,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
    "lab_dir": {"type": "str", "required": True},
    "guests": {"type": "list", "elements": "dict", "default": []},
    "cache_dir": {"type": "str", "default": ""},
    "console_root": {"type": "str", "default": ""},
    "accelerator": {"type": "str", "choices": list(ACCELERATORS), "default": "auto"},
    "memory": {"type": "int", "default": 1024},
    "cpus": {"type": "int", "default": 1},
    "cmdline": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 300},
}


class ActionModule(ActionBase):
    """Starts or ends embedded guests on the control node."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return ``guests`` (name -> description and inventory variables) or the names that were ended."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        dummy, tagged = self.validate_argument_spec(argument_spec=ARGUMENTS)
        options = json.loads(json.dumps(tagged))
        lab = Lab(options["lab_dir"], cache_root(options["cache_dir"], os.environ), Display().display)
        try:
            with interruptible():
                if options["state"] == "stopped":
                    return {**result, **self._stop(lab, options)}
                return {**result, **self._start(lab, options)}
        except LabError as error:
            return {**result, "failed": True, "kind": error.kind, "msg": str(error)}
        except OSError as error:
            return {**result, "failed": True, "kind": "INFRA", "msg": f"{error.filename}: {error.strerror}"}

    def _start(self, lab: Lab, options: dict[str, Any]) -> dict[str, Any]:
        specs = load_guests(options["guests"], {name: options[name] for name in ("memory", "cpus", "cmdline")})
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
