# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``kedr report``: reports of runs made again, of one or of several together; the tables in README.md and
docs/systems.md.

It judges nothing: what it shows is what results.json of each run says.
"""

import argparse
import json
import os
from collections.abc import Sequence

from ..base import paths
from ..base.errors import InputError
from ..lab.systems import SHIPPED, about_shipped, load_systems
from ..report import readme, results
from ..report import rows as report_rows
from ..report import text as report


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = (
        "The reports are results.json, report.html, report.md and junit.xml. "
        "A system that is in several runs is shown as it was in the run that finished last."
    )
    parser.add_argument("runs", metavar="RUN", nargs="*", help="a run directory, or a results.json")
    parser.add_argument("-o", "--output", metavar="DIR", help="where the reports go; by default into a single RUN")
    parser.add_argument(
        "--readme",
        action="store_true",
        help=f"keep the results in {readme.KEPT} and write the tables of {readme.README}, "
        f"{readme.MATRIX_PAGE} and {readme.SYSTEMS_PAGE}; without RUN only the tables",
    )


def run(options: argparse.Namespace) -> int:
    """Make the reports.  Raises KedrError, OSError."""
    if not options.runs and not options.readme:
        raise InputError("name a run directory, for example runs/latest")
    if options.output and options.readme:
        raise InputError("--output and --readme exclude each other")
    if len(options.runs) > 1 and not options.output and not options.readme:
        raise InputError("several runs need --output DIR, the directory for the reports of all of them")
    merged = report_rows.merge(results.read(path) for path in options.runs)
    if options.readme:
        _readme(paths.ROOT, merged)
    else:
        _reports(options.output or _directory(options.runs[0]), merged, options.runs)
    return 0


def _directory(path: str) -> str:
    return os.path.realpath(path if os.path.isdir(path) else os.path.dirname(path) or ".")


def _reports(directory: str, found: list[report_rows.Result], runs: Sequence[str]) -> None:
    os.makedirs(directory, mode=0o700, exist_ok=True)
    table = report_rows.lines(found, about_shipped)
    names = report.write(directory, found, table, [os.path.basename(_directory(path)) for path in runs])
    print(report.terminal(table))
    print(f"\n{directory}: {', '.join(names)}")


def _readme(root: str, new: Sequence[report_rows.Result]) -> None:
    kept = os.path.join(root, readme.KEPT)
    if new:
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        lines = ",\n".join(json.dumps(result) for result in readme.keep(new))
        with open(kept, "w", encoding="utf-8") as stream:
            stream.write(f"[\n{lines}\n]\n")
    found = results.read(kept)
    rows = [(row.about(), row.target) for row in load_systems(SHIPPED)]
    matrix = report_rows.lines(found, about_shipped)
    tables = {readme.README: readme.short_table(matrix), readme.MATRIX_PAGE: readme.table(matrix),
              readme.SYSTEMS_PAGE: readme.checked_table(rows, found)}
    for name, table in tables.items():
        path = os.path.join(root, name)
        with open(path, encoding="utf-8") as stream:
            text = readme.fill(stream.read(), table, name)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        print(f"{path}: the table is that of {readme.KEPT}")
