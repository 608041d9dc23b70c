# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH to the guests of a lab: its key, the host keys of its guests, and the options of every connection."""

import os
from collections.abc import Mapping

from ..base.files import write_file
from ..base.programs import find_tool, run_tool


class Access:
    """How the guests of one lab directory are reached."""

    def __init__(self, directory: str) -> None:
        self.known_hosts = os.path.join(directory, "known_hosts")
        """Host keys of the running guests, known before the first connection."""
        self.key = os.path.join(directory, "ssh_key")
        """Private key that logs in to every guest of the lab."""

    def make_key(self) -> None:
        """Make the lab's key if it has none."""
        if not os.path.exists(self.key):
            make_ssh_key(self.key, "kedr.lab")

    def options(self) -> list[str]:
        """Return the options that every connection needs: this lab's host keys and no settings of the user."""
        return [
            "-F", "/dev/null", "-o", f'UserKnownHostsFile="{ssh_path(self.known_hosts)}"',
            "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes",
            "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
        ]  # fmt: skip

    def command(self, port: int) -> list[str]:
        """Return the start of an ssh command line to the guest at this port."""
        return [
            find_tool("ssh", "openssh-client"), *self.options(), "-p", str(port),
            "-o", f'IdentityFile="{ssh_path(self.key)}"',
            "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR", "root@127.0.0.1",
        ]  # fmt: skip

    def write_known_hosts(self, keys: Mapping[int, str]) -> None:
        """Write the host key of the guest at each port."""
        lines = [f"[127.0.0.1]:{port} {key}\n" for port, key in sorted(keys.items())]
        write_file(self.known_hosts, "".join(lines).encode())


def ssh_path(path: str) -> str:
    """Write a path as ssh's options want it: a percent sign would begin a token."""
    return path.replace("%", "%%")


def make_ssh_key(path: str, comment: str) -> None:
    """Make a new ed25519 key pair without a passphrase, in place of one that is there."""
    for name in (path, f"{path}.pub"):
        if os.path.lexists(name):
            os.unlink(name)
    tool = find_tool("ssh-keygen", "openssh-client")
    command = [tool, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
    run_tool(command, f"cannot make the SSH key {path}")
