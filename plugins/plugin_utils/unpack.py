# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed kernels and modules: their bytes in, what they hold out.  Imports nothing of this collection."""

from __future__ import annotations

import bz2
import lzma
import subprocess
import zlib
from typing import Any, Protocol

SIZE_MAX = 2 << 30  # bytes of a decompressed kernel or module
_CHUNK = 1 << 20


_MAGICS = (b"\xfd7zXZ\0", b"\x5d\0\0", b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd")


class UnpackError(Exception):
    """Data that cannot be decompressed; the text says why."""


class _Decompressor(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: Any, /, max_length: int = ...) -> bytes: ...


def is_packed(data: bytes) -> bool:
    """Does the data begin like something that ``unpack`` knows?"""
    return data.startswith(_MAGICS)


def unpack(data: bytes, in_kernel: bool = False) -> bytes:
    """What compressed data holds; a kernel image has the size of its content after it."""
    if data.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
        return _expanded(lzma.LZMADecompressor(), data)
    if data.startswith(b"\x1f\x8b"):
        return _gunzipped(data)
    if data.startswith(b"BZh"):
        return _expanded(bz2.BZ2Decompressor(), data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return _unzstd(data[:-4] if in_kernel else data)
    raise UnpackError("it is not compressed with xz, gzip, bzip2 or zstd")


def _expanded(decompressor: _Decompressor, data: bytes) -> bytes:
    pieces, size = [], 0
    try:
        while not decompressor.eof:
            piece = decompressor.decompress(data, max_length=_CHUNK)
            if not piece and not data and not decompressor.eof:
                raise UnpackError("its compressed data is cut off")
            data = b""
            size += len(piece)
            if size > SIZE_MAX:
                raise UnpackError("its compressed data holds more than 2 GiB")
            pieces.append(piece)
    except (lzma.LZMAError, OSError) as error:
        raise UnpackError(f"its compressed data is damaged: {error}") from None
    return b"".join(pieces)


def _gunzipped(data: bytes) -> bytes:
    decompressor = zlib.decompressobj(31)
    try:
        content = decompressor.decompress(data, SIZE_MAX)
    except zlib.error as error:
        raise UnpackError(f"its compressed data is damaged: {error}") from None
    if not decompressor.eof:
        raise UnpackError("its compressed data is cut off")
    return content


def _unzstd(data: bytes) -> bytes:
    try:
        done = subprocess.run(["zstd", "-dcq", "--memory=2048MB"], input=data, capture_output=True, check=False)
    except FileNotFoundError:
        raise UnpackError("it is compressed with zstd, and there is no program zstd; install it") from None
    if done.returncode:
        raise UnpackError(f"its compressed data is damaged: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout
