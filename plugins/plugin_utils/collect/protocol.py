# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says while it streams: bytes in pieces of any size -> words and packets.

``sh/stream.sh`` writes lines of values, and packets behind a heading that announces kind, place, number, sizes and
checksum.  A packet has a limit, and its place is chosen by nothing but the name of a CPU.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..base.bounded import MAX_PREAMBLE
from ..base.errors import ForeignError
from ..base.foreign import printable

with contextlib.suppress(ImportError):
    import zstandard

PACKET = 1 << 20
"""Bytes of pages in one packet at most."""
MAX_RAW = 2 << 20
"""Bytes of one packet after unpacking, at most: the limit of format files and of text; pages come in less."""
MAX_SENT = MAX_RAW + (64 << 10)
"""Bytes of one packet on the way: packing what cannot be packed adds a little."""
MAX_WORDS = 100_000
"""Lines between two packets at most: an idle host says one every five seconds."""
MAX_TEXTS = 32
"""Packets without a number in one connection at most: a host sends each of its four texts once."""

_HEADING = re.compile(
    rb"packet (pages|text|header|formats|stats|comms) ([a-z0-9_:,-]{1,4096}) (\d{1,15}) (\d{1,9}) (\d{1,9}) "
    rb"([0-9a-f]{64}|-)"
)
_WORD = re.compile(r"v (boot|form|packing|live|beat|sent|failed) ([a-zA-Z0-9-]{1,36})")


class Packet(NamedTuple):
    """One packet after unpacking and checking.  ``number`` is 0 for what may be sent again and again.

    ``digest`` is the SHA256 that the host sent with it and that was found to be right; empty without one.
    """

    kind: str
    name: str
    number: int
    raw: bytes
    digest: str = ""


class Word(NamedTuple):
    """One value that the host said between packets."""

    key: str
    value: str


def shown(data: bytes) -> str:
    """Return bytes of a host on one line, safe to show."""
    return " ".join(printable(data[:300]).split())


def unpack(data: bytes, packing: str, size: int) -> bytes:
    """Unpack the body of a packet that must give ``size`` bytes.  Raises ForeignError when it does not."""
    try:
        if packing == "gzip":
            machine = zlib.decompressobj(31)
            raw = machine.decompress(data, size + 1)
            whole = machine.eof and not machine.unused_data
        elif packing == "zstd":
            with zstandard.ZstdDecompressor(max_window_size=1 << 23).stream_reader(data) as stream:
                raw = stream.read(size + 1)
            whole = True
        else:
            raw, whole = data, True
    except Exception as error:
        raise ForeignError(f"a packet cannot be unpacked: {type(error).__name__}: {error}") from None
    if not whole or len(raw) != size:
        raise ForeignError(f"a packet does not hold the {size} bytes that were announced")
    return raw


@dataclass
class Parser:
    """Bytes of one host, in pieces of any size -> words and packets.  Holds no more than one packet."""

    nonce: str
    packing: str = "none"
    begun: bool = False
    ended: bool = False
    failure: str = ""
    _held: bytearray = field(default_factory=bytearray)
    _heading: re.Match[bytes] | None = None
    _skipped: int = 0
    _words: int = 0
    _texts: int = 0

    def feed(self, data: bytes) -> Iterator[Packet | Word]:
        """Take some bytes; yield the words and packets that are whole.  Raises ForeignError."""
        self._held += data
        while not self.ended:
            if self._heading is None:
                line = self._take_line()
                if line is None:
                    return
                if line.startswith(b"packet "):
                    self._heading = self._check(line)
                    continue
                word = self._line(line)
                if word:
                    yield word
                continue
            size = int(self._heading[5])
            if len(self._held) < size:
                return
            with memoryview(self._held) as view:
                body = bytes(view[:size])
            del self._held[:size]
            heading, self._heading = self._heading, None
            yield self._packet(heading, body)

    def _take_line(self) -> bytes | None:
        stop = self._held.find(b"\n", 0, MAX_PREAMBLE)
        if stop < 0:
            if len(self._held) > MAX_PREAMBLE:
                raise ForeignError(f"the host sent a line of more than {MAX_PREAMBLE} bytes")
            return None
        line = bytes(self._held[:stop])
        del self._held[: stop + 1]
        return line

    def _check(self, line: bytes) -> re.Match[bytes]:
        heading = _HEADING.fullmatch(line)
        if not self.begun or heading is None or int(heading[4]) > MAX_RAW or int(heading[5]) > MAX_SENT:
            raise ForeignError(f"the heading of a packet cannot be understood: {shown(line)}")
        return heading

    def _packet(self, heading: re.Match[bytes], body: bytes) -> Packet:
        self._words = 0
        self._texts += int(heading[3]) == 0
        if self._texts > MAX_TEXTS:
            raise ForeignError(f"the host sent more than {MAX_TEXTS} packets without a number")
        raw = unpack(body, self.packing, int(heading[4]))
        digest = heading[6].decode().removeprefix("-")
        if digest and digest != hashlib.sha256(raw).hexdigest():
            raise ForeignError(f"a packet of {heading[2].decode()} was damaged on the way: its checksum differs")
        return Packet(heading[1].decode(), heading[2].decode(), int(heading[3]), raw, digest)

    def _line(self, line: bytes) -> Word | None:
        """A line between packets: greetings, then words, then perhaps why the host failed."""
        if not self.begun:
            self.begun = line == b"kedr-begin " + self.nonce.encode()
            self._skipped += len(line) + 1
            if self._skipped > MAX_PREAMBLE:
                raise ForeignError(f"{MAX_PREAMBLE} bytes came from the host, and no answer began")
            return None
        self._words += 1
        if self._words > MAX_WORDS:
            raise ForeignError(f"the host sent more than {MAX_WORDS} lines and no packet between them")
        if line == b"kedr-end " + self.nonce.encode():
            self.ended = True
            return None
        if self.failure and len(self.failure) < 4000 and (line in (b"", b".", b"text reason") or line[:1] == b"|"):
            self.failure += printable(line[1:], 500) + " " if line[:1] == b"|" else ""
            return None
        found = _WORD.fullmatch(line.decode("ascii", "replace"))
        if found is None:
            raise ForeignError(f"a line from the host cannot be understood: {shown(line)}")
        if found[1] == "packing":
            self.packing = found[2]
        elif found[1] == "failed":
            self.failure = " "
        return Word(found[1], found[2])
