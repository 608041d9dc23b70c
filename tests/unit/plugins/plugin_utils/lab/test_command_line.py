# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of a guest's QEMU."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab import command_line
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.command_line import guest_arguments
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.files import guest_files
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.spec import GuestSpec


def test_a_cloud_guest_boots_from_its_disk_with_the_seed_beside_it() -> None:
    image = {"cloud": {"url": "https://h/a.qcow2", "sha256": "0" * 64}}
    files = guest_files("/lab/one", kernel="", disk="/cache/disk.qcow2", console="/c")
    arguments = guest_arguments(GuestSpec.load({"name": "one", "image": image}, {}), files, 2222, "tcg")
    assert "-kernel" not in arguments
    assert "-no-reboot" not in arguments
    assert "virtio-blk-pci,drive=disk,bootindex=1" in arguments
    assert "if=none,id=seed,format=raw,readonly=on,file=/lab/one/seed.iso" in arguments
    assert "pvpanic" in arguments


def test_uefi_needs_its_firmware_and_a_memory_of_the_guests_own(tmp_path, monkeypatch) -> None:
    image = {"cloud": {"url": "https://h/a.qcow2", "sha256": "0" * 64, "firmware": "uefi"}}
    spec = GuestSpec.load({"name": "one", "image": image}, {})
    files = guest_files("/lab/one", kernel="", disk="/cache/disk.qcow2", console="/c")
    code, variables = tmp_path / "code.fd", tmp_path / "vars.fd"
    monkeypatch.setattr(command_line, "_UEFI", ((str(code), str(variables)),))
    with pytest.raises(KedrError, match="install the package ovmf"):
        guest_arguments(spec, files, 2222, "tcg")
    code.touch()
    variables.touch()
    arguments = guest_arguments(spec, files, 2222, "tcg")
    assert f"if=pflash,format=raw,unit=0,readonly=on,file={code}" in arguments
    assert "if=pflash,format=raw,unit=1,file=/lab/one/uefi-variables" in arguments
