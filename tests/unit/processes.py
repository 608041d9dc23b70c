# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether processes run, for tests of what ends them."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterable

PATIENCE = 30.0
"""Seconds: a process that was killed ends when it gets a processor, which takes a while on a busy machine."""


def runs(pid: int) -> bool:
    """Does a process run?  One that has ended may wait for whoever is to hear of it."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def all_end(pids: Iterable[int]) -> bool:
    """Do these processes end soon?"""
    until = time.monotonic() + PATIENCE
    waiting = [pid for pid in pids if runs(pid)]
    while waiting and time.monotonic() < until:
        time.sleep(0.05)
        waiting = [pid for pid in waiting if runs(pid)]
    return not waiting
