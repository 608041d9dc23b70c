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
TRAMPOLINES = ".static_call.text"  # each is a JMP whose callers the kernel leads elsewhere: no sites
EXPORT = "__ksymtab_"  # the symbol of an export's entry is named after what is exported
STATIC_CALL = "__SCT__"  # beginning of the symbols of trampolines, which are no functions and have no padding
PADDING = 16  # bytes before functions on kernels with call depth tracking
NOP = b"\x90"


class Site(NamedTuple):
    """A branch: index of its section, offset of its displacement there, ``call``, ``jmp`` or ``jcc``, index of
    the symbol.
    """

    section: int
    offset: int
    kind: str
    symbol: int


@dataclass
class Named:
    """What the relocations of one file name.

    ``sites`` are the branches to the start of a symbol.  ``inside`` are symbols that branches lead into (Xen's page of
    hypercalls: code at computed offsets, no function), once for each branch.  ``trampolines`` counts the jumps of
    static calls, ``others`` other references from code, mostly data and addresses of functions.  ``exports`` counts
    functions that the file exports, ``bare`` are those of them without PADDING bytes of NOP before them.
    """

    sites: set[Site] = field(default_factory=set)
    sections: dict[int, str] = field(default_factory=dict)
    symbols: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    trampolines: int = 0
    others: int = 0
    exports: int = 0
    bare: list[str] = field(default_factory=list)


def read(path: Path) -> Named:
    """Read a relocatable module file."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        named = Named()
        sections = list(elf.iter_sections())
        imported: set[int] = set()
        places: dict[str, tuple[int, int]] = {}
        for section in sections:
            if section["sh_type"] == "SHT_SYMTAB":
                names = sections[section["sh_link"]].data()
                named.symbols, imported, places = _symbols(section.data(), names, elf.elfclass)
        for index, section in enumerate(sections):
            if _is_code(section):
                named.sections[index] = section.name
                _look_before_exports(named, places, index, section.data())
        for section in sections:
            if section["sh_type"] in ("SHT_REL", "SHT_RELA") and section["sh_info"] in named.sections:
                target = section["sh_info"]
                _take(named, imported, section, target, sections[target].data(), elf.elfclass)
        return named


def _is_code(section: object) -> bool:
    return section["sh_flags"] & (ALLOC | EXECINSTR) == ALLOC | EXECINSTR  # type: ignore[index]


def _symbols(entries: bytes, names: bytes, elfclass: int) -> tuple[list[str], set[int], dict[str, tuple[int, int]]]:
    """The names of all symbols, the indexes of those that are imported, section and offset of what is exported."""
    found: list[str] = []
    imported = set()
    places = {}
    form, name_at, section_at, value_at = ("<IBBHQQ", 0, 3, 4) if elfclass == 64 else ("<IIIBBH", 0, 5, 1)
    for index, entry in enumerate(struct.iter_unpack(form, entries)):
        start = entry[name_at]
        found.append(names[start : names.index(b"\0", start)].decode())
        places[found[-1]] = (entry[section_at], entry[value_at])
        if start and entry[section_at] == UNDEFINED:
            imported.add(index)
    exported = {name.removeprefix(EXPORT) for name in found if name.startswith(EXPORT)}
    return found, imported, {name: places[name] for name in exported if name in places}


def _look_before_exports(named: Named, places: dict[str, tuple[int, int]], index: int, code: bytes) -> None:
    for name, (section, offset) in places.items():
        if section == index and not name.startswith(STATIC_CALL):
            named.exports += 1
            if code[max(0, offset - PADDING) : offset] != NOP * PADDING:
                named.bare.append(name)


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
        branch = _branch(code, at) if kind in RELATIVE else ""
        if not branch:
            named.others += 1
        elif named.sections[target] == TRAMPOLINES:
            named.trampolines += 1
        elif addend == -4:
            named.sites.add(Site(target, at, branch, symbol))
        else:
            named.inside.append(named.symbols[symbol])


def _branch(code: bytes, at: int) -> str:
    """The kind of the branch whose displacement is there; nothing for another instruction.

    The byte before a displacement that is no branch's is a ModRM of 05, 0D … 3D.
    """
    opcode = code[at - 1] if at else 0
    if 0x80 <= opcode <= 0x8F and at > 1 and code[at - 2] == 0x0F:
        return "jcc"
    return BRANCHES.get(opcode, "")
