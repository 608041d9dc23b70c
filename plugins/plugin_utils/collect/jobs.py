# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes beside the streams of a watch: commands on the hosts and on the control node, readings of clocks."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from ..base.errors import ForeignError
from ..base.foreign import printable
from ..host import shell
from ..trace import clocks

Line = Callable[[str], Sequence[str]]
"""Makes the command line that runs a command on a host."""

MAX_OUTPUT = 4 << 20
"""Bytes of a command's output that are kept."""
MAX_ANSWER = 16 << 20
"""Bytes that a host may write; one that writes more is no longer listened to."""

_END = f"""
for k_base in $k_bases; do
    ours "$k_base/kedr-$k_job" && [ -f out.txt ] || continue
    text out {MAX_OUTPUT // 2} <out.txt
    text err {MAX_OUTPUT // 2} <err.txt
    break
done
end_private "kedr-$k_job"
"""

_READ_CLOCKS = """
find_tracing
choose_place "$k_instance"
clock_pair during | text clocks
"""


def _content(file: IO[bytes] | None, limit: int) -> bytes:
    """The first bytes of a file that is open, or of none."""
    if file is None:
        return b""
    file.seek(0)
    return file.read(limit)


@dataclass
class Job:
    """One process beside the streams, which reads ``given`` and writes to a file; nobody waits for it.

    With ``nonce`` its output is the answer of a host, and what it says on standard error is another thing.
    """

    name: str
    argv: Sequence[str]
    given: bytes = b""
    environment: Mapping[str, str] | None = None
    nonce: str = ""
    begun: float = 0.0
    _process: subprocess.Popen[bytes] | None = None
    _output: IO[bytes] | None = None
    _errors: IO[bytes] | None = None
    _trouble: str = ""

    def start(self) -> None:
        """Start the process in a group of its own; ``result`` says why it could not be started."""
        self.begun = time.monotonic()
        try:
            self._start()
        except OSError as error:
            self._trouble = f"its command could not be started: {error}"

    def _start(self) -> None:
        self._output, self._errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the job is kept
        with tempfile.TemporaryFile() as given:
            given.write(self.given)
            given.seek(0)
            self._process = subprocess.Popen(
                self.argv, stdin=given, stdout=self._output, start_new_session=True,
                stderr=self._errors if self.nonce else subprocess.STDOUT,
                env={**os.environ, **self.environment} if self.environment is not None else None,
            )  # fmt: skip

    def ended(self) -> bool:
        """Has the process ended, or never begun?"""
        if self.nonce and self._process and not self._trouble and self._written() > MAX_ANSWER:
            self._trouble = f"the host wrote more than {MAX_ANSWER} bytes"
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
        return self._process is None or self._process.poll() is not None

    def _written(self) -> int:
        return sum(os.fstat(file.fileno()).st_size for file in (self._output, self._errors) if file)

    @property
    def status(self) -> int | None:
        """Exit status; negative for a signal; None while it runs."""
        return self._process.poll() if self._process else None

    def output(self) -> bytes:
        """What it wrote until now: MAX_OUTPUT bytes at most, or the answer of a host."""
        return _content(self._output, MAX_ANSWER if self.nonce else MAX_OUTPUT)

    def result(self) -> tuple[bytes, int | None, str]:
        """What a command printed (output, then errors), its exit status, and why these are not known."""
        if self._trouble:
            return b"", None, self._trouble
        if not self.nonce:
            return self.output(), self.status, ""
        try:
            answer = shell.parse(self.output(), self.nonce)
            status = answer.number("status") if answer.one("status") else None
            failed = answer.one("failed")
        except ForeignError as error:
            said = printable(_content(self._errors, MAX_OUTPUT), 500).strip()
            return b"", None, f"{error}{': ' + said if said else ''}"
        if failed:
            return b"", None, printable(answer.text("reason")).strip()
        return answer.blobs.get("out", b"") + answer.blobs.get("err", b""), status, ""

    def end(self, patience: float = 5.0) -> None:
        """End the process and what it started, and wait for it."""
        if self._process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience)


def script_job(
    name: str, line: Line, script: bytes, files: Mapping[str, bytes], seconds: int, token: str
) -> Job:
    """A job that runs a script with its files on a host, as ``kedr.lab.exercise`` does.

    ``token`` names the directory on the host, for ``end_job``.
    """
    content = {f"files/{path}": data for path, data in files.items()}
    call = shell.frame(
        shell.load_script("exercise"), {"k_script": "kedr-script", "k_seconds": seconds, "k_token": token},
        shell.make_tar({**content, "files/kedr-script": script}),
    )
    return Job(name, line(call.command), call.stdin, nonce=call.nonce)


def end_job(name: str, line: Line, token: str) -> Job:
    """A job that ends what a script job with ``token`` still runs on a host, and says what it had printed."""
    call = shell.frame(shell.load_script("programs") + _END, {"k_job": token})
    return Job(name, line(call.command), call.stdin, nonce=call.nonce)


def clock_job(name: str, line: Line, instance: str) -> Job:
    """A job that reads the clocks of a host, see ``clock_readings``."""
    call = shell.frame(shell.load_script("tracefs", "clocks") + _READ_CLOCKS, {"k_instance": instance})
    return Job(name, line(call.command), call.stdin, nonce=call.nonce)


def clock_readings(job: Job) -> str:
    """What a clock job that has ended adds to clocks.jsonl; nothing when its answer cannot be used."""
    try:
        lines = shell.parse(job.output(), job.nonce).text("clocks").splitlines()
    except ForeignError:
        return ""
    return clocks.dump(clocks.take(lines))


def wait_for(jobs: Iterable[Job], seconds: float) -> None:
    """Wait until all jobs have ended, so many seconds at most; then end those that have not."""
    jobs = list(jobs)
    until = time.monotonic() + seconds
    while time.monotonic() < until and False in [job.ended() for job in jobs]:  # each is looked at, see Ending
        time.sleep(0.05)
    for job in jobs:
        job.end()
