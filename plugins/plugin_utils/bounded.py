# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What processes print, bounded while it comes, whoever reads it: Ansible's connections know no bound.

A process that is started in the body of ``output`` prints into a pipe of this process. What is allowed is passed on;
with one byte more the process is killed, and the reader sees the end. A connection that starts no process is bounded
by the memory that it takes.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import IO, Any

from ansible_collections.kedr.lab.plugins.plugin_utils import deadline

READ = 1 << 16
"""Bytes that are passed on at once."""
MAX_ERRORS = 1 << 20
"""Bytes that a process may print on its standard error."""
MAX_PREAMBLE = 64 << 10
"""Bytes that a process may print before the words that its answer begins with."""
SPARE = 64 << 20
"""Bytes by which a connection without a process may grow, besides twice what it may bring."""
LOOK = 0.05
"""Seconds of this process's own time after which its memory is looked at."""


class TooMuchError(Exception):
    """A process printed more than it may. The text says how much that is."""


class _Grown(BaseException):
    """This process grew too much. Not an Exception, so that nothing on the way takes it for an error."""


@contextlib.contextmanager
def output(most: int, begin: bytes = b"") -> Iterator[None]:
    """Bound what each process that is started in the body may print, and what this one may take of it.

    `most` is in bytes; a process that has not said `begin` after MAX_PREAMBLE bytes is ended as well, without an error.
    Raises TooMuchError at the end of the body, whatever else went wrong there.
    """
    told: list[str] = []

    class Bounded(subprocess.Popen):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.stdout = _through(self, self.stdout, most, begin, told)
            self.stderr = _through(self, self.stderr, MAX_ERRORS, b"", told)

    usual = subprocess.Popen
    subprocess.Popen = Bounded  # type: ignore[misc]
    try:
        with _watched(2 * most + SPARE):
            yield
    except _Grown:
        told.append(_too_much(most))
    except Exception:
        if not told:
            raise
    finally:
        subprocess.Popen = usual  # type: ignore[misc]
    if told:
        raise TooMuchError(told[0])


def _too_much(most: int) -> str:
    return f"more than {most >> 20} MiB" if most >> 20 else f"more than {most} bytes"


def _through(process: subprocess.Popen, source: IO | None, most: int, begin: bytes, told: list[str]) -> IO | None:
    """Return the end of a pipe that gives what `source`, a pipe from `process`, gives within the bounds."""
    if source is None or hasattr(source, "encoding"):
        return source
    end, into = os.pipe()
    threading.Thread(target=_pass_on, args=(process, source, into, most, begin, told), daemon=True).start()
    return open(end, "rb")


def _pass_on(
    process: subprocess.Popen, source: IO[bytes], into: int, most: int, begin: bytes, told: list[str]
) -> None:
    count, head = 0, b""
    with source, open(into, "wb", buffering=0) as sink, contextlib.suppress(BrokenPipeError):
        while data := os.read(source.fileno(), READ):
            sink.write(data[:most - count])
            count += len(data)
            if begin:
                head += data
                begin = b"" if begin in head else begin
            if count > most:
                told.append(_too_much(most))
            if count > most or (begin and len(head) > MAX_PREAMBLE + len(begin)):
                _end(process)
                return


def _end(process: subprocess.Popen) -> None:
    """Kill a process and what it started; those that were left alone end when they print again."""
    deadline.kill(deadline.below(process.pid))
    with contextlib.suppress(PermissionError):
        process.kill()


@contextlib.contextmanager
def _watched(growth: int) -> Iterator[None]:
    """Raise _Grown in the body when this process has grown by so many bytes; only the main thread can be watched."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = _resident()

    def look(_signal: int, _frame: Any) -> None:
        if _resident() - before > growth:
            raise _Grown

    handler = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, LOOK, LOOK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)


def _resident() -> int:
    """Bytes of memory that this process takes."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize()
