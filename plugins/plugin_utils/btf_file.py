# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with BTF: raw as in /sys/kernel/btf, kernels and modules, compressed or not. Paths in, Btf out."""

from __future__ import annotations

import bz2
import importlib
import io
import lzma
import struct
import subprocess
import zlib
from typing import Any, BinaryIO, Protocol

from .btf import Btf, BtfError

SIZE_MAX = 2 << 30  # bytes of a decompressed kernel or module
_CHUNK = 1 << 20
_BTF = (b"\x9f\xeb", b"\xeb\x9f")
_ELF = b"\x7fELF"


class _Decompressor(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: Any, /, max_length: int = ...) -> bytes: ...


def read_btf(path: str, base: Btf | None = None) -> Btf:
    """Read the BTF of a file; `base` is the kernel's for a module. BtfError names the file."""
    try:
        with open(path, "rb") as file:
            sections = _sections(file)
        own_base = sections.get(".BTF.base")
        return Btf(sections[".BTF"], Btf(own_base) if own_base else base)
    except OSError as error:
        raise BtfError(f"{path}: cannot be read: {error.strerror or error}") from None
    except BtfError as error:
        raise BtfError(f"{path}: {error}") from None


def _sections(file: BinaryIO) -> dict[str, bytes]:
    """The BTF sections of an open file by name; `.BTF` is always there."""
    head = file.read(0x260)
    file.seek(0)
    if head[:2] in _BTF:
        return {".BTF": file.read()}
    if head.startswith(_ELF):
        return _elf_sections(file)
    if head[0x202:0x206] == b"HdrS":  # the boot protocol of x86
        offset, length = struct.unpack_from("<II", head, 0x248)
        file.seek((head[0x1F1] + 1) * 512 + offset)
        return _elf_sections(io.BytesIO(_decompressed(file.read(length), True)))
    return _elf_sections(io.BytesIO(_decompressed(file.read(), False)))


def _elf_sections(file: BinaryIO) -> dict[str, bytes]:
    try:
        elffile = importlib.import_module("elftools.elf.elffile")
        exceptions = importlib.import_module("elftools.common.exceptions")
    except ImportError:
        raise BtfError(
            "reading kernels and modules needs the Python package pyelftools; install it, "
            "or give raw BTF as in /sys/kernel/btf"
        ) from None
    try:
        elf = elffile.ELFFile(file)
        found = {name: elf.get_section_by_name(name) for name in (".BTF", ".BTF.base")}
        sections = {name: section.data() for name, section in found.items() if section}
    except (exceptions.ELFError, exceptions.ELFParseError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise BtfError(f"it is no ELF file that can be read: {error}") from None
    if ".BTF" not in sections:
        raise BtfError("it has no BTF; it was built without CONFIG_DEBUG_INFO_BTF, or stripped")
    return sections


def _decompressed(data: bytes, in_kernel: bool) -> bytes:
    """What compressed data holds; a kernel image has the size of its content after it."""
    if data.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
        return _expanded(lzma.LZMADecompressor(), data)
    if data.startswith(b"\x1f\x8b"):
        return _gunzipped(data)
    if data.startswith(b"BZh"):
        return _expanded(bz2.BZ2Decompressor(), data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return _unzstd(data[:-4] if in_kernel else data)
    raise BtfError("it is no BTF, no ELF file and not compressed with xz, gzip, bzip2 or zstd")


def _expanded(decompressor: _Decompressor, data: bytes) -> bytes:
    pieces, size = [], 0
    try:
        while not decompressor.eof:
            piece = decompressor.decompress(data, max_length=_CHUNK)
            if not piece and not data and not decompressor.eof:
                raise BtfError("its compressed data is cut off")
            data = b""
            size += len(piece)
            if size > SIZE_MAX:
                raise BtfError("its compressed data holds more than 2 GiB")
            pieces.append(piece)
    except (lzma.LZMAError, OSError) as error:
        raise BtfError(f"its compressed data is damaged: {error}") from None
    return b"".join(pieces)


def _gunzipped(data: bytes) -> bytes:
    decompressor = zlib.decompressobj(31)
    try:
        content = decompressor.decompress(data, SIZE_MAX)
    except zlib.error as error:
        raise BtfError(f"its compressed data is damaged: {error}") from None
    if not decompressor.eof:
        raise BtfError("its compressed data is cut off")
    return content


def _unzstd(data: bytes) -> bytes:
    try:
        done = subprocess.run(
            ["zstd", "-dcq", "--memory=2048MB"], input=data, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise BtfError("it is compressed with zstd, and there is no program zstd; install it") from None
    if done.returncode:
        raise BtfError(f"its compressed data is damaged: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout
