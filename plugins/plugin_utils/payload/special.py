# SPDX-License-Identifier: GPL-3.0-or-later
"""What is special about functions of the kernel, by their names: data/special.toml."""

import functools
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate

from ..base import paths

PATH = paths.data("special.toml")
NEVER_RETURNS = "function {!r} never returns, so a call cannot be recorded after it; write 'record = before'"


@dataclass(frozen=True)
class _Special:
    denied: tuple[tuple[re.Pattern[str], str], ...]
    noreturn: frozenset[str]
    before: re.Pattern[str]


def denied(name: str) -> str:
    """Return why a function cannot be replaced; '' when it can."""
    return next((reason for pattern, reason in _special().denied if pattern.match(name)), "")


def never_returns(name: str) -> bool:
    """Return whether a function does not come back to its caller."""
    return name in _special().noreturn


def gives_away(name: str) -> bool:
    """Return whether a function gives away what another thread may take before it has returned?"""
    return _special().before.match(name) is not None


@functools.cache
def _special() -> _Special:
    with open(PATH, "rb") as file:
        table = tomllib.load(file)
    return _Special(
        tuple((_any_of(one["patterns"]), one["reason"]) for one in table["denied"]),
        frozenset(table["noreturn"]["names"]),
        _any_of(table["before"]["patterns"]),
    )


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))
