# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest from power-on to its first login, and why one does not get there."""

import os
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from ..base.errors import KedrError
from ..base.files import write_file
from .command_line import guest_arguments
from .files import GuestFiles, handed_over
from .guest import Guest, forget, read_guests
from .qemu import free_port, qemu_version, spawn
from .seed import FINISHED, read_finished, ready_line
from .spec import GuestSpec
from .ssh import Access
from .tools import Progress

PORT_TRIES = 5
LOGIN_SECONDS = {False: 30.0, True: 90.0}
"""For one login, by ``own_loader`` of the image: such a guest waits for cloud-init first."""
RETRY_SECONDS = 0.5
CONSOLE_LINES = 15
CLOUD_DISK_MB = 16384
"""Size of a cloud guest's disk: cloud-init lets the root file system grow, headers and a compiler need room."""
MAX_READ = 1 << 20
"""Bytes of a console, or of what QEMU said, that are read at a time."""


class Boot:
    """One guest on its way from power-on to the first login."""

    def __init__(
        self, spec: GuestSpec, files: GuestFiles, image: Mapping[str, Any], tool: str, accelerator: tuple[str, str],
        access: Access, progress: Progress,
    ) -> None:  # fmt: skip
        self.spec, self.files, self.image, self.tool = spec, files, image, tool
        self.access, self.progress = access, progress
        self.accelerator = accelerator
        self.release = str(image["release"])
        self.problem = ""
        self.refused = ""
        self.boot_seconds = 0.0
        self.port = 0
        self.tries = 0
        self.started = 0.0
        self.command: list[str] = []
        self.qemu: subprocess.Popen[bytes] | None = None
        self.login: subprocess.Popen[bytes] | None = None
        self.login_started = 0.0
        with open(os.path.join(files.directory, "host_key.pub"), encoding="ascii") as stream:
            self.host_key = " ".join(stream.read().split()[:2])

    def start(self) -> None:
        """Switch the machine on, at a port that was free just now."""
        self.tries += 1
        self.port = free_port()
        self.started = time.time()
        for path in (self.files.console, self.files.pidfile, self.files.qmp):
            if os.path.lexists(path):
                os.unlink(path)
        with handed_over(self.files) as (names, given, numbers):
            arguments = guest_arguments(self.spec, names, self.port, self.accelerator[0])
            self.command = ["prlimit", f"--fsize={self._largest_file()}", "--", self.tool, *given, *arguments]
            self.qemu = spawn(self.command, self.files.log, numbers)
        write_file(self.files.pidfile, b"%d\n" % self.qemu.pid)
        self._record()

    def _largest_file(self) -> int:
        """Return the bytes that a file of the guest may have, its console above all; with more QEMU ends."""
        return (disk_mb(self.image) << 20 or os.path.getsize(self.files.disk)) * 9 // 8

    def _record(self) -> None:
        pid = self.qemu.pid if self.qemu else 0
        guest = Guest(
            name=self.spec.name, pid=pid, port=self.port, console=self.files.console,
            qmp=self.files.qmp, pidfile=self.files.pidfile,
            tree=self.image.get("tree", ""),
            image=self.spec.image.key, kernel_release=self.release, suite=self.spec.image.suite,
            architecture=self.spec.image.architecture, accelerator=self.accelerator[0],
            accelerator_reason=self.accelerator[1], qemu_version=qemu_version(self.tool),
            host_key=self.host_key, digest=self.spec.digest, started=self.started,
            boot_seconds=round(self.boot_seconds, 1), module_key=self.spec.module_key, command=self.command,
        )  # fmt: skip
        guest.write()

    def poll(self) -> bool:
        """Return whether the guest takes logins or has failed; then ``problem`` says why."""
        code = self.qemu.poll() if self.qemu else 0
        if code is not None:
            return self._ended(code)
        if self.login is None:
            if ready_line(self.spec.name) in self._console() and time.monotonic() - self.login_started > RETRY_SECONDS:
                self._try_login()
            return False
        result = self.login.poll()
        if result is None:
            if time.monotonic() - self.login_started > LOGIN_SECONDS[self.spec.image.own_loader]:
                self.login.kill()
            return False
        output, complaints = (part.decode(errors="replace") for part in self.login.communicate())
        self.login = None
        if result != 0 or not self._finished(output):
            said = complaints.strip().splitlines() or [f"it ended with status {result}"]
            self.refused = f"ssh: {said[-1]}"
            self.login_started = time.monotonic()
            return False
        self.boot_seconds = time.time() - self.started
        self._record()
        return True

    def _finished(self, output: str) -> bool:
        """Read what the login of a cloud guest printed; return whether cloud-init is done."""
        if not self.spec.image.own_loader:
            return True
        try:
            self.release, complaints = read_finished(output)
        except KedrError:
            return False
        for complaint in complaints:
            self.progress(f"{self.spec.name}: cloud-init complains: {complaint}")
        return True

    def _ended(self, code: int) -> bool:
        if "Could not set up host forwarding rule" in self._text(self.files.log) and self.tries < PORT_TRIES:
            self.start()
            return False
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        self.problem = f"ended before it took a login (QEMU: {how})"
        return True

    def _try_login(self) -> None:
        guests = read_guests(os.path.dirname(self.files.directory))
        keys = {guest.port: guest.host_key for guest in guests if guest.running}
        self.access.write_known_hosts({**keys, self.port: self.host_key})
        self.login_started = time.monotonic()
        self.login = subprocess.Popen(
            [*self.access.command(self.port), FINISHED if self.spec.image.own_loader else "true"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    @staticmethod
    def _text(path: str) -> str:
        """Return the last MAX_READ bytes of a file at most."""
        try:
            with open(path, "rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - MAX_READ))
                return stream.read(MAX_READ).decode(errors="replace").replace("\r", "")
        except OSError:
            return ""

    def _console(self) -> str:
        return self._text(self.files.console)

    def news(self) -> str:
        """Return why the last login was refused, else the newest line of the console."""
        if self.refused:
            return self.refused
        lines = self._console().strip().splitlines()
        return lines[-1].strip()[:100] if lines else "nothing on the console yet"

    def report(self) -> str:
        """Return what went wrong, and the last lines of the console and of QEMU."""
        own = self._text(self.files.log).splitlines()[1:]
        console = self._console().strip().splitlines()
        panics = [line for line in console if "Kernel panic" in line]
        parts = [f"guest {self.spec.name} {self.problem}."]
        if panics:
            parts.append(f"Its kernel says: {panics[0]}")
        elif self.refused:
            parts.append(f"The last login failed: {self.refused}")
        if own:
            parts.append(f"QEMU says: {own[-1]} (all of it: {self.files.log})")
        parts.append(f"Last lines of its console ({self.files.console}):" if console else "Its console is empty.")
        return "\n".join(parts + [f"  {line}" for line in console[-CONSOLE_LINES:]])

    def kill(self) -> None:
        """End the machine and the login attempt at once."""
        for process in (self.login, self.qemu):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        forget(self.files.directory)


def disk_mb(image: Mapping[str, Any]) -> int:
    """Return the MiB that the disk of a guest is enlarged to; 0 when it keeps the size of its image's disk."""
    return max(int(image["virtual_mb"]), CLOUD_DISK_MB) if "virtual_mb" in image else 0
