# SPDX-License-Identifier: GPL-3.0-or-later
"""Did you mean: the words that somebody probably meant who wrote another one."""

import difflib
from collections.abc import Iterable


def near(word: str, words: Iterable[str], most: int = 1, alike: float = 0.6) -> list[str]:
    """Return at most ``most`` of the words that are near to ``word``, the nearest first.

    Upper and lower case are the same.  ``alike`` is from 0 (everything is near) to 1 (only the word itself is).
    """
    lowered = {one.lower(): one for one in words}
    return [lowered[one] for one in difflib.get_close_matches(word.lower(), lowered, most, alike)]


def nearest(word: str, words: Iterable[str], alike: float = 0.6) -> str:
    """Return the word that was probably meant, or nothing."""
    return "".join(near(word, words, 1, alike))


def did_you_mean(*found: str) -> str:
    """Return ``, did you mean 'a' or 'b'?``, or nothing where nothing was found."""
    names = " or ".join(repr(one) for one in found if one)
    return f", did you mean {names}?" if names else ""
