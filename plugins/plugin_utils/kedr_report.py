# SPDX-License-Identifier: GPL-3.0-or-later
"""The command kedr-report: reports of runs made again, of one or of several together; the tables in README.md and
docs/systems.md.

It judges nothing: what it shows is what results.json of each run says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from . import report, report_readme, report_rows
from .base import paths
from .base.errors import ForeignError, InputError
from .base.foreign import printable
from .systems import SHIPPED, load_systems
from .verdict import MAX_JSON


def main(program: str, arguments: Sequence[str]) -> int:
    """Make the reports; returns 0, or 2 after a message when that was not possible."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    if not options.runs and not options.readme:
        parser.error("name a run directory, for example runs/latest")
    if options.output and options.readme:
        parser.error("--output and --readme exclude each other")
    if len(options.runs) > 1 and not options.output and not options.readme:
        parser.error("several runs need --output DIR, the directory for the reports of all of them")
    try:
        results = report_rows.merge(read(path) for path in options.runs)
        if options.readme:
            _readme(paths.ROOT, results)
        else:
            _reports(options.output or _directory(options.runs[0]), results, options.runs)
    except (ForeignError, InputError) as error:
        return _refuse(program, str(error))
    except OSError as error:
        return _refuse(program, f"{error.filename}: {error.strerror or error}")
    return 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Makes the reports of runs again: results.json, report.html, report.md, junit.xml.",
        epilog="A system that is in several runs is shown as it was in the run that finished last.",
    )
    parser.add_argument("runs", metavar="RUN", nargs="*", help="a run directory, or a results.json")
    parser.add_argument("-o", "--output", metavar="DIR", help="where the reports go; by default into a single RUN")
    parser.add_argument(
        "--readme",
        action="store_true",
        help=f"keep the results in {report_readme.KEPT} and write the tables of README.md and "
        f"{report_readme.SYSTEMS_PAGE}; without RUN only the tables",
    )
    return parser


def _refuse(program: str, text: str) -> int:
    print(printable(f"{program}: error: {text}"), file=sys.stderr)
    return 2


def _directory(path: str) -> str:
    return os.path.realpath(path if os.path.isdir(path) else os.path.dirname(path) or ".")


def read(path: str) -> list[dict[str, Any]]:
    """The results of a run, as the schema describes them.  Raises ForeignError."""
    name = os.path.join(path, "results.json") if os.path.isdir(path) else path
    if os.path.exists(os.path.join(path, "run.json")) and not os.path.exists(name):
        raise ForeignError(f"{path}: this run was never judged, so there is nothing to report: "
                           "its playbook ended before, or still runs; kedr.lab.verdict judges it")
    found = list(checked(name, "results"))
    if not found:
        raise ForeignError(f"{name}: holds the result of no host")
    return found


def checked(name: str, form: str) -> Any:
    """What a JSON file holds, which has the form of ``schemas/<form>.schema.json``.  Raises ForeignError."""
    try:
        with open(name, "rb") as stream:
            data = stream.read(MAX_JSON + 1)
        if len(data) > MAX_JSON:
            raise ForeignError(f"{name}: has more than {MAX_JSON} bytes")
        found = json.loads(data)
        wrong = next(validator(form).iter_errors(found), None)
    except OSError as error:
        raise ForeignError(f"{name}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ForeignError(f"{name}: is no JSON: {str(error)[:200]}") from None
    if wrong is not None:
        place = "/".join(str(part) for part in wrong.absolute_path) or "the whole"
        raise ForeignError(f"{name}: {place[:200]}: {wrong.message[:200]}; see schemas/{form}.schema.json")
    return found


def validator(form: str) -> Any:
    """What tells whether JSON has a published form.  Raises ModuleNotFoundError without jsonschema."""
    import jsonschema  # here, since nothing else in this file needs more than the reports themselves

    with open(os.path.join(paths.ROOT, "schemas", f"{form}.schema.json"), encoding="utf-8") as stream:
        return jsonschema.Draft202012Validator(json.load(stream))


def _reports(directory: str, results: list[report_rows.Result], runs: Sequence[str]) -> None:
    os.makedirs(directory, mode=0o700, exist_ok=True)
    names = report.write(directory, results, [os.path.basename(_directory(path)) for path in runs])
    print(report.terminal(report.matrix(results)))
    print(f"\n{directory}: {', '.join(names)}")


def _readme(root: str, results: Sequence[report_rows.Result]) -> None:
    kept = os.path.join(root, report_readme.KEPT)
    if results:
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        lines = ",\n".join(json.dumps(result) for result in report_readme.keep(results))
        with open(kept, "w", encoding="utf-8") as stream:
            stream.write(f"[\n{lines}\n]\n")
    rows, found = load_systems(SHIPPED), read(kept)
    tables = {"README.md": report_readme.table(report.matrix(found)),
              report_readme.SYSTEMS_PAGE: report_readme.checked_table(rows, found)}
    for name, table in tables.items():
        path = os.path.join(root, name)
        with open(path, encoding="utf-8") as stream:
            text = report_readme.fill(stream.read(), table, name)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        print(f"{path}: the table is that of {report_readme.KEPT}")
