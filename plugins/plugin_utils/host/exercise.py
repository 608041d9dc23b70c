# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines by which an exercise says what it checked."""

import re
from typing import Any

from ..base.foreign import printable

_CHECK = re.compile(r"check (\S+) (?:(ok)|bad(?: (.*))?)")
_LIKE = re.compile(r"\W*check(?![A-Za-z])|.*\bcheck\s+\S+\s+(?:ok|bad)\b", re.IGNORECASE)

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def parse_checks(output: str) -> list[dict[str, Any]]:
    """Return the checks in the output of an exercise: ``{name, ok, detail}``, in order, each as often as it came.

    A line is exactly ``check NAME ok`` or ``check NAME bad DETAIL``. A line that is like a check but is not one (other
    case, other blanks, no name, something before it) is a bad check: what it would have said is not known.
    Other lines are the exercise's own business.
    """
    checks = []
    for line in output.splitlines():
        found = _CHECK.fullmatch(line)
        if found:
            detail = "" if found[2] else printable(found[3] or "bad", 400)
            checks.append({"name": printable(found[1], 200), "ok": bool(found[2]), "detail": detail})
        elif _LIKE.match(_COLOUR.sub("", line)):
            words = line.split(None, 2)
            name = printable(words[1], 200) if len(words) > 1 else "?"
            checks.append({"name": name, "ok": False, "detail": f"malformed line: {printable(line, 200)}"})
    return checks
