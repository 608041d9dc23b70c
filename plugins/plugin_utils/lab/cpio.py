# SPDX-License-Identifier: GPL-3.0-or-later
"""The cpio "newc" format of an initramfs; no privilege is needed for the device nodes in it."""

import os
import stat


class Cpio:
    """Collects members and gives the archive as bytes. Owner of every member is root; times are 0.

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
