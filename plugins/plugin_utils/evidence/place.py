# SPDX-License-Identifier: GPL-3.0-or-later
"""Call sites as they are counted and compared: by symbol, kind of branch and place in the text of a module."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, Protocol

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


class Placed(Protocol):
    """Anything that has a symbol, a kind and an area."""

    @property
    def symbol(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def area(self) -> str: ...


def by_key(places: Iterable[Placed]) -> dict[Key, int]:
    """Count places by symbol, kind and area."""
    return dict(Counter(Key(place.symbol, place.kind, place.area) for place in places))
