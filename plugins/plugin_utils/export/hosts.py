# SPDX-License-Identifier: GPL-3.0-or-later
"""What all exports read: the directories of the hosts of a run, their clocks, tables, pages and losses."""

import os
import re
from glob import escape, glob
from typing import NamedTuple

from ..base import sums
from ..base.errors import InputError, about
from ..base.files import read_file
from ..trace import clocks, dataset
from ..trace.stats import parse_stats

_SIGNS = ("raw", "stream.json", "clocks.jsonl", "trace.txt", "stats.txt")
"""What of a host's directory tells that something was collected from it."""
MAX_TEXT = 64 << 20
"""Bytes that a text beside the trace (formats, names of threads, counts) may have."""
_PAGES = re.compile(r"cpu(\d{1,5})\.pages(?:\.part)?\Z")


class HostDir(NamedTuple):
    """The directory of one host that was watched: the host's name, the directory, and that of the run above it."""

    name: str
    directory: str
    run: str


def is_host(path: str) -> bool:
    """Is this the directory of one host (else that of a run)?"""
    return any(os.path.exists(os.path.join(path, name)) for name in _SIGNS)


def find(path: str) -> list[HostDir]:
    """The host whose directory ``path`` is, or the hosts of a run.  Raises InputError when there is none."""
    if not os.path.isdir(path):
        raise InputError(f"{path}: no such directory; give a run directory, for example runs/latest, or one host's")
    top = os.path.realpath(path)
    if is_host(top):
        return [HostDir(os.path.basename(top), top, os.path.dirname(top))]
    found = [entry for entry in sorted(os.listdir(top)) if os.path.isdir(os.path.join(top, entry))]
    chosen = [HostDir(name, os.path.join(top, name), top) for name in found if is_host(os.path.join(top, name))]
    if not chosen:
        raise InputError(f"{path}: nothing was collected here; collect first (playbooks/collect.yml)")
    return chosen


def clock(host: HostDir) -> clocks.Clock:
    """The clock of a host; without pairs when none were taken.  Raises ForeignError."""
    path = os.path.join(host.directory, "clocks.jsonl")
    if not os.path.exists(path):
        return clocks.Clock("", ())
    with about(path):
        return clocks.parse(read_file(path, MAX_TEXT).decode("utf-8", "replace"))


def table(host: HostDir) -> str:
    """The Parquet file of a host.  Raises InputError when there is none."""
    name = f"{dataset.quoted(host.name)}.parquet"
    found = glob(os.path.join(escape(host.run), "records", "run=*", "system=*", escape(name)))
    if len(found) != 1:
        raise InputError(
            f"{host.name}: {len(found)} tables {name} are below {os.path.join(host.run, 'records')}, one is needed; "
            f"kedr trace table {host.run} makes it"
        )
    return found[0]


def pages(host: HostDir) -> dict[int, str]:
    """The files of raw pages of a host by CPU, those of a stream that was cut off too."""
    raw = os.path.join(host.directory, "raw")
    found: dict[int, str] = {}
    for name in sorted(os.listdir(raw)) if os.path.isdir(raw) else ():
        cpu = _PAGES.match(name)
        if cpu:
            found.setdefault(int(cpu[1]), os.path.join(raw, name))
    return found


def loss(host: HostDir) -> str:
    """What is to be said of records that are missing or damaged; nothing when none are.  Raises ForeignError."""
    with about(host.directory):
        return _lost(host) + "".join(f"; {text}" for text in sums.told(host.directory))


def _lost(host: HostDir) -> str:
    path = os.path.join(host.directory, "stats.txt")
    if not os.path.exists(path):
        return "; whether records were lost is not known: stats.txt is missing"
    with about(path):
        found = parse_stats(read_file(path, MAX_TEXT).decode("utf-8", "replace"))
    lost = [f"CPU {cpu}: {stats.lost}" for cpu, stats in sorted(found.items()) if stats.lost]
    return f"; lost on the host: {', '.join(lost)}" if lost else ""
