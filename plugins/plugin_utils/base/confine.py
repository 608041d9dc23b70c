# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on foreign bytes in a child: with limits on memory and time, and without privileges, files and processes.

What the work gives comes back through a pipe, as bytes or as JSON. Whatever happens in the child is an error of what it
read: damage, too much memory or time, a crash.
"""

import contextlib
import ctypes
import io
import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

from . import processes
from .errors import ForeignError, KedrError
from .output import write_all

ANSWER = 32 << 20
"""Bytes that come back from a child, unless its caller says another number."""
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS of linux/prctl.h


class Limits(NamedTuple):
    """What a child may take: bytes above what this process has, seconds of processor time and on the clock.

    `drops`: root becomes another user. `files`: files can be opened, and written where the user may; else nothing can,
    not even a socket, and no process can be made.
    """

    memory: int = 128 << 20
    cpu: int = 120
    seconds: float = 600.0
    drops: bool = True
    files: bool = False


USUAL = Limits()


def user() -> int:
    """Return a user that nobody else is: of the numbers left free for no purpose, another for each process."""
    return 60600 + os.getpid() % 500


def call(work: Callable[[], Any], limits: Limits = USUAL) -> Any:
    """Return what `work` returns, as JSON carries it.

    Raises ForeignError with the text of the KedrError that `work` raises, or with the reason why it failed.
    """
    return json.loads(collect(lambda: [json.dumps(work()).encode()], ANSWER, limits))


def output(command: list[str], data: bytes, most: int, limits: Limits) -> bytes:
    """Return at most `most` bytes that a program, given by its path, makes of `data`; raises ForeignError."""

    def become() -> NoReturn:
        os.dup2(given, 0)
        try:
            os.execv(command[0], command)
        except OSError as reason:
            raise ForeignError(f"cannot be started: {reason.strerror}", command[0]) from None

    given = os.memfd_create("given")
    try:
        with open(given, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(given, 0, os.SEEK_SET)
        return collect(become, most, limits)
    finally:
        os.close(given)


def collect(work: Callable[[], Iterable[bytes]], most: int, limits: Limits = USUAL) -> bytes:
    """Return the pieces that `work` gives, at most `most` bytes; raises ForeignError as `call` does."""
    with _pipe() as (answer, answering), _pipe() as (said, saying):
        child = os.fork()
        if not child:
            _child(work, limits, answering.fileno(), saying.fileno())
        answering.close()
        saying.close()
        reason = "interrupted"
        try:
            content, reason = _received(answer, most, limits)
        finally:
            if reason:
                os.kill(child, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        reason = reason or _reason(status, said, limits)
    if reason:
        raise ForeignError(reason)
    return content


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[io.FileIO, io.FileIO]]:
    """Give a pipe as two files: a file that is closed twice closes no other one that has its number by then."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as reader, open(writing, "wb", buffering=0) as writer:
        yield reader, writer


def _received(answer: io.FileIO, most: int, limits: Limits) -> tuple[bytes, str]:
    """Return what comes until the end, and why it did not come whole."""
    until = time.monotonic() + limits.seconds
    waiting = select.poll()
    waiting.register(answer, select.POLLIN)
    content = io.BytesIO()
    while waiting.poll(max(until - time.monotonic(), 0) * 1000):
        piece = os.read(answer.fileno(), 1 << 20)
        if not piece:
            return content.getvalue(), ""
        content.write(piece)
        if content.tell() > most:
            return b"", f"it holds more than {most >> 20} MB"
    return b"", f"it takes more than {limits.seconds:g} s"


def _reason(status: int, said: io.FileIO, limits: Limits) -> str:
    """Say why a child failed; nothing when it did not."""
    if status == -signal.SIGXCPU:
        return f"it takes more than {limits.cpu} s of processor time"
    if status < 0:
        return f"reading it ended with signal {-status}"
    text = os.read(said.fileno(), 4000).decode("utf-8", "replace").strip() if status else ""
    return text or (f"reading it ended with status {status}" if status else "")


def _child(work: Callable[[], Iterable[bytes]], limits: Limits, answering: int, saying: int) -> NoReturn:
    status = 2
    try:
        os.dup2(answering, 1)
        os.dup2(saying, 2)
        status = _work(work, limits)
    finally:
        os._exit(status)


def _work(work: Callable[[], Iterable[bytes]], limits: Limits) -> int:
    """Write what `work` gives; returns the exit status."""
    text = f"it needs more than {limits.memory >> 20} MB of memory"
    try:
        _restrict(limits)
        for piece in work():
            write_all(1, piece)
        return 0
    except MemoryError:
        pass
    except KedrError as reason:
        text = str(reason)
    except Exception as reason:
        text = f"it cannot be read ({type(reason).__name__}: {reason})"
    write_all(2, text.encode("utf-8", "replace")[:4000])
    return 1


def _restrict(limits: Limits) -> None:
    """Give up privileges and set limits, of which none can be taken back."""
    memory = processes.memory()[0] + limits.memory
    if limits.drops and os.geteuid() == 0:
        number = user()
        os.setgroups([])
        os.setgid(number)
        os.setuid(number)
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _limit(resource.RLIMIT_AS, memory)
    _limit(resource.RLIMIT_CPU, limits.cpu, grace=1)
    _limit(resource.RLIMIT_CORE, 0)
    if not limits.files:
        for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
            _limit(kind, 0)


def _limit(kind: int, value: int, grace: int = 0) -> None:
    """Set a limit, unless there is a lower one; what passes the one of processor time is killed after a second."""
    there = resource.getrlimit(kind)[1]
    hard = value + grace if there == resource.RLIM_INFINITY else min(value + grace, there)
    resource.setrlimit(kind, (min(value, hard), hard))
