# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the control node that the lab runs, and the signals that interrupt it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..base.errors import KedrError
from ..base.foreign import printable

Progress = Callable[[str], None]
"""Gets one line of plain text for the user, without a line feed."""


def find_tool(name: str, package: str) -> str:
    """Return the path of a program, also from the system directories that a user's PATH may lack.

    Raises KedrError, which names the package to install.
    """
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not path:
        raise KedrError(f"the program {name} is missing on the control node; install the package {package}")
    return path


def as_root(command: Sequence[str], environ: Sequence[str] = ()) -> list[str]:
    """Return a command that runs as root: as it is for root, else through sudo, which must not ask."""
    if os.geteuid() == 0:
        return ["env", *environ, *command] if environ else list(command)
    return [find_tool("sudo", "sudo, or run as root"), "-n", "env", *environ, *command]


def run_tool(command: Sequence[str], failure: str, **options: Any) -> bytes:
    """Return what a program prints.  Raises KedrError with ``failure`` and the reason when it does not succeed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, **options)
    if done.returncode != 0:
        raise KedrError(f"{failure}: {printable(done.stderr or done.stdout).strip()}")
    return done.stdout


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Make the first SIGINT or SIGTERM a KeyboardInterrupt, so that what was begun is cleaned up.

    Ansible's workers end at once on these signals. Later signals do not disturb the cleaning up.
    Only the main thread of a process may use this.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt(number: int, frame: object) -> None:
        for again in numbers:
            signal.signal(again, signal.SIG_IGN)
        raise KeyboardInterrupt

    former = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)
