# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of tested systems are those of the results that the project keeps, and tell every system."""

from __future__ import annotations

import json
from pathlib import Path

import cloud_disk
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.lab import systems
from ansible_collections.kedr.lab.plugins.plugin_utils.report import readme, results, rows
from ansible_collections.kedr.lab.plugins.plugin_utils.report import text as report

ROOT = Path(__file__).parents[2]
ROWS = systems.load_systems(systems.SHIPPED)
SYSTEMS = [row.about() for row in ROWS]
RENEW = "run: make matrix && bin/kedr report --readme runs/latest"


def kept() -> list[dict]:
    return results.read(str(ROOT / readme.KEPT))


def shown(page: str = "README.md") -> str:
    text = (ROOT / page).read_text()
    return text.partition(readme.BEGIN)[2].partition(readme.END)[0].strip("\n")


def test_the_results_that_are_kept_have_the_present_form() -> None:
    assert readme.keep(kept()) == kept(), RENEW


def test_each_of_them_has_a_line_of_its_own() -> None:
    lines = (ROOT / readme.KEPT).read_text().splitlines()[1:-1]
    renew = f"run: bin/kedr report --readme {readme.KEPT}"
    assert [json.loads(line.rstrip(",")) for line in lines] == kept(), renew


def test_the_table_is_what_the_generator_makes_of_them() -> None:
    matrix = rows.lines(kept(), lambda: SYSTEMS)
    assert shown(readme.MATRIX_PAGE) == readme.table(matrix), "run: bin/kedr report --readme"
    assert shown() == readme.short_table(matrix), "run: bin/kedr report --readme"


def test_the_readme_tells_how_many_systems_are_not_run() -> None:
    never = sum(not any(result["row"]["name"] == row["name"] for result in kept()) for row in SYSTEMS)
    assert f"; {never} systems not run; finished " in shown()


@pytest.mark.parametrize("name", [row["name"] for row in SYSTEMS])
def test_the_table_has_a_row_for_every_system(name: str) -> None:
    (row,) = [row for row in SYSTEMS if row["name"] == name]
    (result,) = [result for result in kept() if result["row"]["name"] == name] or [row]
    cells = [row["system"] + (f", {row['variant']}" if "variant" in row else ""), result["kernel"], result["arch"]]
    start = "| " + " | ".join(report.markdown_text(cell) for cell in cells) + " |"
    assert [line for line in shown(readme.MATRIX_PAGE).splitlines() if line.startswith(start)], RENEW


def test_the_page_of_systems_is_what_the_generator_makes_of_them() -> None:
    made = readme.checked_table([(row.about(), row.target) for row in ROWS], kept())
    assert shown("docs/systems.md") == made, "run: bin/kedr report --readme"


@pytest.mark.parametrize("name", [row["name"] for row in SYSTEMS])
def test_the_page_of_systems_says_on_which_kernel_a_row_was_checked_or_that_it_never_was(name: str) -> None:
    (line,) = [line for line in shown("docs/systems.md").splitlines() if line.startswith(f"| {name} |")]
    found = [result for result in kept() if result["row"]["name"] == name]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[3:5] == ([found[0]["finished"][:10], found[0]["kernel"]] if found else ["never", ""])


def test_a_row_that_has_a_result_does_not_say_that_it_was_never_checked() -> None:
    never = {row.name for row in systems.load_systems(systems.SHIPPED) if row.checked == "never"}
    assert never & {result["row"]["name"] for result in kept()} == set()


def test_no_result_is_of_a_system_that_is_gone() -> None:
    known = {row["name"] for row in SYSTEMS} | {cloud_disk.ROW}
    assert {result["row"]["name"] for result in kept()} <= known, RENEW
