# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of trace events and instances, and the files that a collected trace is kept in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ansible_collections.kedr.lab.plugins.plugin_utils.action import StepError
from ansible_collections.kedr.lab.plugins.plugin_utils.hostshell import printable

_EVENT = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*):([A-Za-z_][A-Za-z0-9_]*)\Z")
_INSTANCE = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*)?\Z")


def event_paths(events: Iterable[str]) -> list[str]:
    """Return ``system/event`` for each ``system:event``; raises StepError for what is none."""
    paths = []
    for event in events:
        match = _EVENT.match(event)
        if not match:
            raise StepError("INFRA", f"'{printable(event, 100)}' is no event: write system:event")
        paths.append("/".join(match.groups()))
    return paths


def instance_name(name: str) -> str:
    """Return `name` when it can name a trace instance (empty: the global buffer); else StepError."""
    if not _INSTANCE.match(name or ""):
        raise StepError("INFRA", f"'{printable(name, 80)}' cannot name a trace instance: letters, digits, "
                                 "'.', '_' and '-' are allowed, and no '.' or '-' in front")
    return name or ""


def log_of_run(log: bytes, run: str) -> tuple[bytes, bool]:
    """Return the kernel log from the line on that begins `run`, and whether there is one.

    Without it (the log has wrapped, or nothing was marked) the whole log is returned.
    """
    place = log.rfind(f"kedr: run {run} begins\n".encode()) if run else -1
    if place < 0:
        return log, False
    return log[log.rfind(b"\n", 0, place) + 1:], True
