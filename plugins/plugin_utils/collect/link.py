# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to a host that streams: the command that reaches it, and its pipes."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO, cast

from ..host import shell
from .protocol import Parser, shown

READ_SIZE = 1 << 20
"""Bytes taken from a host at a time, and held by the pipe from its ssh, which with 64 KiB spends most of its processor
time on a pipe that is full (tests/bench/bench_transfer.py)."""
STDERR_KEPT = 2000
"""Bytes of what a host's command said on standard error that are kept: the last."""


class Link:
    """One connection to a host: a command, and the parser of what it says."""

    def __init__(self, argv: Sequence[str], call: shell.Call) -> None:
        """Start the command and hand it its program.  Raises OSError."""
        self.parser = Parser(call.nonce)
        self.begun = self.heard = self.came = time.monotonic()
        self.stderr = b""
        self._pending = bytearray(call.stdin)
        self._closing = False
        self.counted = False
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        pipes = (self.process.stdin, self.process.stdout, self.process.stderr)
        self.stdin, self.out, self.err = (cast(IO[bytes], pipe) for pipe in pipes)
        for pipe in (self.stdin, self.out, self.err):
            os.set_blocking(pipe.fileno(), False)
        with contextlib.suppress(OSError):  # the limit for others than root: /proc/sys/fs/pipe-user-pages-soft
            fcntl.fcntl(self.out.fileno(), fcntl.F_SETPIPE_SZ, READ_SIZE)
        self.flush()

    def tell(self, text: str) -> None:
        """Say something to the host, without waiting."""
        if not self.stdin.closed and not self._closing:
            self._pending += text.encode()
            self.flush()

    def hang_up(self) -> None:
        """Say that nothing more will be said."""
        self._closing = True
        self.flush()

    def flush(self) -> None:
        """Hand over as much as the pipe takes."""
        while self._pending and not self.stdin.closed:
            try:
                del self._pending[: os.write(self.stdin.fileno(), self._pending[:4096])]
            except BlockingIOError:
                return
            except OSError:  # its output says what happened
                self._pending.clear()
        if self._closing and not self.stdin.closed:
            self.stdin.close()

    def hear_stderr(self, data: bytes) -> bytes:
        """Keep the end of what was said on standard error."""
        self.stderr = (self.stderr + data)[-STDERR_KEPT:]
        return data

    def read_stderr(self) -> None:
        """Take what is there already."""
        with contextlib.suppress(OSError):
            self.hear_stderr(os.read(self.err.fileno(), 1 << 16))

    def last_words(self) -> str:
        """The last lines of standard error, to be put behind a reason."""
        text = shown(self.stderr[-300:])
        return f" ({text})" if text else ""

    def end(self, number: int = signal.SIGTERM) -> None:
        """Close the pipes, and end the command and what it started."""
        for pipe in (self.stdin, self.out, self.err):
            with contextlib.suppress(OSError):
                pipe.close()
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
