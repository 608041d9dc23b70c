# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of the control node that are believed: nobody else may change what they hold."""

import contextlib
import os
import stat
from collections.abc import Collection

from .errors import KedrError


def ours() -> set[int]:
    """Return the user ids that are believed: root, who runs this, and who has started it through sudo."""
    caller = os.environ.get("SUDO_UID", "") if os.geteuid() == 0 else ""
    return {0, os.geteuid(), *([int(caller)] if caller.isascii() and caller.isdigit() else [])}


def others_can_write(state: os.stat_result, groups: Collection[int] = ()) -> bool:
    """Can somebody who is not believed change a file?  Members of ``groups`` are believed too.

    A link can be changed by its owner only, whatever its mode says.
    """
    mode = 0 if stat.S_ISLNK(state.st_mode) else state.st_mode
    foreign_group = mode & stat.S_IWGRP and state.st_gid not in groups
    return state.st_uid not in ours() or bool(mode & stat.S_IWOTH or foreign_group)


def check(path: str, what: str) -> None:
    """Raise KedrError when somebody else could change what `path` holds, or put another directory in its place.

    One that is not there yet passes if nobody can make it first. `what` names it in the error.
    """
    real = os.path.realpath(path)
    for place in (path, real):
        if os.path.lexists(place) and os.lstat(place).st_uid not in ours():
            raise KedrError(f"{what} {path} belongs to user {os.lstat(place).st_uid}, who could change what is in "
                            "it: choose another directory, or make it yours after a look at its content")
    if os.path.exists(real) and others_can_write(os.stat(real)):
        raise KedrError(f"{what} {path} can be changed by other users: look at its content, and then "
                        f"chmod go-w {path}")
    above = real
    while above != os.path.dirname(above):
        above = os.path.dirname(above)
        if os.path.isdir(above) and os.stat(above).st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            raise KedrError(f"{what} {path} lies in {above}, which every user can change: choose another "
                            "directory")


def make(path: str, mode: int = 0o700) -> None:
    """Make the directory `path` and those above it that are missing, all with `mode`. Raises OSError."""
    if not os.path.isdir(path):
        make(os.path.dirname(path), mode)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, mode)
