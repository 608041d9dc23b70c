# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python runs a verb: the system's where it has the packages, else the one of the checkout's own environment."""

import importlib.util
import os
import sys
from collections.abc import Sequence

from ..base.errors import KedrError
from ..base.packages import COMMON

PACKAGES = {"run": COMMON, "collect": (*COMMON, "duckdb", "numpy", "pyarrow")}
"""Kind of environment, as scripts/venv.sh names it -> the packages of it that verbs import."""


def is_checkout(root: str) -> bool:
    """Whether the collection is a checkout, which can make environments, and not an installed one."""
    return os.path.isdir(os.path.join(root, ".collections"))


def environment(root: str, kind: str) -> str:
    """Return the checkout's environment of a kind, which is made where it is missing.  Raises KedrError."""
    import subprocess  # here: verbs that need no environment start sooner

    done = subprocess.run(
        [os.path.join(root, "scripts", "venv.sh"), "newest", kind], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise KedrError(f"scripts/venv.sh could not make the environment '{kind}'; its messages stand above")
    return done.stdout.strip()


def enter(launcher: str, words: Sequence[str], kind: str) -> None:
    """Start ``launcher`` anew in a Python that has the packages of ``kind``.

    Returns where this Python has them, or no other one is known.  Raises KedrError.
    """
    if all(importlib.util.find_spec(name) for name in PACKAGES[kind]):
        return
    python = _better(os.path.dirname(os.path.dirname(launcher)), kind)
    if python:
        os.execv(python, [python, launcher, *words])


def _better(root: str, kind: str) -> str:
    if sys.flags.no_site:
        return sys.executable  # which has not looked at its own packages yet
    if not is_checkout(root):
        return ""
    place = environment(root, kind)
    return "" if sys.prefix == place else os.path.join(place, "bin", "python")
