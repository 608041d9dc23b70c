# SPDX-License-Identifier: GPL-3.0-or-later
"""The typed model of a payload description and the error that lists its mistakes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..base.errors import InputError, Problem
from ..ctypes.cdecl import CType
from ..ctypes.printf import Conversion
from ..mist.data import Group

RETURN_VALUE = "returnValue"
BEFORE, AFTER = "before", "after"


class PayloadError(InputError):
    """Mistakes in payload descriptions, every one of them, sorted by file and line."""

    kind = "FAIL"
    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__(*sorted(set(problems)))


@dataclass(frozen=True)
class Code:
    """C code as the user wrote it; `line` is the line of its first line in the data file."""

    text: str
    line: int


@dataclass(frozen=True)
class Param:
    """An argument or a trace parameter; `line` is where its name is, `type_line` where its type is."""

    ctype: CType
    name: str
    line: int
    type_line: int


@dataclass(frozen=True)
class Function:
    """One [group]: a function to intercept. `returns` is None for a function that returns nothing.

    `moment` says when a call is recorded: BEFORE it or AFTER it.
    """

    name: str
    line: int
    returns: CType | None
    arguments: tuple[Param, ...]
    trace: tuple[Param, ...]
    format: str  # the inside of a C string literal
    conversions: tuple[Conversion, ...]  # one for each trace parameter
    prologue: Code | None = None
    middle: Code | None = None
    epilogue: Code | None = None
    optional: bool = False
    moment: str = AFTER

    @property
    def event(self) -> str:
        """Name of the function's trace event."""
        return f"called_{self.name}"


@dataclass(frozen=True)
class Payload:
    """One .data file without a mistake."""

    path: str
    module: str
    author: str
    license: str
    headers: tuple[Code, ...]
    functions: tuple[Function, ...]
    groups: tuple[Group, ...] = field(default=(), repr=False, compare=False)  # as they stand in the file; globals first
    module_line: int = field(default=1, compare=False)

    @property
    def basename(self) -> str:
        """Name of the file without its directory, as generated sources cite it."""
        return os.path.basename(self.path)
