# SPDX-License-Identifier: GPL-3.0-or-later
"""What a payload is: as its data file describes it, and as one kernel has it.

The readers of data files and of functions.yml make these, rendering takes them. Needs nothing but Python itself.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..base.errors import InputError, Problem
from ..ctypes.cdecl import CType
from ..mist.data import Group

RETURN_VALUE = "returnValue"
BEFORE, AFTER = "before", "after"


class PayloadError(InputError):
    """Mistakes in payload descriptions, every one of them, sorted by file and line."""

    kind = "FAIL"
    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__(*sorted(set(problems)))


# As the data file describes it


@dataclass(frozen=True)
class Code:
    """C code as the user wrote it; ``line`` is the line of its first line in the data file."""

    text: str
    line: int


@dataclass(frozen=True)
class Param:
    """A type and a name that belong together; ``line`` is where the name is, ``type_line`` where the type is."""

    ctype: CType
    name: str
    line: int
    type_line: int


@dataclass(frozen=True)
class Function:
    """One [group]: a function to intercept.

    ``returns`` is None for a function that returns nothing. ``moment`` says whether a call is recorded BEFORE it or
    AFTER it. ``own`` is what the payload's kind alone reads in the group.
    """

    name: str
    line: int
    returns: CType | None
    arguments: tuple[Param, ...]
    prologue: Code | None = None
    middle: Code | None = None
    epilogue: Code | None = None
    optional: bool = False
    moment: str = AFTER
    own: Any = None


@dataclass(frozen=True)
class Payload:
    """One data file without a mistake; ``kind`` is its key in payload/kinds/registry.py."""

    path: str
    module: str
    author: str
    license: str
    headers: tuple[Code, ...]
    functions: tuple[Function, ...]
    kind: str
    groups: tuple[Group, ...] = field(default=(), repr=False, compare=False)  # as they stand in the file; globals first
    module_line: int = field(default=1, compare=False)

    @property
    def basename(self) -> str:
        """The name of the file without its directory, as generated sources cite it."""
        return os.path.basename(self.path)


# As one kernel has it


@dataclass(frozen=True)
class Extra:
    """An argument that a symbol has and the user's function does not have: it is passed on and not recorded."""

    ctype: CType
    name: str


@dataclass(frozen=True)
class Candidate:
    """One symbol that may stand for a function, as functions.yml says.

    ``config`` names options that must all be y. ``arguments`` is the symbol's full argument list where it differs
    from the user's: an int is the user's argument of that number (from 1), an Extra is passed on. ``types`` has
    (number, type) of each of the user's arguments that the symbol takes as another type.
    """

    symbol: str
    config: tuple[str, ...] = ()
    arguments: tuple[int | Extra, ...] | None = None
    types: tuple[tuple[int, CType], ...] = ()


FunctionDb = Mapping[str, Sequence[Candidate]]


@dataclass(frozen=True)
class ResolvedFunction:
    """A function with the symbol that stands for it on one kernel."""

    function: Function
    candidate: Candidate

    @property
    def symbol(self) -> str:
        """The exported symbol."""
        return self.candidate.symbol


@dataclass(frozen=True)
class Unresolved:
    """An optional function that one kernel does not have, with the symbols that were looked for."""

    function: Function
    tried: tuple[str, ...]


@dataclass(frozen=True)
class ResolvedPayload:
    """A payload for one kernel."""

    payload: Payload
    release: str
    functions: tuple[ResolvedFunction, ...]
    unresolved: tuple[Unresolved, ...] = ()
