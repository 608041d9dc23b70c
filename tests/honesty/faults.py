# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of faults.yml, read strictly, and the table of them in docs/honesty.md.

``python tests/honesty/faults.py`` writes the table anew.
"""

from __future__ import annotations

import pathlib
import sys
from dataclasses import dataclass, field
from typing import Any

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIST = HERE / "faults.yml"
PAGE = ROOT / "docs" / "honesty.md"
BEGIN = "<!-- made of tests/honesty/faults.yml by tests/honesty/faults.py; do not edit -->"
END = "<!-- end of what is made -->"

PLACES = {
    "stored": "a file of the run directory, after it came",
    "sent": "what the host sends",
    "expected": "the expectations",
    "pages": "a file of a watch, after it came",
    "code": "the code of controller or payload",
    "guest": "the guest, while it is tested",
    "exercise": "the exercise",
    "control": "the control node",
}
"""Where a fault is put in, by the word of faults.yml."""

VERDICTS = ("OK", "FAIL", "CRASH", "INFRA", "SKIP", "NO-RESULT", "refused")
"""What may be expected; refused: the command says what is wrong, judges nothing and does not exit with 0."""


@dataclass(frozen=True)
class Fault:
    """One fault: what it is, where and how it is put in, the verdict that it must have, words of the reason."""

    id: str
    fault: str
    place: str
    verdict: str
    way: str
    says: tuple[str, ...] = ()
    given: dict[str, Any] = field(default_factory=dict)


_KEYS = {"id", "fault", "place", "verdict", "way"}
_OPTIONAL = {"says", "with", "each"}


def rows() -> list[dict[str, Any]]:
    """The entries of faults.yml.  Raises ValueError for one that is not well-formed."""
    found = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    for row in found:
        if not row.keys() >= _KEYS or row.keys() - _KEYS - _OPTIONAL:
            raise ValueError(f"{LIST.name}: {row.get('id')}: needs {sorted(_KEYS)}, may have {sorted(_OPTIONAL)}")
        if row["place"] not in PLACES or row["verdict"] not in VERDICTS:
            raise ValueError(f"{LIST.name}: {row['id']}: the place or the verdict is not one of those known")
    return found


def faults(place: str = "", way: str = "") -> list[Fault]:
    """Every fault, an entry with ``each`` once for each value; of one place or way only where it is given."""
    every = [fault for row in rows() for fault in _faults_of(row)]
    return [one for one in every if one.place == (place or one.place) and one.way == (way or one.way)]


def _faults_of(row: dict[str, Any]) -> list[Fault]:
    if "each" not in row:
        return [_fault(row, row["id"], row.get("with", {}), row.get("says", []))]
    return [
        _fault(row, f"{row['id']}-{number}" if " " in each else f"{row['id']}-{each}",
               {**row.get("with", {}), "each": each}, [text.replace("{each}", each) for text in row.get("says", [])])
        for number, each in enumerate(row["each"], 1)
    ]  # fmt: skip


def _fault(row: dict[str, Any], name: str, given: dict[str, Any], says: list[str]) -> Fault:
    return Fault(name, row["fault"], row["place"], row["verdict"], row["way"], tuple(says), given)


def table() -> str:
    """The table of docs/honesty.md: a row for each entry; the values of ``each`` stand with it."""
    lines = ["| fault | where it is put in | what the verdict must be |", "|---|---|---|"]
    for row in rows():
        each = ": " + ", ".join(f"`{one}`" for one in row["each"]) if "each" in row else ""
        cells = [row["fault"] + each, PLACES[row["place"]], row["verdict"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def filled(page: str) -> str:
    """The text of the page with the present table in it.  Raises ValueError without the two marks."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name}: the lines '{BEGIN}' and '{END}' are needed")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: the table is that of {LIST}\n")
