# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user asks for: guests as checked data."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..base.errors import InputError
from . import options
from .images.interface import ImageSpec
from .images.ways import load_image

NETWORKS = ("restricted", "open")
"""What a guest may reach: nothing, or all that the control node's user can, its loopback services too."""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\Z")
"""Name of a guest or of a row: safe as the name of a host and of a file."""

_CMDLINE = re.compile(r"[\x20-\x7e]*\Z")
_OWN_FILES = ("inventory.yml", "known_hosts", "ssh_key", "ssh_key.pub")


@dataclass(frozen=True)
class GuestSpec:
    """One guest. ``memory`` is in MiB; ``cmdline`` is added to the kernel's command line; ``network`` is of NETWORKS.

    With ``module_key`` the guest starts by UEFI and trusts a key, made for this start, for modules.
    """

    name: str
    image: ImageSpec
    memory: int = 1024
    cpus: int = 1
    cmdline: str = ""
    cpu: str = ""
    module_key: bool = False
    network: str = "restricted"

    @classmethod
    def load(cls, data: Any, defaults: Mapping[str, Any]) -> GuestSpec:
        """Return the spec of one entry of the user's list; ``defaults`` has the options that it leaves out.

        Raises InputError.
        """
        if not isinstance(data, Mapping) or "name" not in data:
            raise InputError(f"guest: a mapping with a name is needed, not {data!r}")
        name = str(data["name"])
        check_name(name)
        what = f"guest {name}"
        options.mapping(data, cls, what)
        merged = {**defaults, **{key: value for key, value in data.items() if value is not None}}
        cmdline, cpu = str(merged.get("cmdline", "")), str(merged.get("cpu", ""))
        if not _CMDLINE.match(cmdline):
            raise InputError(f"{what}: cmdline holds a character that is not printable ASCII")
        if cpu and not re.fullmatch(r"[A-Za-z0-9._=,+-]+", cpu):
            raise InputError(f"{what}: cpu {cpu!r} is not a QEMU processor model with features")
        image = load_image(merged.get("image") or {})
        if cmdline and image.own_loader:
            raise InputError(f"{what}: cmdline cannot be set, the boot loader of its cloud image has its own")
        module_key = options.boolean(merged.get("module_key", False), f"{what}: module_key")
        if module_key and image.own_loader:
            raise InputError(f"{what}: module_key cannot be set, its cloud image starts as its vendor wants")
        network = str(merged.get("network") or ("open" if image.own_loader else cls.network))
        return cls(
            name=name,
            image=image,
            memory=options.whole(merged.get("memory", cls.memory), 128, 1048576, f"{what}: memory"),
            cpus=options.whole(merged.get("cpus", cls.cpus), 1, 255, f"{what}: cpus"),
            cmdline=cmdline,
            cpu=cpu,
            module_key=module_key,
            network=options.choice(network, NETWORKS, f"{what}: network"),
        )

    @property
    def digest(self) -> str:
        """What a running guest was started as; it changes with all that a running guest cannot change."""
        content = [self.image.key, self.memory, self.cpus, self.cmdline, self.cpu, self.image.firmware]
        content += ["module key"] if self.module_key else []
        content += [self.network]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def check_name(name: str) -> None:
    """Raise InputError for a name that no guest can have."""
    if not NAME.match(name) or name in _OWN_FILES:
        raise InputError(f"guest name {name!r} cannot be used: letters, digits, '.', '_' and '-', at most 64, "
                         f"not beginning with '.' or '-', and none of {', '.join(_OWN_FILES)}")


def load_guests(data: Any, defaults: Mapping[str, Any]) -> list[GuestSpec]:
    """Return the specs of the user's list of guests.  Raises InputError, for two of one name too."""
    if isinstance(data, str | Mapping) or not isinstance(data, Sequence):
        raise InputError(f"guests: a list is needed, not {data!r}")
    guests = [GuestSpec.load(item, defaults) for item in data]
    names = [guest.name for guest in guests]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"guests: the name {name} is used twice")
    return guests
