# SPDX-License-Identifier: GPL-3.0-or-later
"""The QEMU process of a guest: whose it is, how it starts, how it is asked to end."""

import contextlib
import json
import os
import pwd
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..base.errors import KedrError
from ..base.processes import arguments_of, start_of

PROGRAM = "qemu-system-x86_64"
"""It runs 32-bit systems as well."""
KVM = "/dev/kvm"


def qemu_user() -> dict[str, Any]:
    """Return the options of Popen that take root's powers from QEMU: it is who called through sudo, else nobody.

    Nobody gets the group of /dev/kvm. A caller who is not root stays as he is.
    """
    if os.geteuid() != 0:
        return {}
    try:
        caller = int(os.environ.get("SUDO_UID") or 0)
        entry = pwd.getpwuid(caller) if caller else pwd.getpwnam("nobody")
    except (KeyError, ValueError) as error:
        raise KedrError(f"the control node has no user for QEMU: {error.args[0]}") from error
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    if not caller and os.path.exists(KVM) and os.stat(KVM).st_gid:
        groups.append(os.stat(KVM).st_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


@contextlib.contextmanager
def short_name(path: str) -> Iterator[str]:
    """Give a name for a path that is too long for a socket (107 bytes)."""
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)


def quoted(value: str) -> str:
    """Quote a value inside a QEMU option: a comma is doubled."""
    return value.replace(",", ",,")


def qemu_version(tool: str) -> str:
    """Return QEMU's version, such as ``7.2.22``."""
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"version (\d[0-9.]*)", done.stdout)
    if not match:
        raise KedrError(f"{tool} does not run: {(done.stderr or done.stdout).strip()}")
    return match[1]


def free_port() -> int:
    """Return a TCP port of the loopback address that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(command: Sequence[str], log: str, numbers: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start QEMU with open descriptors so that it outlives us and a Ctrl-C; its messages go to ``log``."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, os.fsencode(shlex.join(command)) + b"\n")
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True, umask=0o077,
            pass_fds=numbers, **qemu_user(),
        )  # fmt: skip
    finally:
        os.close(handle)


def is_running(pid: int, pidfile: str) -> bool:
    """Tell whether the process lives and is the QEMU that was started with this pidfile.

    A number alone proves nothing: the process may have ended and its number may be another's now.
    """
    mark = os.fsencode(quoted(pidfile))
    return bool(start_of(pid)) and any(argument.endswith(mark) for argument in arguments_of(pid))


def qmp_quit(path: str, seconds: float = 5.0) -> bool:
    """Ask QEMU to end through its control socket; False when it cannot be asked."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link, short_name(path) as name:
            link.settimeout(seconds)
            link.connect(name)
            stream = link.makefile("rwb")
            stream.readline()
            for command in ("qmp_capabilities", "quit"):
                stream.write(json.dumps({"execute": command}).encode() + b"\n")
                stream.flush()
                answer = stream.readline()
                while b'"event"' in answer:
                    answer = stream.readline()
                if b'"return"' not in answer:
                    return False
            return True
    except OSError:
        return False


def wait_gone(pid: int, pidfile: str, seconds: float) -> bool:
    """Wait until the process is gone; False when it is still there after that time."""
    limit = time.monotonic() + seconds
    while is_running(pid, pidfile):
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def kill(pid: int, pidfile: str, number: signal.Signals) -> None:
    """Send a signal to the process, but only if it is ours."""
    if is_running(pid, pidfile):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
