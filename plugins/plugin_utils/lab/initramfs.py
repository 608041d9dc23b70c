# SPDX-License-Identifier: GPL-3.0-or-later
"""Initramfs archives: drivers and init of one kernel, then what belongs to one guest."""

import os
import stat
from collections.abc import Iterator

from ..base.errors import KedrError, about
from ..base.unpack import unpacked

DRIVERS = ("virtio_pci", "virtio_blk", "virtio_net", "ext4")
"""What a guest needs to reach its disk and its network."""

# QEMU's user networking always looks the same from inside.
_NETWORK = {"KEDR_ADDRESS": "10.0.2.15/24", "KEDR_GATEWAY": "10.0.2.2", "KEDR_NAMESERVER": "10.0.2.3"}

_SSHD_CONFIG = """\
HostKey /etc/ssh/kedr_host_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
PrintMotd no
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp
"""


class Cpio:
    """Collects members and gives a cpio "newc" archive as bytes. Owner of every member is root; times are 0.

    The same members give the same bytes, whatever machine or user made them.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0
        self._dirs: set[str] = set()

    def _member(self, path: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        name = os.fsencode(path) + b"\0"
        fields = (
            self._inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(data),
            0, 0, device[0], device[1], len(name), 0,
        )  # fmt: skip
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        self._parts += [head + b"\0" * (-len(head) % 4), data + b"\0" * (-len(data) % 4)]

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory and those above it; a second call for the same path does nothing."""
        path = path.strip("/")
        if not path or path in self._dirs:
            return
        self.directory(os.path.dirname(path))
        self._dirs.add(path)
        self._member(path, stat.S_IFDIR | mode)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Add a regular file; its directories are added when they are missing."""
        self.directory(os.path.dirname(path.strip("/")))
        self._member(path.strip("/"), stat.S_IFREG | mode, data)

    def character_device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        """Add a character device node; no privilege is needed to write it into an archive."""
        self.directory(os.path.dirname(path.strip("/")))
        self._member(path.strip("/"), stat.S_IFCHR | mode, b"", (major, minor))

    def to_bytes(self) -> bytes:
        """Return the whole archive with its trailer, padded to 512 bytes so that another may follow."""
        end = Cpio()
        end._member("TRAILER!!!", 0)
        body = b"".join(self._parts + end._parts)
        return body + b"\0" * (-len(body) % 512)


def _module_name(path: str) -> str:
    return os.path.basename(path).split(".ko", 1)[0].replace("-", "_")


class DriverIndex:
    """The module lists of one kernel, as depmod left them in ``lib/modules/RELEASE``."""

    def __init__(self, modules_dir: str) -> None:
        self.dir = modules_dir
        self._path: dict[str, str] = {}
        self._needs: dict[str, list[str]] = {}
        self._alias: dict[str, list[str]] = {}
        self._soft: dict[str, list[str]] = {}
        self._builtin = {_module_name(line) for line in self._lines("modules.builtin")}
        for line in self._lines("modules.dep"):
            path, dummy, needs = line.partition(":")
            self._path[_module_name(path)] = path
            self._needs[_module_name(path)] = [_module_name(need) for need in needs.split()]
        for line in self._lines("modules.alias"):
            words = line.split()
            if len(words) == 3 and words[0] == "alias":
                self._alias.setdefault(words[1].replace("-", "_"), []).append(words[2])
        for line in self._lines("modules.softdep"):
            words = line.split()
            if len(words) > 2 and words[0] == "softdep" and "pre:" in words:
                before = words[words.index("pre:") + 1 :]
                stop = before.index("post:") if "post:" in before else len(before)
                self._soft.setdefault(words[1], []).extend(word.replace("-", "_") for word in before[:stop])

    def _lines(self, name: str) -> Iterator[str]:
        path = os.path.join(self.dir, name)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:  # aliases may hold any byte
                yield from (line.strip() for line in stream if line.strip() and not line.startswith("#"))
        except OSError as error:
            raise KedrError(f"the guest's kernel has no usable {path}: {error.strerror}") from error

    def order(self, wanted: tuple[str, ...]) -> list[str]:
        """Return paths below the directory in load order, dependencies first.

        A built-in module needs no file. A wanted name that is neither a module nor built in is an
        error; a soft dependency that does not exist is not.
        """
        found: dict[str, str] = {}
        for name in wanted:
            if name not in self._path and name not in self._builtin:
                raise KedrError(f"the guest's kernel has no driver {name} in {self.dir}")
            self._visit(name, found, set())
        return list(found.values())

    def _visit(self, name: str, found: dict[str, str], open_names: set[str]) -> None:
        if name in found or name in open_names:
            return
        open_names.add(name)
        if name in self._path:
            for soft in self._soft.get(name, []):
                for real in [soft] if soft in self._path else self._generic_first(self._alias.get(soft, [])):
                    self._visit(real, found, open_names)
            for need in self._needs[name]:
                self._visit(need, found, open_names)
            found[name] = self._path[name]

    @staticmethod
    def _generic_first(names: list[str]) -> list[str]:
        """Of several providers of an alias take the portable one: the machine may lack special instructions."""
        generic = [name for name in names if name.endswith("_generic")]
        return generic or names[:1]


def read_module(path: str) -> bytes:
    """Return the ELF bytes of a kernel module file, whichever way the distribution compressed it."""
    with about(path), open(path, "rb") as stream:
        return unpacked(stream.read())


def base_initramfs(tree: str, release: str, init_script: bytes) -> bytes:
    """Return the archive that every guest of one kernel shares: busybox, drivers and the init script."""
    modules_dir = os.path.join(tree, "lib/modules", release)
    archive = Cpio()
    for name in ("proc", "sys", "dev", "root", "guest", "drivers", "bin"):
        archive.directory(name)
    archive.character_device("dev/console", 5, 1)
    archive.file("bin/busybox", _busybox(tree), 0o755)
    order = DriverIndex(modules_dir).order(DRIVERS)
    names = []
    for path in order:
        names.append(_module_name(path) + ".ko")
        archive.file("drivers/" + names[-1], read_module(os.path.join(modules_dir, path)))
    archive.file("drivers/order", "".join(name + "\n" for name in names).encode())
    archive.file("init", b"#!/bin/busybox sh\n" + init_script, 0o755)
    return archive.to_bytes()


def _busybox(tree: str) -> bytes:
    for name in ("usr/bin/busybox", "bin/busybox"):
        path = os.path.join(tree, name)
        if os.path.isfile(path):
            with open(path, "rb") as stream:
                return stream.read()
    raise KedrError(f"the guest's root tree {tree} has no busybox; its image needs the package busybox-static")


def guest_script(name: str) -> bytes:
    """Return one of the scripts that run inside a guest."""
    with open(os.path.join(os.path.dirname(__file__), "sh", name), "rb") as stream:
        return stream.read()


def guest_archive(name: str, host_key: bytes, client_key: bytes) -> bytes:
    """Return the second part of a guest's initramfs: what belongs to this guest alone, with its secrets.

    The init script copies what is below ``guest/`` to the root of the guest's disk.
    """
    settings = "".join(f"{key}={value}\n" for key, value in {"KEDR_NAME": name, **_NETWORK}.items())
    archive = Cpio()
    archive.directory("guest/root", 0o700)
    archive.directory("guest/root/.ssh", 0o700)
    archive.file("guest/root/.ssh/authorized_keys", client_key, 0o600)
    archive.file("guest/etc/ssh/kedr_host_key", host_key, 0o600)
    archive.file("guest/etc/ssh/kedr_sshd_config", _SSHD_CONFIG.encode())
    archive.file("guest/etc/hostname", f"{name}\n".encode())
    archive.file("guest/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n".encode())
    archive.file("guest/etc/kedr-guest", settings.encode())
    archive.file("guest/usr/sbin/kedr-init", b"#!/bin/sh\n" + guest_script("guest.sh"), 0o755)
    return archive.to_bytes()
