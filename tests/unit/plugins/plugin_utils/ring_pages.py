# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of a ring buffer, written by hand for tests: the other direction of ``ringbuffer``."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

HEADER = """\
\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;
"""
SIZE, DATA_AT = 4096, 16


@dataclass
class Page:
    """One page being filled; ``time`` is that of the last entry."""

    time: int
    start: int = -1
    body: bytearray = field(default_factory=bytearray)
    lost: int = 0

    def __post_init__(self) -> None:
        self.start = self.time

    def word(self, kind: int, delta: int) -> None:
        """The 32 bits that begin an entry."""
        assert 0 <= kind < 32 and 0 <= delta < 1 << 27
        self.body += struct.pack("<I", kind | delta << 5)

    def record(self, data: bytes, delta: int = 0) -> Page:
        """A record of a multiple of four bytes; long ones say their length in a word of its own."""
        assert len(data) % 4 == 0
        if delta >= 1 << 27:
            self.word(30, delta & (1 << 27) - 1)
            self.body += struct.pack("<I", delta >> 27)
            self.time, delta = self.time + delta, 0
        if len(data) <= 28 * 4 and data:
            self.word(len(data) // 4, delta)
        else:
            self.word(0, delta)
            self.body += struct.pack("<I", len(data) + 4)
        self.body += data
        self.time += delta
        return self

    def stamp(self, time: int) -> Page:
        """An absolute time: its lowest 59 bits."""
        self.word(31, time & (1 << 27) - 1)
        self.body += struct.pack("<I", time >> 27 & 0xFFFFFFFF)
        self.time = time
        return self

    def padding(self, size: int) -> Page:
        """A record that was taken back: it has a length, and a time that is not 0."""
        self.word(29, 1)
        self.time += 1
        self.body += struct.pack("<I", size - 4) + bytes(size - 8)
        return self

    def bytes(self) -> bytes:
        """The page as the kernel hands it out."""
        used = len(self.body)
        tail = bytearray(SIZE - DATA_AT - used)
        flags = 0
        if self.lost:
            flags = 1 << 31
            if self.lost > 0 and len(tail) >= 8:
                flags |= 1 << 30
                tail[:8] = struct.pack("<Q", self.lost)
        return struct.pack("<QQ", self.start, used | flags) + bytes(self.body) + bytes(tail)
