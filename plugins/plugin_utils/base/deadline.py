# SPDX-License-Identifier: GPL-3.0-or-later
"""A time limit for work of this process and of the processes that it starts.

Whatever the work waits for (a select, a read, a wait), a signal ends the waiting.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from .processes import below, kill

AGAIN = 5.0
"""Seconds after which the work is interrupted once more, in case it was held up while it cleaned up."""


class TimeIsUp(BaseException):
    """The time was over. Not an Exception, so that nothing on the way takes it for an error and tries again."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimeIsUp in the body after `seconds`, and kill the processes that the body has started.

    A limit that somebody else has set stays in force, and is all there is where it comes first. Only the main thread
    can be interrupted; in another one there is no limit.
    """
    earlier, interval = signal.getitimer(signal.ITIMER_REAL)
    if threading.current_thread() is not threading.main_thread() or 0 < earlier <= seconds:
        yield
        return
    before = below(os.getpid())
    started = time.monotonic()
    over = False

    def interrupt(_signal: int, _frame: Any) -> None:
        if not over:
            kill(below(os.getpid()) - before)
            raise TimeIsUp

    handler = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if earlier:
            signal.setitimer(signal.ITIMER_REAL, max(earlier - (time.monotonic() - started), 0.001), interval)
