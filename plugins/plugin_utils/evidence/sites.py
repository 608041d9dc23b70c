# SPDX-License-Identifier: GPL-3.0-or-later
"""Call sites: those that the relocations of a module name, and those that the controller patched.

Every direct call of an exported function has a relocation in the module file, so the relocations are an
independent count of what the controller must find.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, BinaryIO, NamedTuple, TypeVar

from ..base import confine
from ..base.errors import ForeignError

try:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.relocation import RelocationSection
    from elftools.elf.sections import SymbolTableSection

    ELFTOOLS_ERROR = ""
except ImportError as import_error:  # pragma: no cover - the requirement is installed where tests run
    ELFTOOLS_ERROR = str(import_error)

_EXECINSTR, _ALLOC = 0x4, 0x2
_STATIC_CALL = "__SCT__"  # the trampoline of a static call is the function's name behind this
_TRAMPOLINES = ".static_call.text"  # each is a JMP; the kernel leads its callers past it, so it is not a site
_THUNK = re.compile(r"__x86_indirect_(?:thunk|call_thunk|jump_thunk)_\w+")
_BRANCHES = {"EM_X86_64": {2, 4}, "EM_386": {2, 4}}  # R_*_PC32 and R_*_PLT32 have these numbers on both


MAX_MISPLACED = 3
"""Sites of one function at wrong places that are named."""

KINDS = ("call", "jmp", "jcc")
"""Direct branches that are sites: CALL, JMP and conditional jump."""


class Key(NamedTuple):
    """What sites are counted by: exported symbol, ``call``, ``jmp`` or ``jcc``, ``core`` or ``init`` text."""

    symbol: str
    kind: str
    area: str


class Place(NamedTuple):
    """A site: its key, and its offset in bytes from the start of its area."""

    symbol: str
    kind: str
    area: str
    offset: int


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
        return _by_key(self.places)

    def total(self, symbol: str) -> int:
        """All direct branches to a symbol."""
        return sum(count for key, count in self.sites.items() if key.symbol == symbol)

    def unreached(self, symbols: Mapping[str, str]) -> dict[str, dict[str, int | bool]]:
        """What refers to functions and is no direct branch: {function: counts}, only where there is any.

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
    """Count the sites of ``symbols`` in a relocatable module file (x86_64 or i386).

    Raises ForeignError when the stream holds no such file.
    """
    if ELFTOOLS_ERROR:
        raise ForeignError(f"pyelftools is not installed ({ELFTOOLS_ERROR}); install it with pip")
    wanted = frozenset(symbols)
    found = confine.call(lambda: _counted(stream, wanted))
    return Expected(**{**found, "places": [Place(*place) for place in found["places"]]})


def _counted(stream: BinaryIO, wanted: frozenset[str]) -> dict[str, Any]:
    """Return the fields of Expected."""
    try:
        elf = ELFFile(stream)
        if elf["e_type"] == "ET_REL" and elf["e_machine"] in _BRANCHES:
            return vars(_count(elf, wanted))
    except ELFError as error:
        raise ForeignError(f"not a readable ELF file: {error}") from None
    raise ForeignError(f"not a relocatable x86 module: {elf['e_type']}, {elf['e_machine']}")


def _count(elf: ELFFile, wanted: frozenset[str]) -> Expected:
    result = Expected()
    starts = _starts(elf)
    for section in elf.iter_sections():
        if _is_code(section):
            area = _area(section.name)
            result.text[area] = result.text.get(area, 0) + section["sh_size"]
        if not isinstance(section, RelocationSection):
            continue
        target = elf.get_section(section["sh_info"])
        if not target["sh_flags"] & _ALLOC or target.name.startswith((".altinstr_replacement", ".discard")):
            continue
        table = elf.get_section(section["sh_link"])
        if isinstance(table, SymbolTableSection):
            _count_section(elf, section, target, table, wanted, starts.get(section["sh_info"], 0), result)
    return result


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


def _is_code(section: object) -> bool:
    flags = section["sh_flags"]  # type: ignore[index]
    return bool(flags & _EXECINSTR) and bool(flags & _ALLOC)


def _area(name: str) -> str:
    """The kernel puts sections whose names begin with .init into the text that it frees after loading."""
    return "init" if name.startswith(".init") else "core"


