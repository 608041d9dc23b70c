# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of payloads, what a payload does with a call: a file here and templates in kernel/templates/KIND/."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from ..model import Code, Function, ResolvedFunction
from ..values import Values
from . import trace


class Kind(Protocol):
    """What the file of a kind defines. It imports base, ctypes and payload only: lint needs Python alone."""

    PARAMETERS: Mapping[str, bool]
    """The parameters of a [group] that only this kind has: {name: may it be given several times?}."""
    FILES: tuple[str, ...]
    """The files of the generated sources; each has a template FILE.j2."""

    def read(self, values: Values, function: Function, headers: tuple[Code, ...]) -> Any:
        """Check the parameters of a group and return what becomes ``function.own``; complain to ``values``."""

    def view(self, one: ResolvedFunction) -> dict[str, Any]:
        """Return what templates may name of a function on one kernel."""

    def plan(self, one: ResolvedFunction) -> dict[str, Any]:
        """Return what the rendered module will do with the calls of a function, as JSON data."""


KINDS: dict[str, Kind] = {"trace": trace}
"""Every kind by its name; the first is that of a file in which no kind's own parameters stand."""


def kind_of(names: Iterable[str]) -> str:
    """Return the kind of a file by the parameters in its groups: the first kind of which one is there."""
    given = set(names)
    return next((name for name, kind in KINDS.items() if given & kind.PARAMETERS.keys()), next(iter(KINDS)))
