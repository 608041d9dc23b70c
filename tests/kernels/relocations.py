# SPDX-License-Identifier: GPL-3.0-or-later
"""The branches to imported symbols that the relocations of a module file name.

Reads the file without any of the code that is to be proven: pyelftools for the headers, the entries as the ELF
specification and the processor supplements of x86-64 and i386 lay them out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from elftools.elf.elffile import ELFFile

ALLOC, EXECINSTR = 0x2, 0x4
UNDEFINED = 0  # st_shndx of a symbol that another module or the kernel exports
RELATIVE = {2, 4}  # R_X86_64_PC32, R_X86_64_PLT32; R_386_PC32, R_386_PLT32: the same numbers
BRANCHES = {0xE8: "call", 0xE9: "jmp"}


class Site(NamedTuple):
    """A branch: index of its section, offset of its displacement there, ``call`` or ``jmp``, index of the symbol."""

    section: int
    offset: int
    kind: str
    symbol: int


@dataclass
class Named:
    """What the relocations of one file name.

    ``sites`` are the branches to the start of a symbol.  ``inside`` are symbols that branches lead into (Xen's page of
    hypercalls: code at computed offsets, no function), once for each branch.  ``conditional`` counts conditional
    branches, which compilers do not make.  ``others`` counts other references from code, mostly data and addresses
    of functions.
    """

    sites: set[Site] = field(default_factory=set)
    sections: dict[int, str] = field(default_factory=dict)
    symbols: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    conditional: int = 0
    others: int = 0


def read(path: Path) -> Named:
    """Read a relocatable module file."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        named = Named()
        sections = list(elf.iter_sections())
        imported: set[int] = set()
        for section in sections:
            if section["sh_type"] == "SHT_SYMTAB":
                named.symbols, imported = _symbols(section.data(), sections[section["sh_link"]].data(), elf.elfclass)
        for index, section in enumerate(sections):
            if _is_code(section):
                named.sections[index] = section.name
        for section in sections:
            if section["sh_type"] in ("SHT_REL", "SHT_RELA") and section["sh_info"] in named.sections:
                target = section["sh_info"]
                _take(named, imported, section, target, sections[target].data(), elf.elfclass)
        return named


def _is_code(section: object) -> bool:
    return section["sh_flags"] & (ALLOC | EXECINSTR) == ALLOC | EXECINSTR  # type: ignore[index]


def _symbols(entries: bytes, names: bytes, elfclass: int) -> tuple[list[str], set[int]]:
    """The names of all symbols, and the indexes of those that are imported."""
    found, imported = [], set()
    form, name_at, section_at = ("<IBBHQQ", 0, 3) if elfclass == 64 else ("<IIIBBH", 0, 5)
    for index, entry in enumerate(struct.iter_unpack(form, entries)):
        start = entry[name_at]
        found.append(names[start : names.index(b"\0", start)].decode())
        if start and entry[section_at] == UNDEFINED:
            imported.add(index)
    return found, imported


def _entries(section: object, code: bytes, elfclass: int) -> list[tuple[int, int, int, int]]:
    """Offset, type, symbol and addend of each relocation of a section."""
    data = section.data()  # type: ignore[attr-defined]
    if elfclass == 64:
        return [(at, info & 0xFFFFFFFF, info >> 32, more) for at, info, more in struct.iter_unpack("<QQq", data)]
    return [
        (at, info & 0xFF, info >> 8, int.from_bytes(code[at : at + 4], "little", signed=True))
        for at, info in struct.iter_unpack("<II", data)
    ]


def _take(named: Named, imported: set[int], section: object, target: int, code: bytes, elfclass: int) -> None:
    for at, kind, symbol, addend in _entries(section, code, elfclass):
        if symbol not in imported:
            continue
        opcode = code[at - 1] if at else 0
        if kind not in RELATIVE:
            named.others += 1
        elif opcode in BRANCHES:
            # The byte before a displacement that is no branch's is a ModRM of 05, 0D … 3D.
            if addend == -4:
                named.sites.add(Site(target, at, BRANCHES[opcode], symbol))
            else:
                named.inside.append(named.symbols[symbol])
        elif 0x80 <= opcode <= 0x8F and at > 1 and code[at - 2] == 0x0F:
            named.conditional += 1
        else:
            named.others += 1
