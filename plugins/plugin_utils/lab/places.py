# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of the lab: its cache, and what only its owner may enter."""

import os
from collections.abc import Mapping

from ..base import ownership
from ..base.errors import KedrError


def cache_root(option: str, environ: Mapping[str, str]) -> str:
    """Return the cache directory: the option, else $KEDR_CACHE, $XDG_CACHE_HOME/kedr-lab, ~/.cache/kedr-lab.

    Raises KedrError when somebody else could change what is in it.
    """
    home = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = os.path.abspath(os.path.expanduser(option or environ.get("KEDR_CACHE") or os.path.join(home, "kedr-lab")))
    ownership.check(path, "the cache")
    return path


def kernels_dir(cache: str) -> str:
    """Return the directory of the kernels that are in no package."""
    return os.path.join(cache, "kernels")


def is_inside(path: str, directory: str) -> bool:
    """Is a path, with its links followed, below a directory?"""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(directory), ""))


def private_dir(path: str) -> str:
    """Make a directory (and those above it) that only its owner may enter; return its path.  Raises KedrError."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.makedirs(path, mode=0o700, exist_ok=True)
        ownership.check(path, "the directory")
        os.chmod(path, 0o700)
    except OSError as error:
        raise KedrError(f"cannot make the directory {path}: {error.strerror}") from error
    return path
