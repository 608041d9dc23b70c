# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of one guest, and how its QEMU gets them."""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..base.programs import find_tool, run_tool
from . import qemu


@dataclass(frozen=True)
class GuestFiles:
    """Files of one guest: paths, or the names that its QEMU has for them. ``kernel`` and ``disk`` are shared.

    Without a kernel the machine's firmware boots the disk, which then is a cloud image. ``initrd`` and ``seed`` hold
    the guest's secrets, ``overlay`` lies above the disk, ``uefi_variables`` is the firmware's memory, ``log`` has what
    QEMU itself says. The path of ``pidfile`` in a process's arguments is also how the process is known as ours.
    """

    directory: str
    kernel: str
    disk: str
    console: str
    initrd: str
    overlay: str
    seed: str
    uefi_variables: str
    qmp: str
    pidfile: str
    log: str
    disk_format: str = "raw"


_OWN = {
    "initrd": "initramfs", "overlay": "overlay.qcow2", "seed": "seed.iso", "uefi_variables": "uefi-variables",
    "qmp": "qmp", "pidfile": "qemu.pid", "log": "qemu.log",
}  # fmt: skip


def guest_files(directory: str, kernel: str, disk: str, console: str, disk_format: str = "raw") -> GuestFiles:
    """Return the paths of a guest whose own files are in a directory."""
    own = {field: os.path.join(directory, name) for field, name in _OWN.items()}
    return GuestFiles(directory, kernel, disk, console, disk_format=disk_format, **own)


# QEMU opens what it writes to read-only at first.
_FLAGS = {
    "kernel": [os.O_RDONLY], "initrd": [os.O_RDONLY], "disk": [os.O_RDONLY], "overlay": [os.O_RDONLY, os.O_RDWR],
    "seed": [os.O_RDONLY], "uefi_variables": [os.O_RDONLY, os.O_RDWR],
    "console": [os.O_WRONLY | os.O_CREAT | os.O_TRUNC], "pidfile": [os.O_RDONLY | os.O_CREAT],
}  # fmt: skip
_BY_NAME = ("kernel", "initrd")
"""QEMU takes these as no descriptors and opens them anew, so its user must be allowed to read them."""


@contextlib.contextmanager
def handed_over(files: GuestFiles) -> Iterator[tuple[GuestFiles, list[str], list[int]]]:
    """Open a guest's files for its QEMU, whose user may not reach them.

    Gives the names that QEMU has for them, the arguments that tell it of the descriptors, and the descriptors.
    """
    names, arguments, numbers = {}, [], []
    with contextlib.ExitStack() as opened:
        for field, modes in _FLAGS.items():
            path = getattr(files, field)
            if not path or not (modes[0] & os.O_CREAT or os.path.exists(path)):
                continue
            given = [_opened(path, flags, opened) for flags in modes]
            numbers += given
            if field in _BY_NAME:
                names[field] = f"/proc/self/fd/{given[0]}"
            else:
                names[field] = f"/dev/fdset/{given[0]}"
                what = f"set={given[0]},opaque={qemu.quoted(path)}"
                arguments += [word for number in given for word in ("-add-fd", f"fd={number},{what}")]
        if "initrd" in names:
            os.chown(files.initrd, qemu.qemu_user().get("user", -1), -1)
        control = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with qemu.short_name(files.qmp) as short:
            control.bind(short)
        names["qmp"] = str(control.fileno())
        yield replace(files, **names), arguments, [*numbers, control.fileno()]


def _opened(path: str, flags: int, opened: contextlib.ExitStack) -> int:
    number = os.open(path, flags, 0o600)
    opened.callback(os.close, number)
    return number


def make_overlay(files: GuestFiles, size_mb: int = 0) -> None:
    """Make a fresh overlay; whatever an earlier guest wrote is gone. ``size_mb``: its size, else the disk's.

    With ``size_mb`` qemu-img does not open the disk, which a vendor made.
    """
    tool = find_tool("qemu-img", "qemu-utils")
    command = [tool, "create", "-q", "-f", "qcow2", "-b", files.disk, "-F", files.disk_format]
    command += ["-u", files.overlay, f"{size_mb}M"] if size_mb else [files.overlay]
    if os.path.lexists(files.overlay):
        os.unlink(files.overlay)
    run_tool(command, f"cannot make the guest's disk {files.overlay}")
    os.chmod(files.overlay, 0o600)
