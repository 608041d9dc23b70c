# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's report: which call sites it patched, and where they lead."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..base.errors import ForeignError
from .place import KINDS, Key, by_key


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
        return by_key(self.sites)


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
    elif word == "site":
        report.sites.append(_site(found))
    elif word == "function":
        report.functions[found[1]] = {"call": int(found[2]), "jmp": int(found[3]), "jcc": int(found[4] or 0)}
    elif word in ("static_call", "noinstr"):
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