def _count_section(
    elf: ELFFile,
    relocations: RelocationSection,
    target: object,
    table: SymbolTableSection,
    wanted: frozenset[str],
    start: int,
    result: Expected,
) -> None:
    data = target.data()  # type: ignore[attr-defined]
    code = _is_code(target)
    section: str = target.name  # type: ignore[attr-defined]
    area = _area(section)
    branches = _BRANCHES[elf["e_machine"]]
    names: dict[int, str] = {}
    for relocation in relocations.iter_relocations():
        index = relocation["r_info_sym"]
        if index not in names:
            symbol = table.get_symbol(index)
            # A function of the module's own that has the same name is not the exported one.
            names[index] = symbol.name if symbol["st_shndx"] == "SHN_UNDEF" else ""
        name = names[index]
        if code and name.startswith("__x86") and _THUNK.fullmatch(name):
            result.indirect += 1
        plain = name.removeprefix(_STATIC_CALL)
        if plain not in wanted:
            continue
        kind = "pointer"
        if code and relocation["r_info_type"] in branches:
            kind = _branch(data, relocation["r_offset"], _addend(relocation, data))
        if plain != name:
            # Outside of code stand the keys of the trampoline, not calls.
            if code:
                _add(result.static_calls, plain)
        elif kind not in KINDS:
            _add(result.pointers if kind == "pointer" else result.others, name)
        elif section == _TRAMPOLINES:
            _add(result.static_calls, name)
            _add(result.trampolines, name)
        else:
            opcode = relocation["r_offset"] - (2 if kind == "jcc" else 1)
            result.places.append(Place(name, kind, area, start + opcode))


def _by_key(places: Iterable[Place | Patched]) -> dict[Key, int]:
    counts: dict[Key, int] = {}
    for place in places:
        _add(counts, Key(place.symbol, place.kind, place.area))
    return counts


_Counted = TypeVar("_Counted")


def _add(counts: dict[_Counted, int], what: _Counted) -> None:
    counts[what] = counts.get(what, 0) + 1


def _addend(relocation: object, data: bytes) -> int:
    if relocation.is_RELA():  # type: ignore[attr-defined]
        return int(relocation["r_addend"])  # type: ignore[index]
    offset = relocation["r_offset"]  # type: ignore[index]
    return int.from_bytes(data[offset : offset + 4], "little", signed=True)


def _branch(data: bytes, offset: int, addend: int) -> str:
    """``call``, ``jmp``, ``jcc``, ``pointer`` (lea) or ``other``, from the opcode before a 32-bit displacement."""
    if addend != -4 or not 1 <= offset <= len(data) - 4:
        return "other"
    kind = {0xE8: "call", 0xE9: "jmp"}.get(data[offset - 1], "")
    if not kind and offset >= 2 and data[offset - 2] == 0x0F and data[offset - 1] & 0xF0 == 0x80:
        kind = "jcc"
    # LEA with a displacement from the next instruction: opcode 8D, and mod 00, r/m 101 in the byte after it
    lea = offset >= 2 and data[offset - 2] == 0x8D and data[offset - 1] & 0xC7 == 0x05
    return kind or ("pointer" if lea else "other")


# -- the controller's report -------------------------------------------------------------------------


class Patched(NamedTuple):
    """One site in the report.  ``offset`` is in bytes from the start of its area.

    ``to``, ``to_offset`` and ``to_module`` say where the branch leads, as read back from the text after it was written
    and named by the kernel: a symbol, bytes behind its start, and its module ("" for the kernel itself).  An address
    that has no name has ``to`` "" and is ``to_offset``.
    """

    symbol: str
    kind: str
    area: str
    offset: int
    to: str
    to_offset: int
    to_module: str


@dataclass
class Report:
    """What the controller says it did with one target.

    ``text`` is (size, scanned) in bytes by area; ``functions`` is {symbol: {"call": n, "jmp": n, "jcc": n}}.
    ``static_calls`` counts trampolines of static calls that lead to a symbol and are not sites, ``noinstr`` the sites
    in code that must not be instrumented; only symbols that have any are in them.
    """

    target: str
    text: dict[str, tuple[int, int]] = field(default_factory=dict)
    nanoseconds: int = 0
    sites: list[Patched] = field(default_factory=list)
    functions: dict[str, dict[str, int]] = field(default_factory=dict)
    static_calls: dict[str, int] = field(default_factory=dict)
    noinstr: dict[str, int] = field(default_factory=dict)

    def branches(self, symbol: str) -> dict[str, int]:
        """Sites of a symbol: ``call``, and ``jmp`` with the conditional jumps."""
        counts = self.functions.get(symbol, dict.fromkeys(KINDS, 0))
        return {"call": counts["call"], "jmp": counts["jmp"] + counts["jcc"]}

    def counted(self) -> dict[Key, int]:
        """The listed sites by symbol, kind and area."""
        return _by_key(self.sites)


_NAME = r"([A-Za-z_]\w{0,511})"
_NUMBER = r"(\d{1,20})"
_HEX = r"0x([0-9a-fA-F]{1,16})"
_ANY_NAME = r"([A-Za-z_.$][\w.$]{0,511})"  # the name of any symbol: those that compilers make have dots
_LINES = {
    "target": re.compile(r"target (\w{1,64})"),
    "text": re.compile(rf"text (core|init) {_HEX} scanned {_NUMBER}"),
    "nanoseconds": re.compile(rf"nanoseconds {_NUMBER}"),
    "site": re.compile(
        rf"site {_NAME} (call|jmp|jcc) (core|init) {_HEX} to (?:{_ANY_NAME}\+{_HEX} (\w{{1,64}}|-)|{_HEX} -)"
    ),
    "function": re.compile(rf"function {_NAME} call {_NUMBER} jmp {_NUMBER}(?: jcc {_NUMBER})?"),
    "static_call": re.compile(rf"static_call {_NAME} {_NUMBER}"),
    "noinstr": re.compile(rf"noinstr {_NAME} {_NUMBER}"),
}


