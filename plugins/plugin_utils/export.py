# SPDX-License-Identifier: GPL-3.0-or-later
"""What is common to all exports: the hosts of a collection, their clocks and tables, files that appear whole."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape, glob
from typing import BinaryIO, NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils import clocks, dataset, sums, trace

_SIGNS = ("raw", "stream.json", "clocks.jsonl", "trace.txt", "stats.txt")
"""What of a host's directory tells that something was collected from it."""
MAX_STATS = 64 << 20
"""Characters of the counts of the ring buffer that are read."""
_PAGES = re.compile(r"cpu(\d{1,5})\.pages(?:\.part)?\Z")


class ExportError(Exception):
    """What was asked for cannot be made of what was collected.  The text says why and what to do."""


class Host(NamedTuple):
    """One host of a collection: its name, its directory, the run directory above it."""

    name: str
    directory: str
    run: str


def is_host(path: str) -> bool:
    """Is this the directory of one host (else that of a run)?"""
    return any(os.path.exists(os.path.join(path, name)) for name in _SIGNS)


def hosts(path: str) -> list[Host]:
    """The host whose directory ``path`` is, or the hosts of a run.  Raises ExportError when there is none."""
    if not os.path.isdir(path):
        raise ExportError(f"{path}: no such directory; give a run directory, for example runs/latest, or one host's")
    top = os.path.realpath(path)
    if is_host(top):
        return [Host(os.path.basename(top), top, os.path.dirname(top))]
    found = [entry for entry in sorted(os.listdir(top)) if os.path.isdir(os.path.join(top, entry))]
    chosen = [Host(name, os.path.join(top, name), top) for name in found if is_host(os.path.join(top, name))]
    if not chosen:
        raise ExportError(f"{path}: nothing was collected here; collect first (playbooks/collect.yml)")
    return chosen


def clock(host: Host) -> clocks.Clock:
    """The clock of a host; without pairs when none were taken.  Raises ExportError."""
    path = os.path.join(host.directory, "clocks.jsonl")
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return clocks.parse(stream.read())
    except FileNotFoundError:
        return clocks.Clock("", ())
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror or error}") from None
    except clocks.ClockError as error:
        raise ExportError(f"{path}: {error}") from None


def table(host: Host) -> str:
    """The Parquet file of a host.  Raises ExportError when there is none."""
    name = f"{dataset.quoted(host.name)}.parquet"
    found = glob(os.path.join(escape(host.run), "records", "run=*", "system=*", escape(name)))
    if len(found) != 1:
        raise ExportError(
            f"{host.name}: {len(found)} tables {name} are below {os.path.join(host.run, 'records')}, one is needed; "
            f"bin/kedr-trace table {host.run} makes it"
        )
    return found[0]


def pages(host: Host) -> dict[int, str]:
    """The files of raw pages of a host by CPU, those of a stream that was cut off too."""
    raw = os.path.join(host.directory, "raw")
    found: dict[int, str] = {}
    for name in sorted(os.listdir(raw)) if os.path.isdir(raw) else ():
        cpu = _PAGES.match(name)
        if cpu:
            found.setdefault(int(cpu[1]), os.path.join(raw, name))
    return found


def loss(host: Host) -> str:
    """What is to be said of records that are missing or damaged; nothing when none are.  Raises ExportError."""
    try:
        return _lost(host) + "".join(f"; {text}" for text in sums.told(host.directory))
    except OSError as error:
        raise ExportError(f"{error.filename or host.directory}: {error.strerror or error}") from None


def _lost(host: Host) -> str:
    path = os.path.join(host.directory, "stats.txt")
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            found = trace.parse_stats(stream.read(MAX_STATS))
    except FileNotFoundError:
        return "; whether records were lost is not known: stats.txt is missing"
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror or error}") from None
    except trace.TraceError as error:
        raise ExportError(f"{path}: {error}") from None
    lost = [f"CPU {cpu}: {stats.lost}" for cpu, stats in sorted(found.items()) if stats.lost]
    return f"; lost on the host: {', '.join(lost)}" if lost else ""


@contextmanager
def whole(path: str) -> Iterator[BinaryIO]:
    """A file (mode 0600) that replaces ``path`` when all was written, and else leaves it as it was."""
    directory, name = os.path.split(os.path.abspath(path))
    temporary = os.path.join(directory, f".{name[:80]}.{secrets.token_hex(4)}.part")
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written: {error.strerror or error}") from None
    try:
        with open(handle, "wb") as stream:
            yield stream
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
