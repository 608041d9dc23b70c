# SPDX-License-Identifier: GPL-3.0-or-later
"""``payloads.json``: which events were to be recorded?"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...base.errors import ForeignError
from ..case import Case

NAME = "payloads.json"


def check(case: Case) -> None:
    """Read the plans of the payloads.  Raises ForeignError when there is no event, or one stands twice."""
    plans = case.json(NAME, list)
    for plan in plans:
        if not _is_plan(plan):
            raise ForeignError("an entry is not the plan of a payload", NAME)
    if not any(plan["events"] for plan in plans):
        raise ForeignError("no payload has an event: nothing was to be recorded", NAME)
    for what in ("event", "function"):
        names = Counter(event[what] for plan in plans for event in plan["events"])
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ForeignError(f"more than one payload has the {what} {twice[0]}", NAME)
    case.plans = plans
    for _module, event in case.planned():
        case.events[event["event"]] += 0


def _is_plan(plan: Any) -> bool:
    return (
        isinstance(plan, dict)
        and isinstance(plan.get("module"), str)
        and _rows(plan.get("events"), ("event", "function", "symbol"))
        and all(event.get("moment", "after") in ("before", "after") for event in plan["events"])
        and _rows(plan.get("unresolved", []), ("function",))
    )


def _rows(value: Any, keys: Sequence[str]) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and all(isinstance(item.get(key), str) for key in keys) for item in value
    )
