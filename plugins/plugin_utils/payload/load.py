# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Loading several data files for an action, so that every mistake of every file is told at once."""

from __future__ import annotations

import os
from typing import Any

from ..base import paths
from ..base.errors import InputError
from . import lint, sources


def default_functions() -> str:
    """Return the path of the collection's own table of functions."""
    return paths.data("functions.yml")


def default_templates() -> str:
    """Return the directory of the collection's own templates."""
    return os.path.join(paths.ROOT, "kernel", "templates")


def load_all(names: list[str], functions: str) -> tuple[list[sources.Payload], Any]:
    """Return the payloads of the data files `names` and the table of functions.

    Raises PayloadError with every mistake of every file, and when two files name one module.
    """
    payloads, problems, _readable = lint.read_together(names)
    db = None
    try:
        db = sources.load_functions(functions)
    except InputError as error:
        problems += error.problems
    if problems:
        raise sources.PayloadError(problems)
    return payloads, db
