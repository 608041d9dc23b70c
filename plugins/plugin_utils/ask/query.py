# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the table of records, asked of DuckDB, and their answers printed.

The table is a directory of ``run=…/system=…/HOST.parquet`` (``dataset``); any number of directories, runs and
hosts make one table.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TextIO

from ..base.errors import InputError
from ..base.foreign import plain, spreadsheet
from ..base.near import did_you_mean, near
from ..base.packages import need
from ..base.table import table
from ..trace import dataset
from . import questions

with contextlib.suppress(ImportError):
    import duckdb

WIDEST = 60
"""Characters of a cell in a printed table; the rest is cut off."""


class Table(NamedTuple):
    """Rows with the names of their columns."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def connect(
    directories: Sequence[str], spill: str, chosen: Mapping[str, list[str]] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a connection with the view ``calls`` over the chosen records.  Raises KedrError.

    ``spill`` is a directory for records that do not fit into memory; nobody else may read it.
    """
    need("duckdb", "numpy", "pyarrow")
    paths = dataset.files(directories)
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": False, "autoload_known_extensions": False, "temp_directory": spill,
        }
    )
    try:
        connection.execute(questions.view(paths, chosen or {}))
    except duckdb.Error as error:
        raise InputError(f"the records cannot be read: {_one_line(error)}") from None
    return connection


def ask(connection: duckdb.DuckDBPyConnection, question: str) -> Table:
    """Ask one question in SQL.  Raises InputError."""
    try:
        answer = connection.execute(question)
        return Table([column[0] for column in answer.description or ()], answer.fetchall())
    except duckdb.Error as error:
        raise InputError(f"the question cannot be answered: {_one_line(error)}") from None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def known_event(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """Return an event of the table, also by the name of its function.  Raises InputError with similar names."""
    known = [row[0] for row in ask(connection, questions.EVENTS).rows]
    for candidate in (name, f"called_{name}"):
        if candidate in known:
            return candidate
    raise InputError(f"no record of event '{name}'{_near(name, known)}")


def known_argument(connection: duckdb.DuckDBPyConnection, event: str | None, name: str) -> str:
    """Return an argument of an event, or of any event.  Raises InputError with similar names."""
    known = [row[0] for row in ask(connection, questions.arguments(event)).rows]
    if name in known:
        return name
    raise InputError(f"{event or 'no event'} has {'no' if event else 'an'} argument '{name}'{_near(name, known)}")


def _near(name: str, known: Sequence[str]) -> str:
    if not known:
        return "; there are no records at all"
    # What nearly all names begin with makes none of them near to another.
    short = {one.removeprefix("called_"): one for one in known}
    found = [short[one] for one in near(name.removeprefix("called_"), short, 3, 0.5)]
    return did_you_mean(*found) or f"; there are: {', '.join(known[:20])}{', …' if len(known) > 20 else ''}"


def show(answer: Table, form: str, out: TextIO) -> None:
    """Print an answer as a table, as CSV or as JSON."""
    if form == "json":
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        out.write(json.dumps(rows, indent=1, default=str) + "\n")
    elif form == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([spreadsheet(plain(name)) for name in answer.columns])
        writer.writerows([spreadsheet(_cell(value)) for value in row] for row in answer.rows)
    else:
        _table(answer, out)


def _table(answer: Table, out: TextIO) -> None:
    cells = [[_cell(value) for value in row] for row in answer.rows]
    cells = [[text if len(text) <= WIDEST else text[: WIDEST - 1] + "…" for text in row] for row in cells]
    right = [
        any(isinstance(row[index], (int, float)) and not isinstance(row[index], bool) for row in answer.rows)
        for index in range(len(answer.columns))
    ]
    for line in table([plain(name) for name in answer.columns], cells, right):
        out.write(line + "\n")
    out.write(f"({len(cells)} row{'' if len(cells) == 1 else 's'})\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{plain(key)}={plain(one)}" for key, one in value.items())
    return plain(value)
