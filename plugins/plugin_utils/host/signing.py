# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of kernel modules, made on the control node: the key never leaves it.

What is appended is what the kernel's own ``scripts/sign-file.c`` appends: a detached CMS signature without
certificates and attributes, ``struct module_signature`` and a mark (Linux, ``include/linux/module_signature.h``).
"""

import struct

from ..base.programs import find_tool, run_tool

MARK = b"~Module signature appended~\n"
_PKEY_ID_PKCS7 = 2


def is_signed(module: bytes) -> bool:
    """Does the module bring a signature?"""
    return module.endswith(MARK)


def sign(module: bytes, key: str, certificate: str) -> bytes:
    """Return the module signed with a key and its certificate (paths of PEM files).  Raises KedrError."""
    command = [
        find_tool("openssl", "openssl"), "cms", "-sign", "-binary", "-nocerts", "-noattr", "-nosmimecap",
        "-md", "sha256", "-outform", "DER", "-inkey", key, "-signer", certificate,
    ]  # fmt: skip
    made = run_tool(command, f"openssl cannot sign with {key} and {certificate}", module, start_new_session=True)
    return module + made + struct.pack(">BBBBB3xI", 0, 0, _PKEY_ID_PKCS7, 0, 0, len(made)) + MARK
