# SPDX-License-Identifier: GPL-3.0-or-later
"""What the exercise printed: did it do all that is expected of it?"""

from typing import Any

from ...base.foreign import plain
from ...base.steps import NAME
from ..case import MAX_NAMED, Case, data_of


def check(case: Case) -> None:
    """Did the exercise make every check that is expected of it, and is each of them ok?"""
    seen: set[str] = set()
    for step in case.steps:
        data = data_of(step) if step["step"] == "exercise" else {}
        made = data.get("checks")
        for one in made if isinstance(made, list) else ():
            if isinstance(one, dict) and one.get("ok") is True:
                seen.add(str(one.get("name")))
            else:
                case.add("fail", NAME, f"the exercise's check {_name(one)} is not ok")
        if data.get("cut"):
            case.add("fail", NAME, "the output of the exercise was cut: what it said last is not known")
    absent = [name for name in case.expect.checks if name not in seen]
    if absent:
        case.add("missing", NAME, f"the exercise did not check {', '.join(absent[:MAX_NAMED])}")
    else:
        case.add("ok", NAME, f"the exercise made all {len(case.expect.checks)} checks that are expected of it")


def _name(one: Any) -> str:
    return plain(one.get("name") if isinstance(one, dict) else one, 100)
