# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the control node knows of an embedded guest, kept in the run directory before it is gone."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..base import rundir
from ..base.files import MAX_JSON, write_file
from ..base.rundir import MAX_LOG
from .qemu import is_running


def keep_guests(run_dir: str, hosts: Sequence[str], known: Mapping[str, Any]) -> None:
    """Keep what would be gone later of these hosts; ``known`` is what run.json says of each.  Raises OSError."""
    for name in hosts:
        if isinstance(known.get(name), dict):
            keep_guest(run_dir, name, known[name])


def keep_guest(run_dir: str, name: str, info: Mapping[str, Any]) -> None:
    """Keep whether the guest of this lab runs, and its console.

    Copies the console to console.log when it is not there, and writes guest.json once: ``alive``, and ``console``,
    how many bytes the console had at this moment and their SHA-256.  Nothing is kept of a host that left no
    directory.  A console that cannot be copied is left out, which judging will say.
    """
    path = os.path.join(run_dir, name)
    if not rundir.HOST_NAME.fullmatch(name) or not info.get("embedded") or not os.path.isdir(path):
        return
    kept = os.path.join(path, "console.log")
    _copy_console(str(info.get("console") or ""), kept)
    target = os.path.join(path, "guest.json")
    if not os.path.exists(target):
        about = {"alive": guest_alive(info.get("pid"), str(info.get("pidfile") or "")), "console": _measure(kept)}
        write_file(target, json.dumps(about) + "\n")


def _copy_console(console: str, kept: str) -> None:
    try:
        if console and os.path.isfile(console) and not os.path.exists(kept):
            with open(console, "rb") as source:
                source.seek(max(0, os.fstat(source.fileno()).st_size - MAX_JSON))
                write_file(kept, source.read(MAX_JSON))
    except OSError:
        return


def _measure(kept: str) -> dict[str, Any]:
    """Return length and checksum of the first MAX_LOG bytes of the console; a guest may still append to it."""
    try:
        with open(kept, "rb") as stream:
            begin = stream.read(MAX_LOG)
        return {"bytes": len(begin), "sha256": hashlib.sha256(begin).hexdigest()}
    except OSError:
        return {}


def guest_alive(pid: object, pidfile: str) -> bool | None:
    """Does a guest's QEMU process run?  None when neither ``pid`` nor the file names a process."""
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        pid = _pid_of(pidfile)
    return is_running(pid, pidfile) if pid else None


def _pid_of(pidfile: str) -> int:
    try:
        with open(pidfile, encoding="ascii", errors="replace") as stream:
            return max(0, int(stream.read(32)))
    except (OSError, ValueError):
        return 0
