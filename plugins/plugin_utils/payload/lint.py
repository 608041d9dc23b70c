# SPDX-License-Identifier: GPL-3.0-or-later
"""Every mistake of payload descriptions that are to be loaded together, for people, editors and programs."""

import json
import os
import re
from collections.abc import Sequence
from typing import Any

from ..base.foreign import plain
from .model import Problem

# A word in quotes, which is what the user wrote or may write: a semicolon in it separates nothing.
_QUOTED = r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_QUOTED_OR_END = re.compile(rf"{_QUOTED}|; ", re.DOTALL)
_HALVES_MAX = 4000  # characters of a text in which halves are looked for


def described(problem: Problem) -> dict[str, Any]:
    """Return a problem as JSON data; ``line`` is None for one of the whole file, ``suggestion`` None without one."""
    wrong, allowed = _halves(problem.text)
    return {
        "file": problem.path, "line": problem.line or None, "severity": "error", "message": wrong, "allowed": allowed,
        "suggestion": problem.suggestion or None,
    }


def _halves(text: str) -> tuple[str, str]:
    """Return what is wrong and what is allowed instead: what stands before and behind the first semicolon of ours."""
    for found in _QUOTED_OR_END.finditer(text[:_HALVES_MAX]):
        if found[0] == "; ":
            return text[: found.start()], text[found.end() :]
    return text, ""


def line_of(problem: Problem) -> str:
    """Return a problem in the format of GCC's messages, which editors read."""
    # Odd bytes stay: an editor must find the file.
    path = "".join(char if "\udc80" <= char <= "\udcff" else plain(char) for char in problem.path)
    place = f"{path}:{problem.line}" if problem.line else path
    return f"{place}: error: {plain(problem.text)}"


def report(problems: Sequence[Problem], as_json: bool) -> bytes:
    """Return what the command prints: nothing about files without a mistake, ``[]`` as JSON."""
    if as_json:
        text = json.dumps([described(problem) for problem in problems], indent=1) + "\n"
    else:
        text = "".join(f"{line_of(problem)}\n" for problem in problems)
    return os.fsencode(text) if text.isascii() else text.encode("utf-8", "surrogateescape")
