# SPDX-License-Identifier: GPL-3.0-or-later
"""The seed by which cloud-init makes a vendor's image a guest of the lab, and what cloud-init says when it is done."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping

import yaml

from ..base.errors import KedrError
from ..base.files import write_file
from ..base.programs import find_tool, run_tool

RESULT = "/run/cloud-init/result.json"
"""Written by cloud-init after its last stage: {"v1": {"datasource": ..., "errors": [...]}}."""

FINISHED = f"n=0; until [ -s {RESULT} ] || [ $n -ge 25 ]; do n=$((n + 1)); sleep 1; done; uname -r; cat {RESULT}"
"""Run at the first login; prints the kernel's release, then what cloud-init says of itself."""

_SSHD_CONFIG = """\
# Of kedr.lab: its key logs in as root, many sessions side by side.
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
MaxStartups 100
MaxSessions 100
"""

# An oops is a panic. The pvpanic driver reports a panic to QEMU, which ends. Without that driver the guest hangs,
# because a reboot would lose the traces. No timer of apt holds its lock or installs another kernel.
_EVERY_BOOT = """\
for m in pvpanic pvpanic-mmio; do modprobe "$m" 2>/dev/null; done
sysctl -q -w kernel.panic_on_oops=1 kernel.panic=0
[ ! -d /etc/apt/apt.conf.d ] || echo 'APT::Periodic::Enable "0";' >/etc/apt/apt.conf.d/99kedr-lab
"""


def ready_line(name: str) -> str:
    """Return what a guest prints on its console when it takes logins."""
    return f"kedr-lab: guest {name} is ready for logins"


def seed_files(name: str, host_key: bytes, host_key_public: bytes, client_key: bytes) -> dict[str, bytes]:
    """Return the files of a NoCloud seed (name -> content): who the guest is, its host key, who may log in.

    cloud-init finds them on a disk with the label ``cidata``. Without a ``network-config`` the guest asks by DHCP at
    its first network card, by the means that the vendor has chosen.
    """
    user = {
        "disable_root": False,
        "users": [],
        "ssh_pwauth": False,
        "ssh_authorized_keys": [client_key.decode("ascii").strip()],
        "ssh_deletekeys": True,
        "ssh_keys": {
            "ed25519_private": host_key.decode("ascii"),
            "ed25519_public": host_key_public.decode("ascii").strip(),
        },
        "write_files": [{"path": "/etc/ssh/sshd_config.d/00-kedr-lab.conf", "content": _SSHD_CONFIG}],
        "bootcmd": [["sh", "-c", _EVERY_BOOT]],
        "runcmd": [["sh", "-c", 'echo "$1" >/dev/ttyS0', "kedr", ready_line(name)]],
    }
    meta = {"instance-id": f"kedr-{secrets.token_hex(8)}", "local-hostname": name}
    return {
        "user-data": b"#cloud-config\n" + yaml.safe_dump(user, sort_keys=False, width=1000).encode(),
        "meta-data": yaml.safe_dump(meta, sort_keys=False).encode(),
    }


def make_seed(path: str, files: Mapping[str, bytes]) -> None:
    """Write the files into an ISO 9660 image with the label ``cidata``, readable by its owner only."""
    tool = next((found for name in ("xorrisofs", "genisoimage", "mkisofs") if (found := shutil.which(name))), "")
    tool = tool or find_tool("xorrisofs", "xorriso")
    if os.path.lexists(path):
        os.unlink(path)
    with tempfile.TemporaryDirectory(prefix=".seed-", dir=os.path.dirname(path)) as directory:
        for name, content in files.items():
            write_file(os.path.join(directory, name), content)
        command = [tool, "-quiet", "-output", path, "-volid", "cidata", "-joliet", "-rock", directory]
        run_tool(command, f"cannot make the seed {path}", umask=0o077)


def read_finished(said: str) -> tuple[str, list[str]]:
    """Return (kernel release, complaints of cloud-init) out of what FINISHED printed.

    KedrError when cloud-init did not say that it is done.
    """
    release, dummy, text = said.partition("\n")
    try:
        result = json.loads(text)["v1"]
        return release.strip(), [str(item) for item in result["errors"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KedrError(f"cloud-init did not say that it is done in {RESULT}") from error
