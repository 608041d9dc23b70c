# SPDX-License-Identifier: GPL-3.0-or-later
"""Initramfs archives and the drivers in them."""

from __future__ import annotations

import gzip
import lzma
import stat

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.initramfs import (
    Cpio,
    DriverIndex,
    base_initramfs,
    read_module,
)


def members(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Read archives of the newc format that follow each other: name -> (mode, content)."""
    found = {}
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        assert fields[2:4] == [0, 0], "owner is root"
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        start = at + (110 + name_size + 3) // 4 * 4
        if name != "TRAILER!!!":
            assert name not in found
            found[name] = (mode, data[start : start + size])
        at = start + (size + 3) // 4 * 4
    return found


def test_members_come_back_with_mode_and_content():
    archive = Cpio()
    archive.file("a/b/c", b"hello", 0o600)
    archive.character_device("dev/console", 5, 1)
    found = members(archive.to_bytes())
    assert found["a/b/c"] == (stat.S_IFREG | 0o600, b"hello")
    assert stat.S_ISCHR(found["dev/console"][0])


def test_directories_come_before_what_is_in_them_and_once():
    archive = Cpio()
    archive.file("a/b/c", b"")
    archive.file("a/b/d", b"")
    assert list(members(archive.to_bytes())) == ["a", "a/b", "a/b/c", "a/b/d"]


def test_a_private_directory_keeps_its_mode():
    archive = Cpio()
    archive.directory("root", 0o700)
    archive.file("root/key", b"")
    assert members(archive.to_bytes())["root"][0] == stat.S_IFDIR | 0o700


def test_two_archives_may_follow_each_other():
    first, second = Cpio(), Cpio()
    first.file("one", b"1")
    second.file("two", b"22")
    assert members(first.to_bytes() + second.to_bytes()) == {
        "one": (stat.S_IFREG | 0o644, b"1"),
        "two": (stat.S_IFREG | 0o644, b"22"),
    }


def test_archives_end_on_a_block_and_are_the_same_each_time():
    def build():
        archive = Cpio()
        archive.file("x", b"abc")
        return archive.to_bytes()

    assert build() == build()
    assert len(build()) % 512 == 0


@pytest.fixture
def tree(tmp_path):
    """A root tree with a kernel 1.2.3 whose drivers need others in every way there is."""
    modules = tmp_path / "lib/modules/1.2.3"
    modules.mkdir(parents=True)
    (modules / "modules.builtin").write_text("kernel/drivers/virtio/virtio_pci.ko\n")
    (modules / "modules.dep").write_text(
        "kernel/virtio_blk.ko.xz:\n"
        "kernel/net/failover.ko:\n"
        "kernel/net/net_failover.ko: kernel/net/failover.ko\n"
        "kernel/net/virtio-net.ko: kernel/net/net_failover.ko kernel/net/failover.ko\n"
        "kernel/crc/crc-fast.ko:\n"
        "kernel/crc/crc_generic.ko:\n"
        "kernel/fs/jbd2.ko:\n"
        "kernel/fs/ext4.ko.gz: kernel/fs/jbd2.ko\n"
    )
    (modules / "modules.alias").write_bytes(
        b"alias pnp:\x80 nothing\nalias crypto-crc crc_fast\nalias crypto-crc crc_generic\n"
    )
    (modules / "modules.softdep").write_text("softdep ext4 pre: crypto-crc nothing-there post: virtio-net\n")
    (modules / "kernel/net").mkdir(parents=True)
    for name in ("crc", "fs"):
        (modules / "kernel" / name).mkdir()
    (modules / "kernel/virtio_blk.ko.xz").write_bytes(lzma.compress(b"blk"))
    (modules / "kernel/fs/ext4.ko.gz").write_bytes(gzip.compress(b"ext4"))
    for name in ("net/failover", "net/net_failover", "net/virtio-net", "crc/crc_generic", "fs/jbd2"):
        (modules / f"kernel/{name}.ko").write_bytes(name.encode())
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/busybox").write_bytes(b"busybox")
    return tmp_path


def test_drivers_come_after_what_they_need_and_built_in_ones_not_at_all(tree):
    order = DriverIndex(str(tree / "lib/modules/1.2.3")).order(("virtio_pci", "virtio_net", "ext4"))
    assert order == [
        "kernel/net/failover.ko",
        "kernel/net/net_failover.ko",
        "kernel/net/virtio-net.ko",
        "kernel/crc/crc_generic.ko",
        "kernel/fs/jbd2.ko",
        "kernel/fs/ext4.ko.gz",
    ]


def test_a_driver_that_the_kernel_lacks_is_named(tree):
    with pytest.raises(KedrError, match="has no driver nvme"):
        DriverIndex(str(tree / "lib/modules/1.2.3")).order(("nvme",))


def test_a_kernel_without_module_lists_is_named(tmp_path):
    with pytest.raises(KedrError, match=r"modules\.builtin"):
        DriverIndex(str(tmp_path))


def test_the_base_archive_holds_init_busybox_and_unpacked_drivers_in_order(tree):
    found = members(base_initramfs(str(tree), "1.2.3", b"echo hello\n"))
    assert found["init"] == (stat.S_IFREG | 0o755, b"#!/bin/busybox sh\necho hello\n")
    assert found["bin/busybox"][1] == b"busybox"
    order = found["drivers/order"][1].decode().split()
    assert order[-1] == "ext4.ko"
    assert order.index("failover.ko") < order.index("virtio_net.ko")
    assert {f"drivers/{name}" for name in order} < set(found)
    assert found["drivers/ext4.ko"][1] == b"ext4"
    assert found["drivers/virtio_blk.ko"][1] == b"blk"
    assert stat.S_ISCHR(found["dev/console"][0])


def test_a_tree_without_busybox_is_told_which_package_it_lacks(tree):
    (tree / "usr/bin/busybox").unlink()
    with pytest.raises(KedrError, match="busybox-static"):
        base_initramfs(str(tree), "1.2.3", b"")


def test_an_uncompressed_driver_is_read_as_it_is(tmp_path):
    (tmp_path / "x.ko").write_bytes(b"elf")
    assert read_module(str(tmp_path / "x.ko")) == b"elf"


def test_a_driver_compressed_with_zstd_names_the_program_when_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "x.ko.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(KedrError, match="no program zstd; install it"):
        read_module(str(tmp_path / "x.ko.zst"))
