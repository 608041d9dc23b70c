# SPDX-License-Identifier: GPL-3.0-or-later
"""Call sites: those that the controller patched against those that the relocations of a module name."""

from collections.abc import Mapping

from .patched import Report
from .place import KINDS, Key, Place
from .relocations import Expected

MAX_MISPLACED = 3
"""Sites of one function at wrong places that are named."""


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
