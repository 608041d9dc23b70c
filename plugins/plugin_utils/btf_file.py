# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with BTF: raw as in /sys/kernel/btf, kernels and modules, compressed or not. Paths in, Btf out."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from typing import BinaryIO

from .btf import Btf, BtfError
from .unpack import UnpackError, is_packed, unpack

_BTF = (b"\x9f\xeb", b"\xeb\x9f")
_ELF = b"\x7fELF"


def read_btf(path: str, base: Btf | None = None) -> Btf:
    """Read the BTF of a file; `base` is the kernel's for a module. BtfError names the file."""
    try:
        with open(path, "rb") as file:
            sections = _sections(file)
        own_base = sections.get(".BTF.base")
        return Btf(sections[".BTF"], Btf(own_base) if own_base else base)
    except OSError as error:
        raise BtfError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (BtfError, UnpackError) as error:
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
        return _elf_sections(io.BytesIO(unpack(file.read(length), True)))
    if not is_packed(head):
        raise BtfError("it is no BTF, no ELF file and not compressed with xz, gzip, bzip2 or zstd")
    return _elf_sections(io.BytesIO(unpack(file.read())))


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
