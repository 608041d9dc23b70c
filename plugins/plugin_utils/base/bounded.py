# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes print, bounded while it comes, whoever reads it: Ansible's connections know no bound.

What is read from a process that was started in the body of ``output`` is counted, and kept from the reader, who makes
nine times as much of it; and this process is not to grow by more than an answer needs, however its connection reads.
Imports nothing of Ansible.
"""

import contextlib
import fcntl
import io
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import IO, Any

from .errors import ForeignError
from .foreign import plain
from .processes import below, kill, memory

READ = 1 << 20
"""Bytes that are read at once."""
MAX_ERRORS = 1 << 20
"""Bytes that a process may print on its standard error."""
MAX_PREAMBLE = 64 << 10
"""Bytes that a process may print before the words that its answer begins with."""
SPARE = 32 << 20
"""Bytes by which this process may grow, besides twice what it may take."""
LOOK = 0.01
"""Seconds of this process's own time after which its memory is looked at."""


class _Enough(BaseException):
    """Reading ends here. Not an Exception, so that nothing on the way takes it for an error and tries again."""


class _Counted(io.BufferedReader):
    """What a process prints, up to a bound; `begin` must be among its first words, unless it is empty.

    From the part on in which `begin` ends all goes into `kept`, and the reader gets a line feed for each part.
    """

    def __init__(self, raw: io.RawIOBase, most: int, begin: bytes, kept: bytearray) -> None:
        super().__init__(raw)
        self._most, self._begin, self._kept = most, begin, kept
        self._head, self._count = b"", 0

    def read(self, size: int | None = -1) -> bytes:
        """Return some of what is there, as far as it is allowed, of a pipe that is not waited for; else as usual."""
        if size not in (-1, None) or os.get_blocking(self.fileno()):
            return super().read(size)
        data = os.read(self.fileno(), READ)
        self._count += len(data)
        if self._count > self._most:
            raise _Enough(_too_much(self._most))
        return self._keep(data) if self._begin else data

    def _keep(self, data: bytes) -> bytes:
        if self._kept:
            self._kept += data
            return data and b"\n"
        self._head += data
        if self._begin in self._head:
            self._kept += self._head
        elif len(self._head) > MAX_PREAMBLE + len(self._begin):
            said = plain(self._head[:200].decode("latin-1"))
            raise _Enough(f"something else for {MAX_PREAMBLE >> 10} KiB: {said}")
        return data


@contextlib.contextmanager
def output(most: int, begin: bytes) -> Iterator[bytearray]:
    """Take at most `most` bytes of what each process prints that is started in the body.

    It must begin with `begin`, after MAX_PREAMBLE bytes at most. With more the processes are killed, and the body ends
    with ForeignError. Gives what was kept from the reader, which is all or nothing.
    """
    started: list[subprocess.Popen] = []
    kept = bytearray()

    class Bounded(subprocess.Popen):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            kept.clear()  # of a try that came before this one
            self.stdout = _counted(self.stdout, most, begin, kept)
            self.stderr = _counted(self.stderr, MAX_ERRORS, b"", kept)
            started.append(self)

    usual = subprocess.Popen
    subprocess.Popen = Bounded  # type: ignore[misc]
    try:
        with _watched(2 * most + SPARE, _too_much(most)):
            yield kept
    except _Enough as enough:
        for process in started:
            _end(process)
        raise ForeignError(str(enough)) from None
    finally:
        subprocess.Popen = usual  # type: ignore[misc]


def _too_much(most: int) -> str:
    return f"more than {most >> 20} MiB"


def _counted(pipe: IO | None, most: int, begin: bytes, kept: bytearray) -> IO | None:
    if not isinstance(pipe, io.BufferedReader):
        return pipe
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, READ)
    return _Counted(pipe.detach(), most, begin, kept)


def _end(process: subprocess.Popen) -> None:
    """Kill a process and what it started; those of others end when they print again."""
    kill(below(process.pid))
    with contextlib.suppress(PermissionError):
        process.kill()


@contextlib.contextmanager
def _watched(growth: int, text: str) -> Iterator[None]:
    """End the body when this process has grown by so many bytes; only the main thread can be watched."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = memory()[1]

    def look(_signal: int, _frame: Any) -> None:
        if memory()[1] - before > growth:
            raise _Enough(text)

    handler = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, LOOK, LOOK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
