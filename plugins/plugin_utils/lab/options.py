# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the options that a user writes for images and guests; all raise InputError, which names the option."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ..base.errors import InputError


def mapping(data: Any, kind: type[Any], what: str) -> Mapping[str, Any]:
    """Return a mapping whose names are fields of the dataclass ``kind``."""
    if not isinstance(data, Mapping):
        raise InputError(f"{what}: a mapping is needed, not {data!r}")
    allowed = sorted(item.name for item in fields(kind))
    for name in data:
        if name not in allowed:
            raise InputError(f"{what}: unknown option {name!r}; allowed are {', '.join(allowed)}")
    return data


def whole(value: Any, low: int, high: int, what: str) -> int:
    """Return a whole number from ``low`` to ``high``, which may be written as text."""
    number = int(value) if re.fullmatch(r"[0-9]{1,9}", str(value)) else -1
    if not low <= number <= high:
        raise InputError(f"{what}: {value!r} is not a whole number from {low} to {high}")
    return number


def boolean(value: Any, what: str) -> bool:
    """Return a real true or false."""
    if not isinstance(value, bool):
        raise InputError(f"{what}: {value!r} is neither true nor false")
    return value


def choice(value: str, allowed: Sequence[str], what: str) -> str:
    """Return one of the allowed words."""
    if value not in allowed:
        raise InputError(f"{what} {value!r} is not one of {', '.join(allowed)}")
    return value


def words(value: Any, fits: Callable[[str], object], what: str, allowed: str = "") -> tuple[str, ...]:
    """Return the texts of a list, each of which ``fits``; ``allowed`` says in words what does."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"{what}: a list is needed, not {value!r}")
    for word in value:
        if not isinstance(word, str) or not fits(word):
            told = f"is not allowed; allowed is {allowed}" if allowed else "is not a valid name"
            raise InputError(f"{what}: {word!r} {told}")
    return tuple(value)
