# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's log (``dmesg.txt``) and the console: did the kernel complain, or die, during the run?"""

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from io import BufferedReader

from ...base import rundir
from ...base.errors import ForeignError
from ...base.foreign import plain
from ...base.rundir import MAX_LOG
from ...evidence import splats
from ..case import MAX_NAMED, Case
from . import guest

DMESG, CONSOLE = "dmesg.txt", "console.log"
CONSOLE_LINES = 15
"""Lines of the console that are shown of a host that is not OK."""


def dmesg(case: Case) -> None:
    """Is the log of the whole run there, without a splat?"""
    found = _scan(case, DMESG)
    if found.marker and not found.ended and case.was_done("release"):
        raise ForeignError(f"no line '{rundir.ends(case.run_id)}': the log of the last steps is not there", DMESG)
    lines = (found.ended or found.lines + 1) - found.marker - 1
    _check_whole(case, found, DMESG, f"{lines} lines from the first step to the last")


def console(case: Case) -> None:
    """Has the console no splat, and does it show what it must?  A panic on it decides."""
    if not case.info.get("console") and not case.info.get("embedded") and not case.has(CONSOLE):
        return
    case.attempt(_console_kept)
    found = _scan(case, CONSOLE)
    case.panic = found.cause if any(one.fatal for one in found.splats) else ""
    if not case.panic:
        _check_whole(case, found, CONSOLE, f"{found.lines} lines")
        _console_shows(case)


def tail(case: Case) -> list[str]:
    """Return the last lines of the console that say something."""
    try:
        with case.open(CONSOLE) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - (1 << 16)))
            said = (text for line in _lines(stream) if (text := splats.message(line).strip()))
            return list(deque(said, maxlen=CONSOLE_LINES))
    except (ForeignError, OSError):
        return []


def _scan(case: Case, name: str) -> splats.Scan:
    """Look through a log for what this run caused; splats become findings.  Raises ForeignError."""
    begin, end = rundir.begins(case.run_id), rundir.ends(case.run_id)
    ours = (*case.targets, "cp_controller", *case.modules())
    with case.open(name) as stream:
        found = splats.scan(_lines(stream), case.policy, begin, whole=True, end=end, modules=ours)
        size = os.fstat(stream.fileno()).st_size
    if not found.lines:
        raise ForeignError("the file is empty: nothing shows whether the kernel complained", name)
    _note_splats(case, found, name)
    if size > MAX_LOG:
        text = f"the log has {size >> 20} MiB, of which the first {MAX_LOG >> 20} were looked through"
        case.add("missing", name, text)
    return found


def _lines(stream: BufferedReader) -> Iterator[str]:
    """Lines of a log, up to MAX_LOG bytes, in bounded memory."""
    taken = 0
    while taken < MAX_LOG and (line := stream.readline(splats.MAX_LINE)):
        taken += len(line)
        yield line.decode("utf-8", "surrogateescape")


def _note_splats(case: Case, found: splats.Scan, source: str) -> None:
    if found.splats:
        count = f"{found.total} lines of splats, from line {found.splats[0].line} on ({found.splats[0].rule})"
        case.add("fail", source, f"{found.cause}; {count}")
        case.splats += [one.text for one in found.splats[:MAX_NAMED]]
    if found.before:
        case.add("note", source, f"{found.before} lines of splats from before this run")
    if found.after:
        case.add("note", source, f"{found.after} lines of splats from after this run")
    for one in found.users[:MAX_NAMED]:
        case.add("note", source, f"line {one.line} is about a program of a user, whose names prove nothing: {one.text}")
    if found.users_total > MAX_NAMED:
        case.add("note", source, f"{found.users_total} lines about programs of users with such names in all")
    for one in found.told[:MAX_NAMED]:
        case.add("note", source, f"line {one.line}, at level error or worse: {one.text}")
    if found.told_total > MAX_NAMED:
        case.add("note", source, f"{found.told_total} lines of these modules at level error or worse in all")


def _check_whole(case: Case, found: splats.Scan, name: str, what: str) -> None:
    """No splat is good news only from a log that holds the run.  Raises ForeignError."""
    if not found.marker:
        raise ForeignError(f"no line '{rundir.begins(case.run_id)}': what this run caused is not known", name)
    if found.holes:
        raise ForeignError(f"the kernel says in {found.holes} lines that messages are missing here", name)
    if not found.splats:
        case.add("ok", name, f"{what}, no splat ({found.allowed} allowed messages)")


def _console_kept(case: Case) -> None:
    """The console must begin as it was when the guest was looked at; a guest that went on wrote behind that."""
    kept = guest.read(case).get("console")
    if not isinstance(kept, dict) or not isinstance(kept.get("bytes"), int):
        return
    with case.open(CONSOLE) as stream:
        digest = hashlib.sha256(stream.read(max(0, min(kept["bytes"], MAX_LOG)))).hexdigest()
    if digest != kept.get("sha256"):
        raise ForeignError("the file is not what was kept of the console: its checksum differs", CONSOLE)


def _console_shows(case: Case) -> None:
    """A variant of a system counts only if the kernel says on the console that it is one."""
    wanted = plain(case.info.get("console_shows") or "", 300)
    if not wanted:
        return
    with case.open(CONSOLE) as stream:
        line = next((line for line in map(splats.message, _lines(stream)) if wanted in line), "")
    if line:
        case.add("ok", CONSOLE, f"the variant is in force: {line.strip()}")
    else:
        case.add("fail", CONSOLE, f"the variant is not in force: no line shows '{wanted}'")
