# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest as it was started, and what is kept of it in its directory."""

import json
import os
from dataclasses import asdict, dataclass, field

from ..base.files import write_file
from .qemu import is_running
from .spec import GuestSpec

_FILES = (
    "guest.json", "initramfs", "overlay.qcow2", "host_key", "host_key.pub", "qemu.pid", "qmp", "seed.iso",
    "uefi-variables", "module_key.pem", "module_cert.pem",
)  # fmt: skip


@dataclass(frozen=True)
class Guest:
    """A guest as it was started; kept in its directory as ``guest.json``."""

    name: str
    pid: int
    port: int
    console: str
    qmp: str
    pidfile: str
    tree: str
    image: str
    kernel_release: str
    suite: str
    architecture: str
    accelerator: str
    accelerator_reason: str
    qemu_version: str
    host_key: str
    digest: str
    started: float
    boot_seconds: float = 0.0
    module_key: bool = False
    command: list[str] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """True while the guest's own QEMU process lives."""
        return is_running(self.pid, self.pidfile)

    def is_ready_as(self, spec: GuestSpec) -> bool:
        """True if the guest runs, has taken a login before and is what is asked for."""
        return self.boot_seconds > 0 and self.digest == spec.digest and self.running

    @property
    def directory(self) -> str:
        """The guest's own directory."""
        return os.path.dirname(self.pidfile)

    def write(self) -> None:
        """Keep the guest in its directory.  Raises OSError."""
        write_file(os.path.join(self.directory, "guest.json"), json.dumps(asdict(self), indent=1) + "\n")


def read_guests(lab: str) -> list[Guest]:
    """Return every guest that was started in a lab's directory and not stopped, running or dead, by name."""
    found = []
    for name in sorted(os.listdir(lab)) if os.path.isdir(lab) else []:
        try:
            with open(os.path.join(lab, name, "guest.json"), encoding="utf-8") as stream:
                found.append(Guest(**json.load(stream)))
        except (OSError, ValueError, TypeError):
            continue
    return found


def forget(directory: str) -> None:
    """Remove the files of a guest that has ended; its console and QEMU's log stay."""
    for name in _FILES:
        if os.path.lexists(os.path.join(directory, name)):
            os.unlink(os.path.join(directory, name))


def module_key(directory: str) -> tuple[str, str]:
    """Return the paths of the key that a guest trusts for modules, and of the key's certificate."""
    return os.path.join(directory, "module_key.pem"), os.path.join(directory, "module_cert.pem")
