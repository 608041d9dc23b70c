# SPDX-License-Identifier: GPL-3.0-or-later
"""What a question gave, printed as text, CSV or JSON."""

import csv
import json
from typing import Any, TextIO

from ..base.foreign import plain, spreadsheet
from ..base.table import table
from .query import Table

WIDEST = 60
"""Characters of a cell in a printed table; the rest is cut off."""


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{plain(key)}={plain(one)}" for key, one in value.items())
    return plain(value)


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
