# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of a matrix -> what the project keeps of them, and the tables of tested systems in README.md and docs."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base.errors import InputError
from .rows import NOT_RUN, Line, Result, System, events, key, sites, summary
from .text import markdown_table, markdown_text

KEPT = os.path.join("docs", "results", "matrix.json")
"""Where the checkout keeps the results that its README shows, one in a line."""

NEEDED = ("row", "target", "steps", "finished", "unreached")
"""Keys that the schema leaves free and every result must have to be kept."""

BEGIN = "<!-- tested systems: made by bin/kedr report --readme -->"
END = "<!-- end of tested systems -->"
README = "README.md"
"""The page that tells of the systems on which the sample target was run as they are installed."""
MATRIX_PAGE = os.path.join("docs", "matrix.md")
"""The page that tells of every system with the newest result."""
SYSTEMS_PAGE = os.path.join("docs", "systems.md")
"""The page that tells of every row when it was checked, and on which kernel."""

HEADINGS = ("system", "kernel", "arch", "compiler", "target", "verdict", "call sites", "events")


def keep(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The results as the project keeps them: without evidence and console, and without the folder that they ran in.

    Raises InputError.
    """
    for result in results:
        missing = [name for name in NEEDED if name not in result]
        if missing:
            raise InputError(f"the result of {result['host']} has no '{missing[0]}': "
                             "it is of an older version, or its host is not a row of data/systems.yml")
    return [_kept(result) for result in results]


def _kept(result: Result) -> dict[str, Any]:
    place = re.match(r"cd ('?)(.+?)\1 && ", result["reproduce"])
    kept = {name: value for name, value in result.items() if name not in ("evidence", "console", "round_trips")}
    if place:
        kept = {name: _without(value, place[2]) for name, value in kept.items()}
    return {**kept, "reproduce": re.sub(r"cd '?\.'? && ", "", kept["reproduce"], count=1)}


def _without(value: Any, folder: str) -> Any:
    """A value that names places in a folder from there, in all of its texts."""
    if isinstance(value, str):
        return value.replace(f"{folder}/", "").replace(folder, ".")
    if isinstance(value, list):
        return [_without(item, folder) for item in value]
    if isinstance(value, dict):
        return {name: _without(item, folder) for name, item in value.items()}
    return value


def short_table(matrix: Sequence[Line]) -> str:
    """The systems on which the sample target was run as they are installed, and the sum of the whole matrix."""
    alike = {tuple(_cells(line)): line for line in matrix if _is_plain(line)}
    return "\n".join([*_table(list(alike.values())), "", _sum(matrix)])


def _is_plain(line: Line) -> bool:
    return line.about("group") == "base" and not line.about("variant")


def table(matrix: Sequence[Line]) -> str:
    """The table, its sum, and the reason of each system that is not OK."""
    shown = [*_table(matrix), "", _sum(matrix)]
    bad = [line for line in matrix if line.bad and line.result]
    if bad:
        shown += ["", *(f"- {_system(line)}: {line.verdict}: {_reason(line)}" for line in bad)]
    return "\n".join(shown)


def _table(matrix: Sequence[Line]) -> list[str]:
    return markdown_table(HEADINGS, (_cells(line) for line in matrix))


def _sum(matrix: Sequence[Line]) -> str:
    last = max((str(line.result["finished"]) for line in matrix if line.result), default="")
    return f"{summary(matrix)}{f'; finished {last[:10]}' if last else ''}."


def _cells(line: Line) -> list[str]:
    result = line.result
    about = [markdown_text(line.known(name)) for name in ("kernel", "arch", "compiler", "target")]
    verdict = line.verdict if line.verdict == NOT_RUN else f"**{line.verdict}**"
    return [_system(line), *about, verdict, sites(result) if result else "", events(result) if result else ""]


def _system(line: Line) -> str:
    name = line.about("system") or line.known("system")
    return markdown_text(f"{name}, {line.about('variant')}" if line.about("variant") else name)


def _reason(line: Line) -> str:
    return markdown_text(str(line.result["reason"]) if line.result else "", 1000)


CHECKED = ("row", "system", "target", "checked", "kernel that ran", "what was seen")
NEVER = "never"


def checked_table(rows: Iterable[tuple[System, str]], results: Iterable[Result]) -> str:
    """Every row with the day when it was checked last, the exact kernel, and what was seen there.

    ``rows`` has what is said of each row, and its target.

    A row without a result of its own was never checked by those who wrote it.
    """
    left = {key(result): result for result in results}
    cells = [_checked(about, target, left.pop(about["name"], None)) for about, target in rows]
    cells += [_checked(result["row"], str(result["target"]), result) for result in left.values()]
    return "\n".join(markdown_table(CHECKED, cells))


def _checked(about: Mapping[str, str], target: str, result: Result | None) -> list[str]:
    system = f"{about['system']}, {about['variant']}" if about.get("variant") else about["system"]
    first = [about["name"], system, target or "cp_target"]
    if result is None:
        return [markdown_text(cell) for cell in (*first, NEVER, "", "")]
    seen = [f"**{result['verdict']}**"]
    if result["verdict"] == "OK":
        seen += [f"{sites(result)} call sites" if sites(result) else "", f"{events(result)} events"]
    else:
        seen += [markdown_text(str(result["reason"]), 300)]
    plain = (*first, str(result["finished"])[:10], str(result["kernel"]))
    return [*(markdown_text(cell) for cell in plain), ", ".join(word for word in seen if word)]


def fill(page: str, text: str, name: str = "README.md") -> str:
    """A page with this text between its two marks.  Raises InputError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end or BEGIN in old + after:
        raise InputError(f"{name} must hold the lines '{BEGIN}' and '{END}' once, in this order")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"
