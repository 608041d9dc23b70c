# SPDX-License-Identifier: GPL-3.0-or-later
"""``facts.json``: what was tested?"""

from ..case import Case


def check(case: Case) -> None:
    """Is it known which kernel, machine, system and compiler this is?"""
    case.facts = case.json("facts.json", dict)
    for key in ("release", "machine", "system", "compiler"):
        if not isinstance(case.facts.get(key), str) or not case.facts[key]:
            case.add("missing", "facts.json", f"no '{key}': it is not known what was tested")
