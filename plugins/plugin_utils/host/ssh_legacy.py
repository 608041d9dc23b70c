# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH to systems of 2009 to 2012: the relaxed options of one host, and why a client cannot talk to a host.

Such systems know key exchange with SHA-1, host keys and signatures of the kinds ssh-rsa (SHA-1) and ssh-dss, ciphers
in CBC mode. Today's OpenSSH still knows most of it and uses it only when it is told to, with ``+`` in front of a list:
what is better is still preferred. paramiko knows ssh-dss up to 3.5 and key exchange with SHA-1 up to 4.0, so it is no
way out.
"""

import functools
import re
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from ..base.errors import KedrError

LEGACY = "legacy"
"""The one value of a row's key ``ssh``."""

CLIENTS = ("/usr/bin/ssh", "/usr/bin/ssh1")
"""The SSH clients that a row may name."""

_KINDS: dict[str, tuple[str, ...]] = {
    "kex": ("diffie-hellman-group-exchange-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1"),
    "key": ("ssh-rsa", "ssh-dss"),
    "cipher": ("aes256-cbc", "aes192-cbc", "aes128-cbc", "3des-cbc"),
    "mac": ("hmac-sha1", "hmac-md5"),
}
# PubkeyAcceptedKeyTypes is the name that old and new clients understand.
_OPTIONS = (
    ("KexAlgorithms", "kex"), ("HostKeyAlgorithms", "key"), ("PubkeyAcceptedKeyTypes", "key"), ("Ciphers", "cipher"),
    ("MACs", "mac"),
)  # fmt: skip
_WORDS = {"key exchange method": "kex", "host key type": "key", "cipher": "cipher", "MAC": "mac"}
_MISMATCH = re.compile(rf"no matching ({'|'.join(_WORDS)}) found\. Their offer: ([!-~]+)")
_OLDER_CLIENT = (
    "an older client does, such as that of Debian's package openssh-client-ssh1: install it and set "
    "ansible_ssh_executable to its program (/usr/bin/ssh1)"
)


@functools.cache
def known(executable: str, kind: str) -> frozenset[str]:
    """Return the algorithms of a kind (``kex``, ``key``, ``cipher``, ``mac``) that an OpenSSH client has."""
    try:
        done = subprocess.run(
            [executable, "-Q", kind], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KedrError(f"{executable} cannot be asked which algorithms it knows: {error}") from error
    if done.returncode != 0 or not done.stdout.strip():
        raise KedrError(f"{executable} does not say which algorithms it knows: {done.stderr.strip()}")
    return frozenset(done.stdout.split())


def arguments(executable: str = "ssh") -> list[str]:
    """Return the options for one legacy host: all of the old that this client has, after what it prefers itself."""
    words = []
    for option, kind in _OPTIONS:
        have = [name for name in _KINDS[kind] if name in known(executable, kind)]
        if have:
            words += ["-o", f"{option}=+{','.join(have)}"]
    return words


def variables(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the inventory variable that a legacy host gets; ``given`` holds those that the user wrote for it."""
    executable = str(given.get("ansible_ssh_executable") or "ssh")
    own = str(given.get("ansible_ssh_common_args") or "")
    return {"ansible_ssh_common_args": f"{own} {shlex.join(arguments(executable))}".strip()}


def explain(error: str, executable: str = "ssh") -> str:
    """Return what to do about an error of an SSH client that shares no algorithm with a host; else nothing."""
    found = _MISMATCH.search(error)
    if not found:
        return ""
    what, offer = found[1], found[2].split(",")
    try:
        usable = sorted(known(executable, _WORDS[what]).intersection(offer, _KINDS[_WORDS[what]]))
    except KedrError as problem:
        return str(problem)
    if usable:
        options = shlex.join(arguments(executable))
        return (
            f"the host knows no {what} but old ones ({', '.join(usable)}), which are used only when asked for: "
            f"write 'ssh: {LEGACY}' in its row, or put into its ansible_ssh_common_args: {options}"
        )
    return (
        f"the SSH client {executable} no longer has any {what} that the host knows ({', '.join(offer)}); "
        f"{_OLDER_CLIENT}"
    )
