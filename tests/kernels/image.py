# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the root tree of the lab's default image, which is made if the cache has none."""

from __future__ import annotations

import os
import sys

from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.image import ensure_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.spec import ImageSpec, cache_root, interruptible


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    try:
        with interruptible():
            image = ensure_image(ImageSpec.load({}), cache_root("", os.environ), progress)
    except KedrError as error:
        print(f"image.py: {error}", file=sys.stderr)
        return 2
    print(image["tree"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