def parse_report(text: str) -> dict[str, Report]:
    """Read the controller's report; returns the reports by target module.

    Raises ForeignError naming the line when a line is not understood, when the text is cut off, or when a
    function's counts differ from the sites listed for it.
    """
    if text and not text.endswith("\n"):
        raise ForeignError(f"line {text.count(chr(10)) + 1}: the text is cut off")
    reports: dict[str, Report] = {}
    report: Report | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            continue
        form = _LINES.get(line.partition(" ")[0])
        found = form.fullmatch(line) if form else None
        if found is None:
            raise ForeignError(f"line {number}: '{line[:80]}' is not a line of the report")
        if line.startswith("target "):
            report = reports.setdefault(found[1], Report(found[1]))
        elif report is None:
            raise ForeignError(f"line {number}: '{line[:80]}' stands before the first 'target' line")
        else:
            _take(report, line.partition(" ")[0], found)
    for report in reports.values():
        _check(report)
    return reports


def _take(report: Report, word: str, found: re.Match[str]) -> None:
    if word == "text":
        report.text[found[1]] = (int(found[2], 16), int(found[3]))
    elif word == "nanoseconds":
        report.nanoseconds = int(found[1])
    elif word == "site":
        report.sites.append(_site(found))
    elif word == "function":
        report.functions[found[1]] = {"call": int(found[2]), "jmp": int(found[3]), "jcc": int(found[4] or 0)}
    else:
        counts = report.static_calls if word == "static_call" else report.noinstr
        counts[found[1]] = int(found[2])


def _site(found: re.Match[str]) -> Patched:
    symbol, kind, area, offset, to, to_offset, to_module, address = found.groups()
    module = "" if to_module in (None, "-") else to_module
    return Patched(symbol, kind, area, int(offset, 16), to or "", int(to_offset or address, 16), module)


def _check(report: Report) -> None:
    listed: dict[str, dict[str, int]] = {}
    places: set[tuple[str, int]] = set()
    for site in report.sites:
        if (site.area, site.offset) in places:
            raise ForeignError(f"{report.target}: the site at {site.area} 0x{site.offset:x} is listed twice")
        places.add((site.area, site.offset))
        if site.offset >= report.text.get(site.area, (0, 0))[0]:
            place = f"{site.area} 0x{site.offset:x}"
            raise ForeignError(f"{report.target}: the site at {place} is behind the end of its text")
        listed.setdefault(site.symbol, dict.fromkeys(KINDS, 0))[site.kind] += 1
    for symbol in sorted(set(listed) | set(report.functions)):
        named = report.functions.get(symbol)
        found = listed.get(symbol, dict.fromkeys(KINDS, 0))
        if named is None:
            raise ForeignError(f"{report.target}: sites of {symbol} are listed and it has no 'function' line")
        if named != found:
            raise ForeignError(f"{report.target}: {symbol} counts {_shown(named)}, listed are {_shown(found)}")


def _shown(counts: Mapping[str, int]) -> str:
    """``call 2 jmp 1``; conditional jumps only where there are any."""
    return " ".join(f"{kind} {count}" for kind, count in counts.items() if count or kind != "jcc")


def compare(expected: Expected, report: Report, symbols: Mapping[str, str]) -> list[str]:
    """Say where the patched sites differ from the expected ones; nothing when they are equal.

    ``symbols`` is {function: symbol}; sentences name the function, its symbol, the kind and the area.
    """
    found = report.counted()
    unasked = sorted(set(report.functions) - set(symbols.values()))
    differences = [f"{symbol}: the controller looked for it, and no payload of the run names it" for symbol in unasked]
    for function, symbol in symbols.items():
        title = function if function == symbol else f"{function} ({symbol})"
        if symbol not in report.functions:
            differences.append(f"{title}: the controller reports nothing about it")
            continue
        for kind in KINDS:
            for area in ("core", "init"):
                key = Key(symbol, kind, area)
                want, have = expected.sites.get(key, 0), found.get(key, 0)
                if want != have:
                    differences.append(
                        f"{title}: {have} {kind} sites patched in the {area} text, the relocations name {want}"
                    )
        differences += _misplaced(title, symbol, expected, report)
        want, have = expected.trampolines.get(symbol, 0), report.static_calls.get(symbol, 0)
        if want != have:
            differences.append(f"{title}: {have} trampolines of static calls reported, the relocations name {want}")
    return differences


def _misplaced(title: str, symbol: str, expected: Expected, report: Report) -> list[str]:
    """Say which sites are where no relocation names the function."""
    there = {place for place in expected.places if place.symbol == symbol}
    listed = [Place(*site[:4]) for site in report.sites if site.symbol == symbol]
    return [
        f"{title}: the {one.kind} at {one.area} 0x{one.offset:x} is not where a relocation names it"
        for one in listed
        if one not in there
    ][:MAX_MISPLACED]
