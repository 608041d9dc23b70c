# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that answer what no control node can take, and what a program took that met it."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils.base import deadline

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEASURE = ROOT / "tests" / "security" / "measure.py"
MOST = 300_000_000
"""Bytes of memory that no process of the control node may reach."""
HANGS = 100
"""Seconds after which a test gives up; each deadline of the code that is tried is longer."""

HOSTILE = """#!/bin/sh
# A host's sh: reads the nonce, then says what it likes.
case "$*" in *kedr*) ;; *) [ -n "${SSH_ORIGINAL_COMMAND-}" ] || exec /bin/sh "$@" ;; esac
IFS= read -r first
begin() { printf 'kedr-begin %s\\n' "${first#k_nonce=}"; }
end() { printf 'kedr-end %s\\n' "${first#k_nonce=}"; }
"""


class Measured(NamedTuple):
    """How a command ended: exit status, what it printed, bytes of memory that its largest process took."""

    status: int
    said: str
    peak: int


def measured(*command: str, **environment: str) -> Measured:
    """Run a command and measure it; what it has started ends with it."""
    try:
        with deadline.limited(HANGS):
            done = subprocess.run([sys.executable, "-I", str(MEASURE), *command], capture_output=True, check=True,
                                  cwd="/", env={**os.environ, **environment})  # fmt: skip
    except deadline.TimeIsUp:
        raise AssertionError(f"it did not end within {HANGS} s") from None
    return Measured(**json.loads(done.stdout))


def python(code: str, *arguments: str) -> Measured:
    """Run Python code that sees the collection and measure it."""
    return measured(sys.executable, "-c", code, *arguments, PYTHONPATH=str(ROOT / ".collections"))


def hostile(directory: pathlib.Path, program: str) -> pathlib.Path:
    """Write the sh of a host that runs `program`; returns its path."""
    path = directory / "bin" / "sh"
    path.parent.mkdir(exist_ok=True)
    path.write_text(HOSTILE + program)
    path.chmod(0o755)
    return path


def task(module: str, *words: str, **environment: str) -> Measured:
    """Run a task on the host `one` of an inventory on the command line; `words` follow the module."""
    ansible = [sys.executable, "-m", "ansible", "adhoc", "one", "-i", "one,", "-m", f"kedr.lab.{module}"]
    return measured(*ansible, *words, **{
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", **environment,
    })  # fmt: skip


def by_ssh(directory: pathlib.Path, forced: str = "") -> list[str]:
    """Return the words for a task that meets sshd on this machine, started by ssh itself, which runs `forced`."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    kept = pathlib.Path("/run/sshd")
    kept.mkdir(mode=0o755, exist_ok=True)
    (directory / "sshd_config").write_text(
        f"HostKey {directory}/host\nAuthorizedKeysFile {directory}/user.pub\nStrictModes no\nUsePAM no\n"
        f"PermitRootLogin yes\nLogLevel QUIET\n{f'ForceCommand {forced}' if forced else ''}\n"
    )
    sshd = f"{shutil.which('sshd') or '/usr/sbin/sshd'} -i -f {directory}/sshd_config"
    options = f"-F /dev/null -o ControlPath=none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null " \
              f"-o ProxyCommand='{sshd}'"
    return ["-u", "root", "--private-key", str(directory / "user"), "-e", json.dumps({"ansible_ssh_args": options})]
