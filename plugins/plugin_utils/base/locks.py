# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between processes: a file that one of them holds, and that the kernel frees when it ends."""

import contextlib
import fcntl
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def locked(path: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of a file, which is made; ``waiting`` is called once if another process holds it."""
    with open(path, "a", encoding="ascii") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
