# SPDX-License-Identifier: GPL-3.0-or-later
"""results.json -> what people read: a table for the terminal, Markdown, and the files of a run directory."""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence

from ..base.files import write_file
from ..base.foreign import plain as clean
from ..base.table import table as table_of
from ..verdict.verify import STEPS
from . import junit, page
from .rows import Line, Result, columns, events, seconds, short_compiler, sites, summary

_MARKUP = {"<": "&lt;", "&": "&amp;", **{char: "\\" + char for char in "\\`*_[]|>#~!"}}

NAME = "results.json"
HEADINGS = ("host", "system", "kernel", "arch", "compiler", "verdict", "steps", "events", "sites", "seconds")
_RIGHT = ("steps", "events", "sites", "seconds")
_WIDTHS = {"host": 32, "system": 36, "kernel": 40, "arch": 12}
_STATUS = {"ok": "ok", "failed": "FAILED", "unreachable": "LOST", "refused": "refused", "skipped": "skipped"}


def write_run(run_dir: str, results: Sequence[Result], table: Sequence[Line]) -> bool:
    """Write the verdict of each host, the reports, and at last the results of a run; returns whether they are new.

    ``table`` has the lines of the results.  Raises OSError.
    """
    changed = differs(os.path.join(run_dir, NAME), dump(results))
    for entry in results:
        if os.path.isdir(os.path.join(run_dir, entry["host"])):
            write_together(run_dir, {os.path.join(entry["host"], "verdict.json"): dump(entry)})
    write(run_dir, results, table, [os.path.basename(run_dir)])
    return changed


def write(directory: str, results: Sequence[Result], table: Sequence[Line], runs: Sequence[str]) -> list[str]:
    """Write every report of the results into a directory, and at last the results; returns the names of the files.

    ``table`` has the lines of the results, ``runs`` are the names of the runs that they are of.  Raises OSError.
    """
    files = {
        "report.md": markdown(table), "junit.xml": junit.junit(table),
        "report.html": page.page(table, title(results, runs)), NAME: dump(results),
    }
    write_together(directory, files)
    return list(files)


def write_together(directory: str, files: Mapping[str, str]) -> None:
    """Write files that say the same, in this order.

    When one cannot be written, it and all that would come after it are removed, so that no older one says something
    else.  Raises OSError.
    """
    names = list(files)
    for index, name in enumerate(names):
        try:
            write_file(os.path.join(directory, name), files[name])
        except OSError:
            for stale in names[index:]:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(directory, stale))
            raise


def differs(path: str, text: str) -> bool:
    """Does a file hold another text, or none that can be read?"""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read() != text
    except OSError:
        return True


def title(results: Sequence[Result], runs: Sequence[str]) -> str:
    """Which runs these are, and when the last of them ended."""
    last = max((str(result.get("finished", "")) for result in results), default="")
    ended = f", finished {last.replace('T', ' ').replace('Z', ' UTC')}" if last else ""
    return f"Run{'s' if len(runs) != 1 else ''} {', '.join(runs)}{ended}"


def dump(value: object) -> str:
    """JSON as it stands in files."""
    return json.dumps(value, indent=1) + "\n"


def terminal(table: Sequence[Line]) -> str:
    """The table, below it what decided the hosts that are not OK; an only host tells its evidence in any case."""
    shown = table_of(HEADINGS, [cells(line) for line in table], [name in _RIGHT for name in HEADINGS])
    for line in table:
        if line.result and (line.bad or len(table) == 1):
            shown += ["", *_details(line.result)]
    return "\n".join([*shown, "", summary(table)])


def cells(line: Line) -> tuple[str, ...]:
    """The cells of one line, in the order of HEADINGS; a dash for what is not known."""
    result = line.result
    values = {
        "host": line.name, "system": line.known("system"), "kernel": line.known("kernel"), "arch": line.known("arch"),
        "compiler": short_compiler(line.known("compiler")), "verdict": line.verdict,
        "steps": _done(line) if result else "", "events": events(result) if result else "",
        "sites": sites(result) if result else "", "seconds": seconds(result) if result else "",
    }
    return tuple(clean(values[name] or "-", _WIDTHS.get(name, 20)) for name in HEADINGS)


def _done(line: Line) -> str:
    done = sum((line.step(name) or {}).get("status") == "ok" for name in STEPS)
    return f"{done}/{len(STEPS)}"


def _details(result: Result) -> list[str]:
    shown = [f"{clean(result['host'], 100)}: {result['verdict']}: {clean(result['reason'], 500)}"]
    for finding in result.get("evidence", ()):
        shown.append(f"  {finding['outcome']:<7} {clean(finding['source'], 60)}: {clean(finding['text'], 500)}")
    for item in result.get("unresolved", ()):
        tried = ", ".join(clean(name, 80) for name in item["tried"])
        shown.append(f"  not there: optional function {clean(item['function'], 80)}; tried: {tried}")
    if result.get("console"):
        shown.append("  the last lines of the console:")
        shown += [f"    | {clean(line, 200)}" for line in result["console"]]
    if result["verdict"] != "OK":
        shown.append(f"  again: {clean(result['reproduce'], 1000)}")
    return shown


def markdown(table: Sequence[Line]) -> str:
    """The matrix in Markdown with a column for each step, and below it a part for each host that is not OK."""
    steps = columns(table)
    headings = ["host", "system", "kernel", "arch", "compiler", "target", *steps, "verdict", "events", "sites"]
    shown = markdown_table(headings, ([markdown_text(cell) for cell in _markdown_cells(line, steps)] for line in table))
    for line in table:
        if line.result and line.bad:
            shown += ["", *_markdown_part(line.result)]
    return "\n".join([*shown, "", summary(table), ""])


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; cells are Markdown."""
    above = [[markdown_text(name) for name in headings], ["---"] * len(headings)]
    return [f"| {' | '.join(row)} |" for row in (*above, *rows)]


def _markdown_cells(line: Line, steps: Sequence[str]) -> list[str]:
    about = [line.name, *(line.known(name) for name in ("system", "kernel", "arch", "compiler", "target"))]
    records = [line.step(name) for name in steps]
    result = line.result
    return [
        *about,
        *(_STATUS[record["status"]] if record else "" for record in records),
        line.verdict,
        events(result) if result else "",
        sites(result) if result else "",
    ]


def _markdown_part(result: Result) -> list[str]:
    shown = [f"## {markdown_text(result['host'])}: {result['verdict']}", "", markdown_text(result["reason"], 1000)]
    found = [
        f"- {one['outcome']}: {markdown_text(one['source'])}: {markdown_text(one['text'], 500)}"
        for one in result.get("evidence", ())
        if one["outcome"] != "ok"
    ]
    if found:
        shown += ["", *found]
    if result.get("console"):
        shown += ["", "The last lines of the console:", "", *_code(result["console"])]
    return [*shown, "", "Again:", "", *_code([result["reproduce"]])]


def _code(texts: Iterable[str]) -> list[str]:
    """A block of code: indented, since no text can end that."""
    return [f"    {clean(text, 4000)}" for text in texts]


def markdown_text(text: str, limit: int = 300) -> str:
    """Text that is shown as it is: neither markup nor HTML nor a cell border."""
    return "".join(_MARKUP.get(char, char) for char in clean(text, limit))
