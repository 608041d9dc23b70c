# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the root tree of the lab's default image, which is made if the cache has none."""

from __future__ import annotations

import os
import sys

from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cache import ensure_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import DebianSpec
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.places import cache_root
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.tools import interruptible


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    try:
        with interruptible():
            image = ensure_image(DebianSpec.load({}), cache_root("", os.environ), progress)
    except KedrError as error:
        print(f"image.py: {error}", file=sys.stderr)
        return 2
    print(image["tree"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
