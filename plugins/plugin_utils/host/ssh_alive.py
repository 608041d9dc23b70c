# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH connections that notice a host which stands still: questions of the client that the host has to answer."""

import shlex
import subprocess
from typing import Any

OPTIONS = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4")
"""A host that is silent for a minute is lost."""

_GIVEN = ("ssh_args", "ssh_common_args", "ssh_extra_args")


def ensure(connection: Any, address: str) -> None:
    """Add OPTIONS to an ssh connection of Ansible to `address`, unless the user has said how silence is noticed."""
    if not connection.has_option("ssh_common_args"):
        return
    given = " ".join(str(connection.get_option(name) or "") for name in _GIVEN)
    if "serveraliveinterval" in given.lower() or _is_configured(connection, given, address):
        return
    own = str(connection.get_option("ssh_common_args") or "")
    connection.set_option("ssh_common_args", f"{own} {shlex.join(OPTIONS)}".strip())


def _is_configured(connection: Any, given: str, address: str) -> bool:
    """Do the files of ssh say how a silent host is noticed?"""
    try:
        done = subprocess.run(
            [connection.get_option("ssh_executable") or "ssh", "-G", *shlex.split(given), address],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False
    words = [line.split() for line in done.stdout.splitlines() if line.lower().startswith("serveraliveinterval ")]
    return any(word[1] != "0" for word in words)
