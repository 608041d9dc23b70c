# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress that a user sees, commands of root, and the signals that interrupt the lab."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence

from ..base.programs import find_tool

Progress = Callable[[str], None]
"""Gets one line of plain text for the user, without a line feed."""


def as_root(command: Sequence[str], environ: Sequence[str] = ()) -> list[str]:
    """Return a command that runs as root: as it is for root, else through sudo, which must not ask."""
    if os.geteuid() == 0:
        return ["env", *environ, *command] if environ else list(command)
    return [find_tool("sudo", "sudo, or run as root"), "-n", "env", *environ, *command]


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
