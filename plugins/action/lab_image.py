# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Control-node side of kedr.lab.lab_image."""

import os
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import given
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.action import LabAction
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cache import ensure_image, image_dir, read_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.ways import load_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.places import cache_root
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.tools import interruptible


class ActionModule(LabAction):
    """Makes sure that the images are in the cache; builds those that are not."""

    def step(self, options: dict[str, Any]) -> str:
        """The step of a run is named after what it makes."""
        return "image"

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return ``images`` (key -> description) and whether one was built."""
        wanted = [load_image(item, options["mirror"]) for item in given(options["images"])]
        specs = {spec.key: spec for spec in wanted}
        cache = cache_root(options["cache_dir"], os.environ)
        if self._task.check_mode:
            missing = [key for key, spec in specs.items() if not read_image(image_dir(cache, spec))]
            return {"changed": bool(missing or options["refresh"]), "missing": missing}
        with interruptible():
            images = {key: ensure_image(spec, cache, self.progress, options["refresh"]) for key, spec in specs.items()}
        return {"changed": any(not image["cached"] for image in images.values()), "images": images}
