# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Loading several data files for an action, so that every mistake of every file is told at once."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils import payload, payload_lint
from ansible_collections.kedr.lab.plugins.plugin_utils.action import StepError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""Root of the collection."""


def default_functions() -> str:
    """Return the path of the collection's own table of functions."""
    return os.path.join(ROOT, "data", "functions.yml")


def default_templates() -> str:
    """Return the directory of the collection's own templates."""
    return os.path.join(ROOT, "kernel", "templates")


def load_all(paths: list[str], functions: str) -> tuple[list[payload.Payload], Any]:
    """Return the payloads of the data files `paths` and the table of functions.

    Raises StepError with every mistake of every file, and when two files name one module.
    """
    payloads, problems, _readable = payload_lint.read_together(paths)
    mistakes = [str(problem) for problem in problems]
    db = None
    try:
        db = payload.load_functions(functions)
    except payload.PayloadError as error:
        mistakes.append(str(error))
    except OSError as error:
        mistakes.append(f"{functions}: cannot read the table of functions: {error.strerror}")
    if mistakes:
        raise StepError("FAIL", "\n".join(mistakes))
    return payloads, db
