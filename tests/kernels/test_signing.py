# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of modules, made on the control node without the kernel's sign-file, beside those of sign-file."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.kedr.lab.plugins.plugin_utils.host import signing
from ansible_collections.kedr.lab.plugins.plugin_utils.lab import uefi
from prove import Kernel, plain


def sign_file(tree: Path, key: Path, certificate: Path, module: Path, signed: Path) -> None:
    """Sign a module with the sign-file of the tree's newest kernel, which runs with the libraries of its tree."""
    tool = max(tree.glob("usr/lib/linux-kbuild-*/scripts/sign-file"))
    libraries = tree / "usr/lib/x86_64-linux-gnu"
    loader = [libraries / "ld-linux-x86-64.so.2", "--library-path", libraries]
    subprocess.run([*loader, tool, "sha256", key, certificate, module, signed], check=True, capture_output=True)


def test_a_module_is_signed_byte_for_byte_as_by_the_kernels_own_sign_file(
    tree: Path, kernel: Kernel, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    uefi.make_module_key(str(key), str(certificate))
    module = tmp_path / "module.ko"
    module.write_bytes(plain(next(one for one in kernel.modules if one.name.startswith("udf.ko"))))
    sign_file(tree, key, certificate, module, tmp_path / "signed.ko")
    assert signing.sign(module.read_bytes(), str(key), str(certificate)) == (tmp_path / "signed.ko").read_bytes()
