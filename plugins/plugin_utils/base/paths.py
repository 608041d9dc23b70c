# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of this collection are."""

import os

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
"""The root of the collection."""


def data(*names: str) -> str:
    """Return the path of a file or a directory below ``data/``."""
    return os.path.join(ROOT, "data", *names)
