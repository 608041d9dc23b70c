# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of all hosts -> tables that people read.

What hosts say ends up here, so every text is made harmless first: no control characters, no bytes that are
no text, no endless lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import plain as clean

Result = Mapping[str, Any]

_MARKUP = {"<": "&lt;", "&": "&amp;", **{char: "\\" + char for char in "\\`*_[]|>#~!"}}

HEADINGS = ("host", "system", "kernel", "arch", "verdict", "events", "sites", "seconds")
_WIDTHS = {"host": 32, "system": 36, "kernel": 40, "arch": 12}


def row(result: Result) -> tuple[str, ...]:
    """The cells of one host, in the order of HEADINGS."""
    events = sum(result["events"].values())
    patched = sum(site["call"] + site["jmp"] for site in result["sites"].values())
    expected = sum(site["expected"] for site in result["sites"].values())
    sites = f"{patched}/{expected}" if result["sites"] else "-"
    cells = {
        "host": result["host"],
        "system": result["system"],
        "kernel": result["kernel"],
        "arch": result["arch"],
        "verdict": result["verdict"],
        "events": events,
        "sites": sites,
        "seconds": f"{sum(result['durations'].values()):.1f}",
    }
    return tuple(clean(cells[name] if cells[name] != "" else "-", _WIDTHS.get(name, 20)) for name in HEADINGS)


def table(results: Sequence[Result], evidence: bool = True) -> str:
    """The table for a terminal, and below it what decided each host; ``evidence`` adds every line of it."""
    rows = [row(result) for result in results]
    widths = [max(len(cells[index]) for cells in [HEADINGS, *rows]) for index in range(len(HEADINGS))]
    lines = [_line(HEADINGS, widths), _line(tuple("-" * width for width in widths), widths)]
    lines += [_line(cells, widths) for cells in rows]
    for result in results:
        lines += ["", *_details(result, evidence)]
    lines += ["", summary(results)]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    right = {HEADINGS.index(name) for name in ("events", "sites", "seconds")}
    return "  ".join(
        cell.rjust(width) if index in right else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()


def _details(result: Result, evidence: bool) -> list[str]:
    lines = [f"{clean(result['host'], 100)}: {result['verdict']}: {clean(result['reason'], 500)}"]
    for finding in result.get("evidence", ()) if evidence else ():
        lines.append(f"  {finding['outcome']:<7} {clean(finding['source'], 60)}: {clean(finding['text'], 500)}")
    for item in result.get("unresolved", ()):
        tried = ", ".join(clean(name, 80) for name in item["tried"])
        lines.append(f"  not there: optional function {clean(item['function'], 80)}; tried: {tried}")
    if result.get("console"):
        lines.append("  the last lines of the console:")
        lines += [f"    | {clean(line, 200)}" for line in result["console"]]
    if result["verdict"] != "OK":
        lines.append(f"  again: {clean(result['reproduce'], 1000)}")
    return lines


def summary(results: Sequence[Result]) -> str:
    """``3 hosts: 2 OK, 1 CRASH``."""
    if not results:
        return "no host was judged"
    counts: dict[str, int] = {}
    for result in results:
        counts[result["verdict"]] = counts.get(result["verdict"], 0) + 1
    parts = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"{len(results)} host{'s' if len(results) != 1 else ''}: {parts}"


def markdown(results: Sequence[Result]) -> str:
    """The table in Markdown, with the reason of each host as the last column."""
    headings = (*HEADINGS, "reason")
    lines = [_markdown_line(headings), _markdown_line(["---"] * len(headings))]
    for result in results:
        cells = [_markdown_cell(cell) for cell in (*row(result), clean(result["reason"], 300))]
        lines.append(_markdown_line(cells))
    return "\n".join([*lines, "", summary(results), ""])


def _markdown_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_cell(text: str) -> str:
    """Text that is shown as it is: neither markup nor HTML nor a cell border."""
    return "".join(_MARKUP.get(char, char) for char in text)
