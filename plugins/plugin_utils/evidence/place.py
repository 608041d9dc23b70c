# SPDX-License-Identifier: GPL-3.0-or-later
"""Call sites as they are counted and compared: by symbol, kind of branch and place in the text of a module."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

KINDS = ("call", "jmp", "jcc")
"""Direct branches that are sites: CALL, JMP and conditional jump."""


class Key(NamedTuple):
    """What sites are counted by: exported symbol, ``call``, ``jmp`` or ``jcc``, ``core`` or ``init`` text."""

    symbol: str
    kind: str
    area: str


class Place(NamedTuple):
    """A site: its key, and its offset in bytes from the start of its area."""

    symbol: str
    kind: str
    area: str
    offset: int


def by_key(places: Iterable[tuple[Any, ...]]) -> dict[Key, int]:
    """Count places, which begin with symbol, kind and area, by these."""
    return dict(Counter(Key(*place[:3]) for place in places))
