# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads' own counters of calls: the witness for how many records were generated.

A payload of our templates counts every call of a function that it replaces when its replacement is entered, in a
parameter of its module that has the name of the event (``kernel/include/kedr/calls.h``).  The events are enabled before
the target is loaded and the counters are read after it is unloaded, so they must equal the records; where a record
follows its call, what is more are calls that have not returned.  ``calls.json`` holds
``{"system/event": calls}``; what is not in it has no counter, as with a user's own MiST templates.
"""

import re

from ..base.errors import ForeignError

_LINE = re.compile(r"([A-Za-z_][\w-]*/[A-Za-z_]\w*) (\d{1,20})", re.ASCII)


def parse(text: str) -> dict[str, int]:
    """Read lines ``system/event CALLS``, as ``trace_collect.sh`` writes them.  Raises ForeignError."""
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.fullmatch(line)
        if found is None or int(found[2]) >= 1 << 64:
            raise ForeignError(f"line {number}: '{line[:80]}' is not an event with a count")
        if found[1] in counts:
            raise ForeignError(f"line {number}: {found[1]} is there twice")
        counts[found[1]] = int(found[2])
    return counts


def check(value: object) -> dict[str, int]:
    """What ``calls.json`` holds.  Raises ForeignError when it is not an object of counts."""
    if not isinstance(value, dict):
        raise ForeignError("no JSON object")
    for name, count in value.items():
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 1 << 64:
            raise ForeignError(f"{name[:80]}: {str(count)[:40]} is not a count")
    return value


def difference(function: str, counted: int, recorded: int, moment: str) -> str:
    """Say what it means that a payload counted other than as many calls of a function as there are records.

    Calls are counted when they come in; ``moment`` says when they are recorded: ``before`` or ``after`` the function
    is called.
    """
    numbers = f"{counted} calls counted, {recorded} records"
    if counted < recorded:
        return f"{function}: {numbers}: the payload counts too few"
    calls = f"{counted - recorded} call{'s' if counted - recorded > 1 else ''} of {function}"
    if moment == "before":
        return f"{calls} made no record: its event was off ({numbers})"
    return f"{calls} had not returned when the counters were read, or never will, or its event was off ({numbers})"
