# SPDX-License-Identifier: GPL-3.0-or-later
"""The call sites that the relocations of a module file name.

Every direct call of an exported function has a relocation in the module file, so the relocations are an
independent count of what the controller must find.  What only one architecture knows is in ``arch/``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any, BinaryIO

from ..base import confine
from ..base.errors import ForeignError
from ..base.packages import need
from .arch import x86
from .place import KINDS, Key, Place, by_key

with contextlib.suppress(ImportError):
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.relocation import Relocation, RelocationSection
    from elftools.elf.sections import Section, SymbolTableSection

_ARCHITECTURES = {machine: arch for arch in (x86,) for machine in arch.MACHINES}
"""What knows each machine of an ELF file; another architecture is a file in ``arch/`` and a word here."""
_EXECINSTR, _ALLOC = 0x4, 0x2
_STATIC_CALL = "__SCT__"  # the trampoline of a static call is the function's name behind this
_TRAMPOLINES = ".static_call.text"  # each is a JMP; the kernel leads its callers past it, so it is not a site


@dataclass
class Expected:
    """Sites that a module file names.

    ``places`` are direct branches, ``sites`` counts them.  What is out of reach is counted by symbol:
    ``pointers``, where the address is taken, in data or by an instruction; ``others``, references from code of another
    kind; ``static_calls``, calls of its trampoline, which the kernel patches itself, and trampolines of the module's
    own that lead to it, which are also in ``trampolines``.  ``indirect`` counts calls through thunks, of which
    no file says what they reach.  ``text`` is the bytes of code by area.
    """

    places: list[Place] = field(default_factory=list)
    trampolines: dict[str, int] = field(default_factory=dict)
    pointers: dict[str, int] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    static_calls: dict[str, int] = field(default_factory=dict)
    indirect: int = 0
    text: dict[str, int] = field(default_factory=dict)

    @cached_property
    def sites(self) -> dict[Key, int]:
        """The places by symbol, kind and area."""
        return by_key(self.places)

    def total(self, symbol: str) -> int:
        """All direct branches to a symbol."""
        return sum(count for key, count in self.sites.items() if key.symbol == symbol)

    def unreached(self, symbols: Mapping[str, str]) -> dict[str, dict[str, int | bool]]:
        """What refers to functions and is not a direct branch: {function: counts}, only where there is any.

        ``symbols`` is {function: symbol}.  ``unreferenced``: nothing refers to the function at all, so the module does
        not use it or has its code inline, and no file tells which.
        """
        found: dict[str, dict[str, int | bool]] = {}
        for function, symbol in symbols.items():
            counts = {
                "pointers": self.pointers.get(symbol, 0),
                "other": self.others.get(symbol, 0),
                "static_calls": self.static_calls.get(symbol, 0),
            }
            nothing = not self.total(symbol) and not any(counts.values())
            if nothing or any(counts.values()):
                found[function] = {**counts, "unreferenced": nothing}
        return found


def expected_sites(stream: BinaryIO, symbols: Iterable[str]) -> Expected:
    """Count the sites of ``symbols`` in a relocatable module file.

    Raises ForeignError when the stream holds no such file, KedrError without pyelftools.
    """
    need("elftools")
    wanted = frozenset(symbols)
    found = confine.call(lambda: _counted(stream, wanted))
    return Expected(**{**found, "places": [Place(*place) for place in found["places"]]})


def _counted(stream: BinaryIO, wanted: frozenset[str]) -> dict[str, Any]:
    """Return the fields of Expected."""
    try:
        elf = ELFFile(stream)
        if elf["e_type"] == "ET_REL" and elf["e_machine"] in _ARCHITECTURES:
            return vars(_count(elf, wanted))
    except ELFError as error:
        raise ForeignError(f"not a readable ELF file: {error}") from None
    known = ", ".join(_ARCHITECTURES)
    raise ForeignError(f"not a relocatable module of {known}: {elf['e_type']}, {elf['e_machine']}")


def _count(elf: ELFFile, wanted: frozenset[str]) -> Expected:
    counting = _Counting(_ARCHITECTURES[elf["e_machine"]], wanted)
    starts = _starts(elf)
    for section in elf.iter_sections():
        if _is_code(section):
            area = _area(section.name)
            counting.result.text[area] = counting.result.text.get(area, 0) + section["sh_size"]
        if not isinstance(section, RelocationSection):
            continue
        target = elf.get_section(section["sh_info"])
        if not target["sh_flags"] & _ALLOC or target.name.startswith((".altinstr_replacement", ".discard")):
            continue
        table = elf.get_section(section["sh_link"])
        if isinstance(table, SymbolTableSection):
            counting.section(section, target, table, starts.get(section["sh_info"], 0))
    return counting.result


def _starts(elf: ELFFile) -> dict[int, int]:
    """Where each section of code begins in its area: as in the file, one behind the other, aligned.

    So the kernel's layout_sections() puts them; compared on 5.10 to 7.3, x86_64 and i386.
    """
    starts: dict[int, int] = {}
    ends: dict[str, int] = {}
    for number, section in enumerate(elf.iter_sections()):
        if _is_code(section):
            area, align = _area(section.name), max(section["sh_addralign"], 1)
            starts[number] = -(-ends.get(area, 0) // align) * align
            ends[area] = starts[number] + section["sh_size"]
    return starts


def _is_code(section: Section) -> bool:
    flags = section["sh_flags"]
    return bool(flags & _EXECINSTR) and bool(flags & _ALLOC)


def _area(name: str) -> str:
    """The kernel puts sections whose names begin with .init into the text that it frees after loading."""
    return "init" if name.startswith(".init") else "core"


class _Counting:
    """Counts the relocations of one module for the functions that are wanted."""

    def __init__(self, arch: ModuleType, wanted: frozenset[str]) -> None:
        self.arch, self.wanted, self.result = arch, wanted, Expected()

    def section(self, relocations: RelocationSection, target: Section, table: SymbolTableSection, start: int) -> None:
        """Count those of one section, which begins at ``start`` of its area."""
        data, code = target.data(), _is_code(target)
        names: dict[int, str] = {}
        for relocation in relocations.iter_relocations():
            index = relocation["r_info_sym"]
            if index not in names:
                symbol = table.get_symbol(index)
                # A function of the module's own that has the same name is not the exported one.
                names[index] = symbol.name if symbol["st_shndx"] == "SHN_UNDEF" else ""
            name = names[index]
            if code and self.arch.is_thunk(name):
                self.result.indirect += 1
            plain = name.removeprefix(_STATIC_CALL)
            if plain not in self.wanted:
                continue
            if plain == name:
                self._reference(name, self._kind(relocation, data, code), relocation["r_offset"], target.name, start)
            elif code:  # outside of code stand the keys of the trampoline, not calls
                _add(self.result.static_calls, plain)

    def _kind(self, relocation: Relocation, data: bytes, code: bool) -> str:
        if not code or relocation["r_info_type"] not in self.arch.BRANCHES:
            return "pointer"
        return str(self.arch.branch(data, relocation["r_offset"], _addend(relocation, data)))

    def _reference(self, name: str, kind: str, offset: int, section: str, start: int) -> None:
        if kind not in KINDS:
            _add(self.result.pointers if kind == "pointer" else self.result.others, name)
        elif section == _TRAMPOLINES:
            _add(self.result.static_calls, name)
            _add(self.result.trampolines, name)
        else:
            at = start + self.arch.start_of(offset, kind)
            self.result.places.append(Place(name, kind, _area(section), at))


def _add(counts: dict[str, int], what: str) -> None:
    counts[what] = counts.get(what, 0) + 1


def _addend(relocation: Relocation, data: bytes) -> int:
    if relocation.is_RELA():
        return int(relocation["r_addend"])
    offset = relocation["r_offset"]
    return int.from_bytes(data[offset : offset + 4], "little", signed=True)
