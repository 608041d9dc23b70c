# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of a lab: its running guests as hosts of Ansible."""

import shlex
from collections.abc import Iterable
from typing import Any

import yaml

from ..base.files import write_file
from .guest import Guest, module_key
from .ssh import Access, ssh_path

GROUP = "kedr_guests"


def variables(guest: Guest, access: Access) -> dict[str, Any]:
    """Return a guest's inventory variables."""
    signing = dict(zip(("kedr_signing_key", "kedr_signing_cert"), module_key(guest.directory), strict=True))
    return {
        **(signing if guest.module_key else {}),
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_port": guest.port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": ssh_path(access.key),
        "ansible_ssh_common_args": shlex.join(access.options()),
        "kedr_test_host": True,
        "kedr_embedded": True,
        "kedr_build_root": guest.tree,
        "kedr_console": guest.console,
        "kedr_qemu_pid": guest.pid,
        "kedr_qemu_pidfile": guest.pidfile,
        **({} if guest.tree else {"host_install_packages": True}),
    }


def write_inventory(path: str, guests: Iterable[Guest], access: Access) -> None:
    """Write the inventory of these guests."""
    hosts = {guest.name: variables(guest, access) for guest in guests}
    text = "# Written by kedr.lab.lab_guest; a new start writes it anew.\n"
    write_file(path, text + yaml.safe_dump({GROUP: {"hosts": hosts}}, default_flow_style=False, width=1000))
