# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of the ways to make an image."""

from collections.abc import Mapping
from typing import Any

from ...base.errors import InputError
from .cloud import CloudSpec
from .debian import DebianSpec
from .interface import ImageSpec

WAYS: dict[str, type[ImageSpec]] = {"cloud": CloudSpec}
"""The option of an image that chooses a way, and its class.  Without such an option an image is a DebianSpec."""


def load_image(data: Any, mirror: Any = ()) -> ImageSpec:
    """Return the spec of a user's description of an image, whichever way it is made.  Raises InputError."""
    if not isinstance(data, Mapping):
        return DebianSpec.load(data, mirror)
    others = {name: value for name, value in data.items() if name not in WAYS}
    chosen = [name for name in WAYS if data.get(name)]
    if not chosen:
        return DebianSpec.load(others, mirror)
    if len(chosen) > 1 or DebianSpec.load(others, mirror) != DebianSpec.load({}, mirror):
        told = ", ".join(sorted([*others, *chosen[1:]]))
        raise InputError(f"image: {chosen[0]} goes with no other option, and there is {told}")
    return WAYS[chosen[0]].load(data[chosen[0]], mirror)
