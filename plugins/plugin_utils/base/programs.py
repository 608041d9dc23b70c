# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the control node: found where they are, and run."""

import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from .errors import KedrError
from .foreign import printable


def find_tool(name: str, package: str) -> str:
    """Return the path of a program, also from the system directories that a user's PATH may lack.

    Raises KedrError, which names the package to install.
    """
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not path:
        raise KedrError(f"the program {name} is missing on the control node; install the package {package}")
    return path


def run_tool(command: Sequence[str], failure: str, given: bytes = b"", **options: Any) -> bytes:
    """Return what a program prints that is ``given`` this.  Raises KedrError with ``failure`` and what it complains of.

    ``options`` are those of ``subprocess.run``.
    """
    done = subprocess.run(command, input=given, capture_output=True, check=False, **options)
    if done.returncode != 0:
        raise KedrError(f"{failure}: {printable(done.stderr or done.stdout).strip()}")
    return done.stdout
