# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signatures of kernel modules, made on the control node: the key never leaves it.

What is appended is what the kernel's own ``scripts/sign-file.c`` appends: a detached CMS signature without
certificates and attributes, ``struct module_signature`` and a mark (Linux, ``include/linux/module_signature.h``).
"""

from __future__ import annotations

import shutil
import struct
import subprocess

from ..base.errors import KedrError

MARK = b"~Module signature appended~\n"
_PKEY_ID_PKCS7 = 2


def is_signed(module: bytes) -> bool:
    """Does the module bring a signature?"""
    return module.endswith(MARK)


def sign(module: bytes, key: str, certificate: str) -> bytes:
    """Return the module signed with a key and its certificate (paths of PEM files).  Raises KedrError."""
    tool = shutil.which("openssl")
    if not tool:
        raise KedrError("the program openssl is missing on the control node; install the package openssl")
    command = [
        tool, "cms", "-sign", "-binary", "-nocerts", "-noattr", "-nosmimecap", "-md", "sha256", "-outform", "DER",
        "-inkey", key, "-signer", certificate,
    ]  # fmt: skip
    done = subprocess.run(command, input=module, capture_output=True, check=False, start_new_session=True)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise KedrError(f"openssl cannot sign with {key} and {certificate}: {said[0]}")
    return module + done.stdout + struct.pack(">BBBBB3xI", 0, 0, _PKEY_ID_PKCS7, 0, 0, len(done.stdout)) + MARK
