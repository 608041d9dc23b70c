# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed kernels and modules: their bytes in, what they hold out, with limits on memory and time."""

import bz2
import lzma
import shutil
import zlib
from collections.abc import Iterator
from typing import Any, Protocol

from . import confine
from .errors import ForeignError

SIZE_MAX = 120 << 20
"""Bytes of a decompressed kernel or module; kernels of distributions have 60 to 70 MB."""
LIMITS = confine.Limits(memory=160 << 20)
"""Enough for a window of 128 MB, which is what the strongest levels of xz and zstd ask for."""
ZSTD_LIMITS = LIMITS._replace(memory=448 << 20, files=True)
"""The program has threads, which reserve memory that they do not use; what it uses is bounded by the window."""
_CHUNK = 1 << 20

_MAGICS = (b"\xfd7zXZ\0", b"\x5d\0\0", b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd")


class _Decompressor(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: Any, /, max_length: int = ...) -> bytes: ...


class _Gunzip:
    """A decompressor of gzip that keeps what it was given and has not read yet, as the others do."""

    def __init__(self) -> None:
        self._machine = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._machine.eof

    def decompress(self, data: bytes, /, max_length: int = 0) -> bytes:
        return self._machine.decompress(self._machine.unconsumed_tail or data, max_length)


def is_packed(data: bytes) -> bool:
    """Does the data begin like something that ``unpack`` knows?"""
    return data.startswith(_MAGICS)


def unpacked(data: bytes) -> bytes:
    """Return a file as it was before it was compressed, if it was.  Raises ForeignError."""
    return unpack(data) if is_packed(data) else data


def unpack(data: bytes, in_kernel: bool = False) -> bytes:
    """What compressed data holds; a kernel image has the size of its content after it. Raises ForeignError."""
    if data.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
        return _expanded(lzma.LZMADecompressor(), data)
    if data.startswith(b"\x1f\x8b"):
        return _expanded(_Gunzip(), data)
    if data.startswith(b"BZh"):
        return _expanded(bz2.BZ2Decompressor(), data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return _unzstd(data[:-4] if in_kernel else data)
    raise ForeignError("it is not compressed with xz, gzip, bzip2 or zstd")


def _expanded(decompressor: _Decompressor, data: bytes) -> bytes:
    return confine.collect(lambda: _pieces(decompressor, data), SIZE_MAX, LIMITS)


def _pieces(decompressor: _Decompressor, data: bytes) -> Iterator[bytes]:
    try:
        while not decompressor.eof:
            piece = decompressor.decompress(data, max_length=_CHUNK)
            if not piece and not data and not decompressor.eof:
                raise ForeignError("its compressed data is cut off")
            data = b""
            yield piece
    except (lzma.LZMAError, zlib.error, OSError) as error:
        raise ForeignError(f"its compressed data is damaged: {error}") from None


def _unzstd(data: bytes) -> bytes:
    program = shutil.which("zstd")
    if not program:
        raise ForeignError("it is compressed with zstd, and there is no program zstd; install it")
    try:
        return confine.output([program, "-dcq", "--memory=128MB"], data, SIZE_MAX, ZSTD_LIMITS)
    except ForeignError as error:
        raise ForeignError(f"its compressed data cannot be unpacked: {error}") from None
