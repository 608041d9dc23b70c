# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Control-node side of kedr.lab.lab_image."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kedr.lab.plugins.plugin_utils.lab_image import ensure_image, read_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab_spec import (
    ImageSpec,
    LabError,
    cache_root,
    image_dir,
    interruptible,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "images": {"type": "list", "elements": "dict", "default": [{}]},
    "cache_dir": {"type": "str", "default": ""},
    "mirror": {"type": "list", "elements": "str", "default": []},
    "refresh": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Makes sure that the images are in the cache; builds those that are not."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return ``images`` (key -> description) and whether one was built."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        dummy, tagged = self.validate_argument_spec(argument_spec=ARGUMENTS)
        options = json.loads(json.dumps(tagged))
        display = Display()
        try:
            specs = {spec.key: spec for spec in (ImageSpec.load(item, options["mirror"]) for item in options["images"])}
            cache = cache_root(options["cache_dir"], os.environ)
            if self._task.check_mode:
                missing = [key for key, spec in specs.items() if not read_image(image_dir(cache, spec))]
                return {**result, "changed": bool(missing or options["refresh"]), "missing": missing}
            with interruptible():
                images = {
                    key: ensure_image(spec, cache, display.display, options["refresh"]) for key, spec in specs.items()
                }
        except LabError as error:
            return {**result, "failed": True, "kind": error.kind, "msg": str(error)}
        except OSError as error:
            return {**result, "failed": True, "kind": "INFRA", "msg": f"{error.filename}: {error.strerror}"}
        return {**result, "changed": any(not image["cached"] for image in images.values()), "images": images}
