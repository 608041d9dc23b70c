# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's tracefs is asked for: names of events and instances, and how much of a log is taken."""

import re
from collections.abc import Iterable

from ..base import rundir
from ..base.errors import InputError
from ..base.foreign import printable

_EVENT = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*):([A-Za-z_][A-Za-z0-9_]*)\Z")
LOG_LIMIT = 20 << 20
"""Bytes of a kernel log, and of a trace, that are taken at most; a log and two traces fit into shell.MAX_ANSWER."""
_INSTANCE = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*)?\Z")


def event_paths(events: Iterable[str]) -> list[str]:
    """Return ``system/event`` for each ``system:event``; raises InputError for anything else."""
    paths = []
    for event in events:
        match = _EVENT.match(event)
        if not match:
            raise InputError(f"'{printable(event, 100)}' is not an event: write system:event")
        paths.append("/".join(match.groups()))
    return paths


def instance_name(name: str) -> str:
    """Return `name` when it can name a trace instance (empty: the global buffer); else raise InputError."""
    if not _INSTANCE.match(name or ""):
        raise InputError(f"'{printable(name, 80)}' cannot name a trace instance: letters, digits, '.', '_' and '-' are "
                         "allowed, and no '.' or '-' in front")
    return name or ""


def log_of_run(log: bytes, run: str) -> tuple[bytes, bool]:
    """Return the kernel log from the first line on that begins `run`, and whether there is one.

    Without it (the log has wrapped, or nothing was marked) the whole log is returned.
    """
    place = log.find(f"{rundir.begins(run)}\n".encode()) if run else -1
    if place < 0:
        return log, False
    return log[log.rfind(b"\n", 0, place) + 1:], True
