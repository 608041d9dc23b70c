# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with BTF: raw as in /sys/kernel/btf, kernels and modules, compressed or not. Paths in, Btf out."""

import io
import struct
from functools import partial
from typing import BinaryIO

from ..base import confine
from ..base.errors import ForeignError, about
from ..base.packages import need
from ..base.unpack import SIZE_MAX, is_packed, unpack
from .btf import Btf

_BTF_MAX = 32 << 20  # bytes; that of kernels of distributions has 4 to 6 MB
_BTF = (b"\x9f\xeb", b"\xeb\x9f")
_ELF = b"\x7fELF"


def read_btf(path: str, base: Btf | None = None) -> Btf:
    """Read the BTF of a file; ``base`` is the kernel's for a module. ForeignError names the file."""
    with about(path):
        with open(path, "rb") as file:
            sections = _sections(file)
        own_base = sections.get(".BTF.base")
        return Btf(sections[".BTF"], Btf(own_base) if own_base else base)


def _sections(file: BinaryIO) -> dict[str, bytes]:
    """Return the BTF sections of an open file by name; ``.BTF`` is always there."""
    head = file.read(0x260).ljust(0x260, b"\0")
    file.seek(0)
    if head[:2] in _BTF:
        return {".BTF": _bounded(file, _BTF_MAX)}
    if head.startswith(_ELF):
        return _elf_sections(file)
    if head[0x202:0x206] == b"HdrS":  # the boot protocol of x86
        offset, length = struct.unpack_from("<II", head, 0x248)
        file.seek((head[0x1F1] + 1) * 512 + offset)
        return _elf_sections(io.BytesIO(unpack(file.read(min(length, SIZE_MAX)), True)))
    if not is_packed(head):
        raise ForeignError("it is neither BTF nor an ELF file, and not compressed with xz, gzip, bzip2 or zstd")
    return _elf_sections(io.BytesIO(unpack(_bounded(file, SIZE_MAX))))


def _bounded(file: BinaryIO, most: int) -> bytes:
    data = file.read(most + 1)
    if len(data) > most:
        raise ForeignError(f"it has more than {most >> 20} MB")
    return data


def _elf_sections(file: BinaryIO) -> dict[str, bytes]:
    need("elftools.elf.elffile")
    return {name: confine.collect(partial(_section, file, name), _BTF_MAX) for name in (".BTF", ".BTF.base")}


def _section(file: BinaryIO, name: str) -> list[bytes]:
    """Return what a section holds, in one piece; nothing where there is none, but there must be ``.BTF``."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        section = ELFFile(file).get_section_by_name(name)
        if section or name != ".BTF":
            return [section.data()] if section else []
    except ELFError as error:
        raise ForeignError(f"it is not an ELF file that can be read: {error}") from None
    raise ForeignError("it has no BTF; it was built without CONFIG_DEBUG_INFO_BTF, or stripped")
