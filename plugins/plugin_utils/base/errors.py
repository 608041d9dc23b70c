# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that a person is told, without a traceback: one tree for the whole collection.

Each says in one text what is wrong and what to do.  Any other exception is a mistake of this collection.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


class KedrError(Exception):
    """Something that the lab, the control node or a host cannot do.

    ``kind`` says whose fault it is: INPUT the user's, FAIL the module's under test, INFRA anybody else's.
    """

    kind = "INFRA"


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake: file, line (from 1; 0 for one of the whole file), what is wrong and what is allowed.

    `suggestion` is the word that was probably meant, '' when there is none.
    """

    path: str
    line: int
    text: str
    suggestion: str = ""

    def __str__(self) -> str:
        """`path:line: text`, without the line where none is to blame."""
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


class InputError(KedrError):
    """Mistakes in what the user wrote or asked for, one problem for each: a text or a Problem."""

    kind = "INPUT"

    def __init__(self, *problems: object) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems: tuple[Any, ...] = problems


class ForeignError(KedrError):
    """What a file, a host or another program gave cannot be used.  ``source`` names it, where that is known."""

    def __init__(self, reason: str, source: str = "") -> None:
        super().__init__(f"{source}: {reason}" if source else reason)
        self.reason = reason
        self.source = source


@contextmanager
def about(source: str) -> Iterator[None]:
    """Name ``source`` in what goes wrong in the body: InputError stays one, the others and OSError are ForeignError."""
    try:
        yield
    except InputError as error:
        raise InputError(*(f"{source}: {problem}" for problem in error.problems)) from None
    except KedrError as error:
        if getattr(error, "source", "") == source:
            raise
        raise ForeignError(str(error), source) from None
    except OSError as error:
        raise ForeignError(f"cannot be read: {error.strerror or error}", source) from None
