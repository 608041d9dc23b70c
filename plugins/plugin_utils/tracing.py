# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of trace events and instances, and the files that a collected trace is kept in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ansible_collections.kedr.lab.plugins.plugin_utils.action import StepError
from ansible_collections.kedr.lab.plugins.plugin_utils.hostshell import Answer, printable

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


def formats_text(answer: Answer) -> str:
    """Return the collected event formats, each under a line ``== system/event``."""
    return "".join(f"== {name.removeprefix('format/')}\n{answer.text(name)}"
                   for name in answer.blobs if name.startswith("format/"))


def stats_text(answer: Answer) -> str:
    """Return the collected counters, each under a line ``== cpuN``, in the order of the CPUs."""
    names = [name for name in answer.blobs if re.fullmatch(r"stats/cpu[0-9]+", name)]
    names.sort(key=lambda name: int(name.removeprefix("stats/cpu")))
    return "".join(f"== {name.removeprefix('stats/')}\n{answer.text(name)}" for name in names)


def log_of_run(log: bytes, run: str) -> tuple[bytes, bool]:
    """Return the kernel log from the line on that begins `run`, and whether there is one.

    Without it (the log has wrapped, or nothing was marked) the whole log is returned.
    """
    place = log.rfind(f"kedr: run {run} begins\n".encode()) if run else -1
    if place < 0:
        return log, False
    return log[log.rfind(b"\n", 0, place) + 1:], True
