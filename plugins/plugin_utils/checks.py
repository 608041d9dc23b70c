# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines by which an exercise says what it checked."""

from __future__ import annotations

from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.hostshell import printable


def parse_checks(output: str) -> list[dict[str, Any]]:
    """Return the checks in the output of an exercise: ``{name, ok, detail}``, in order.

    A line is ``check NAME ok`` or ``check NAME bad DETAIL``; a line that only begins like one is a bad check.
    Other lines are the exercise's own business.
    """
    checks = []
    for line in output.splitlines():
        if line != "check" and not line.startswith("check "):
            continue
        words = printable(line, 400).split(None, 3)
        if len(words) == 3 and words[2] == "ok":
            checks.append({"name": words[1], "ok": True, "detail": ""})
        elif len(words) >= 3 and words[2] == "bad":
            checks.append({"name": words[1], "ok": False, "detail": words[3] if len(words) > 3 else "bad"})
        else:
            name = words[1] if len(words) > 1 else "?"
            checks.append({"name": name, "ok": False, "detail": f"malformed line: {printable(line, 200)}"})
    return checks
