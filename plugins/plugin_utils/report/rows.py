# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of all hosts -> what every report shows: the lines of the matrix, its columns, the state of a cell.

Texts of hosts are made harmless where they are shown, by ``foreign.plain``: no control characters, no bytes that are
no text, no endless lines.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..verdict.verify import STEPS

Result = Mapping[str, Any]
"""An entry of results.json; see schemas/results.schema.json."""

System = Mapping[str, str]
"""A row of data/systems.yml: name, system, kernel, arch, group, why, and variant where it has one."""

NOT_RUN = "not run"


@dataclass(frozen=True)
class Line:
    """One line of the matrix: a system, and its result unless it was not run; one of both is there."""

    system: System | None
    result: Result | None

    @property
    def name(self) -> str:
        """Name of the host."""
        return str(self.result["host"] if self.result else (self.system or {})["name"])

    @property
    def verdict(self) -> str:
        """The verdict, or "not run"."""
        return str(self.result["verdict"]) if self.result else NOT_RUN

    @property
    def bad(self) -> bool:
        """Was it run, and is it not OK?"""
        return self.verdict not in ("OK", NOT_RUN)

    def known(self, key: str) -> str:
        """What the host said it is, else what it is to be; empty when not known.

        The kernel that was asked for never stands for the one that ran.
        """
        said = (self.result or {}).get(key)
        return str(said or (self.about(key) if not self.result or key in ("system", "arch") else ""))

    def about(self, key: str) -> str:
        """A text of the row of data/systems.yml; empty for a host that is not a row."""
        return str((self.system or {}).get(key) or "")

    def step(self, name: str) -> Mapping[str, Any] | None:
        """The record of a step; None when the host did not get there."""
        steps = self.result.get("steps", ()) if self.result else ()
        return next((step for step in steps if step["step"] == name), None)


def key(result: Result) -> str:
    """What results of the same system have in common: the name of its row, else of its host."""
    return str(result.get("row", {}).get("name") or result["host"])


def merge(runs: Iterable[Sequence[Result]]) -> list[Result]:
    """The results of several runs, one for each system: the one that finished last.

    A result that does not say when it finished, because nothing was done, takes the place of those before it.
    """
    kept: dict[str, Result] = {}
    for results in runs:
        for result in results:
            finished = str(result.get("finished", ""))
            if not finished or finished >= str(kept.get(key(result), {}).get("finished", "")):
                kept[key(result)] = result
    return list(kept.values())


def lines(results: Sequence[Result], systems: Callable[[], Sequence[System]] = list) -> list[Line]:
    """The lines of the matrix: the systems in their order, seeds first, then other hosts.

    ``systems`` is asked for them when a result is that of one.

    Systems that were not run are shown beside those that were: a run on other hosts only is not part of the matrix.
    """
    left = {key(result): result for result in results}
    found: list[Line] = []
    known = systems() if any("row" in result for result in results) else []
    if not left.keys().isdisjoint(row["name"] for row in known):
        for system in sorted(known, key=lambda system: system["group"] != "seed"):
            found.append(Line(system, left.pop(system["name"], None)))
    return found + [Line(result.get("row"), result) for result in left.values()]


def columns(table: Iterable[Line]) -> list[str]:
    """The steps that are columns: all of a run, and others that were recorded, each after the step before it."""
    found = list(STEPS)
    for line in table:
        before = -1
        for step in line.result.get("steps", ()) if line.result else ():
            if step["step"] not in found:
                found.insert(before + 1, step["step"])
            before = found.index(step["step"])
    return found


def sites(result: Result) -> str:
    """``patched/expected`` call sites, or nothing where they are not known."""
    if not result["sites"]:
        return ""
    patched = sum(site["call"] + site["jmp"] for site in result["sites"].values())
    return f"{patched}/{sum(site['expected'] for site in result['sites'].values())}"


def events(result: Result) -> str:
    """How many records there are, or nothing where that is not known."""
    return str(sum(result["events"].values())) if result["events"] else ""


def seconds(result: Result) -> str:
    """How long all steps took."""
    return f"{sum(result['durations'].values()):.1f}"


def short_compiler(text: str) -> str:
    """``gcc 10.2.1`` of ``gcc (Debian 10.2.1-6) 10.2.1 20210110``: its name and its version."""
    found = re.fullmatch(r"(\S+) .*?(?<!\S)(\d+(?:\.\d+)+)(?!\S).*", text)
    return f"{found[1]} {found[2]}" if found else text


def summary(table: Sequence[Line]) -> str:
    """``3 hosts: 2 OK, 1 CRASH; 6 systems not run``."""
    counts: dict[str, int] = {}
    for line in table:
        counts[line.verdict] = counts.get(line.verdict, 0) + 1
    missing = counts.pop(NOT_RUN, 0)
    if not counts:
        return "no host was judged"
    parts = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    left = f"; {many(missing, 'system')} {NOT_RUN}" if missing else ""
    return f"{many(sum(counts.values()), 'host')}: {parts}{left}"


def many(count: int, what: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{count} {what}{'s' if count != 1 else ''}"


def functions(result: Result) -> list[dict[str, Any]]:
    """What is known of each function, most events first.

    ``{function, events, patched, expected, unreached, tried}``: counts are None where they are not known, ``tried``
    lists the symbols of an optional function that the kernel does not export, ``unreached`` says what was not seen.
    """
    found: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        empty: dict[str, Any] = {"events": None, "patched": None, "expected": None, "unreached": "", "tried": []}
        return found.setdefault(name, {"function": name, **empty})

    for name, site in result["sites"].items():
        of(name).update(patched=site["call"] + site["jmp"], expected=site["expected"])
    for event, count in result["events"].items():
        of(event.removeprefix("called_"))["events"] = count
    for name, counts in result.get("unreached", {}).items():
        of(name)["unreached"] = unreached(counts)
    for item in result.get("unresolved", ()):
        of(item["function"])["tried"] = item["tried"]
    return sorted(found.values(), key=lambda one: (-(one["events"] or 0), -(one["expected"] or 0), one["function"]))


def unreached(counts: Mapping[str, Any]) -> str:
    """In words, what refers to a function and is not a direct call."""
    parts = [
        f"{counts[name]} {words}"
        for name, words in (("pointers", "by pointer"), ("static_calls", "static calls"), ("other", "other references"))
        if counts.get(name)
    ]
    return ", ".join([*parts, "no reference"] if counts.get("unreferenced") else parts)
