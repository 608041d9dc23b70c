# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of the steps of a run: ``steps.jsonl`` of each host, one line for each step that was tried.

==============  ============================================================================================
key             meaning
==============  ============================================================================================
step            its name
status          ok, failed, unreachable, refused or skipped
kind            whose fault it is: FAIL, INFRA or SKIP; empty when it is ok
reason          what to tell a person; empty when it is ok
started         seconds since 1970
seconds         how long it took
round_trips     how often the host was spoken to
boot, boots     which start of the host answered: the last one, and all of them where there were several
data            what the step recorded of its own
files           SHA-256 of each file that it brought, by its name
sum             checksum of this record and of all lines above it
==============  ============================================================================================
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .rundir import append, seal

NAME = "steps.jsonl"
STATUSES = ("ok", "failed", "unreachable", "refused", "skipped")


class Begin(NamedTuple):
    """When something began: by the clock of day (seconds since 1970), and by one that nobody sets."""

    wall: float
    clock: float


class Outcome(NamedTuple):
    """How a step ended."""

    status: str
    kind: str = ""
    reason: str = ""


OK = Outcome("ok")


class Contact(NamedTuple):
    """What the steps of a run tell of the contact with a host."""

    losses: int
    """How often it was lost."""
    answered: bool
    """Whether the host has ever answered."""
    back: bool
    """Whether it has answered since the last loss."""


def begin() -> Begin:
    """Return what the time is now."""
    return Begin(time.time(), time.monotonic())


def outcome(kind: str, reason: str) -> Outcome:
    """Return the outcome of a step that failed for a ``reason``, or was ok where there is none."""
    return Outcome("failed", kind, reason) if reason else OK


def record(
    host_dir: str, step: str, begun: Begin, outcome: Outcome, *, round_trips: int = 0,
    data: Mapping[str, Any] | None = None, boots: Sequence[str] = (), files: Mapping[str, str] | None = None,
) -> None:
    """Append the record of a step that ends now; it is written whole or not at all.  Raises OSError."""
    append_step(host_dir, {
        "step": step, **outcome._asdict(), "started": round(begun.wall, 3),
        "seconds": round(time.monotonic() - begun.clock, 3), "round_trips": round_trips, "data": dict(data or {}),
        "boot": boots[-1] if boots else "", "files": dict(files or {}),
        **({"boots": list(boots)} if len(boots) > 1 else {}),
    })  # fmt: skip


def append_step(host_dir: str, entry: Mapping[str, Any]) -> None:
    """Append ``entry`` with its ``sum``, so that no record can be changed unnoticed.  Raises OSError."""
    path = os.path.join(host_dir, NAME)
    above = hashlib.sha256()
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        above.update(file.read())
    append(path, json.dumps({**entry, "sum": seal(above, entry)}, sort_keys=True) + "\n")


def contact(host_dir: str) -> Contact:
    """Return what the records of a host tell of the contact with it."""
    losses, answered, back = 0, False, False
    with contextlib.suppress(FileNotFoundError), open(os.path.join(host_dir, NAME), "rb") as file:
        for line in file:
            try:
                step = json.loads(line)
                lost, reached = step["status"] == "unreachable", bool(step["round_trips"])
            except (ValueError, TypeError, KeyError):
                continue
            losses += lost
            answered = answered or (reached and not lost)
            back = not lost and (back or reached)
    return Contact(losses, answered, back)
