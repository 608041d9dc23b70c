# SPDX-License-Identifier: GPL-3.0-or-later
"""Events that belong together, as an allocation and its free: pairs.yml, or words of a command line."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..base import datafile, paths
from ..base.errors import InputError

DEFAULT = paths.data("pairs.yml")
RESULT = "result"
"""The column ``result``; every other word is the name of an argument."""

_WORD = re.compile(r"([A-Za-z_]\w*)(?::([A-Za-z_]\w*))?", re.ASCII)


class EventPair(NamedTuple):
    """Two sets of events: ``first`` and ``then`` are {event: argument with the value, or RESULT}."""

    name: str
    first: Mapping[str, str]
    then: Mapping[str, str]


def load(path: str = DEFAULT) -> list[EventPair]:
    """Read a file like data/pairs.yml.  Raises InputError with all mistakes."""
    listed = datafile.load(path).mapping({"pairs": "list"})["pairs"]
    pairs = []
    for item in listed.value:
        fields = item.mapping({"name": "text", "first": "mapping", "then": "mapping"})
        pairs.append(EventPair(fields["name"].text(), _events(fields["first"]), _events(fields["then"])))
    return pairs


def _events(node: datafile.Node) -> dict[str, str]:
    if not node.value:
        raise node.error("no event is named here; write 'EVENT: ARGUMENT' or 'EVENT: result'")
    for event, value in node.value.items():
        if not isinstance(event, str):
            raise value.error(f"'{event}' is not the name of an event")
        value.check("name", f"the argument of {event}")
    return {event: str(value.value) for event, value in node.value.items()}


def from_words(first: Sequence[str], then: Sequence[str]) -> EventPair:
    """Return a pair of ``EVENT`` or ``EVENT:ARGUMENT``; without an argument, the result.  Raises InputError."""
    sides = []
    for words in (first, then):
        side = {}
        for word in words:
            found = _WORD.fullmatch(word)
            if found is None:
                raise InputError(f"'{word[:80]}' is not EVENT or EVENT:ARGUMENT")
            side[found[1]] = found[2] or RESULT
        sides.append(side)
    return EventPair("given", *sides)
