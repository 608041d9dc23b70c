# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of this machine, as ``/proc`` tells of them.

A number of a process alone says nothing, since it is given out again: with its start it is that process.
"""

import contextlib
import os
import resource
import signal


def start_of(pid: int, proc: str = "/proc") -> str:
    """Return when a process started, in ticks since boot; nothing when there is none, or it has ended."""
    words = _stat(pid, proc)
    # A zombie has ended; only nobody has asked for its exit status yet.
    return words[19] if len(words) > 19 and words[0] not in ("Z", "X") else ""


def arguments_of(pid: int, proc: str = "/proc") -> list[bytes]:
    """Return the command line of a process; nothing when there is none."""
    try:
        with open(os.path.join(proc, str(pid), "cmdline"), "rb") as stream:
            return stream.read().split(b"\0")
    except OSError:
        return []


def below(pid: int, proc: str = "/proc") -> set[tuple[int, str]]:
    """Return the processes that ``pid`` has started, and those have started, each with when it started (ticks)."""
    parents: dict[int, list[tuple[int, str]]] = {}
    for name in os.listdir(proc):
        words = _stat(int(name), proc) if name.isdigit() else []
        if len(words) > 19:
            parents.setdefault(int(words[1]), []).append((int(name), words[19]))
    found: set[tuple[int, str]] = set()
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found.update(children)
        waiting += [child for child, _start in children]
    return found


def kill(processes: set[tuple[int, str]]) -> None:
    """Kill processes; those that have ended, or belong to somebody else, are passed over."""
    for pid, _start in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def memory() -> tuple[int, int]:
    """Return the bytes of address space of this process, and the bytes of them in memory; see proc(5), ``statm``."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        size, resident = stream.read().split()[:2]
    return int(size) * resource.getpagesize(), int(resident) * resource.getpagesize()


def _stat(pid: int, proc: str) -> list[str]:
    """Return the words of ``stat`` behind the name of the process; nothing when there is none."""
    try:
        with open(os.path.join(proc, str(pid), "stat"), encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return []
