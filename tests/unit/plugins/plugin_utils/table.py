# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of records for tests, written call by call."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils.trace import dataset, rows
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import Record


class Call(NamedTuple):
    """One record; ``fields`` as an event has them, with in_init and returnValue."""

    time_ns: int
    event: str
    fields: dict[str, int | str]
    comm: str = "sh"
    pid: int = 7


def write(
    top: Path,
    *calls: Call,
    run: str = "r1",
    system: str = "Debian 13",
    host: str = "web1",
    kernel: str = "6.12",
    sites: dict[str, str] | None = None,
    moments: dict[str, str] | None = None,
) -> Path:
    """Write the file of one host; returns ``top``."""
    made = [Record(0, one.comm, one.pid, 0, "", one.time_ns, "p", one.event, dict(one.fields)) for one in calls]
    batches = rows.text_batches(made, {}, rows.Origin(host, kernel, sites or {}, moments or {}))
    dataset.write(str(top), run, system, host, batches)
    return top
