# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's table of tested systems is that of the results that the project keeps, and tells every system."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils import kedr_report, report, report_readme, systems

ROOT = Path(__file__).parents[2]
SYSTEMS = [row.about() for row in systems.load_systems(systems.SHIPPED)]
RENEW = "run: make matrix && bin/kedr-report --readme runs/latest"


def kept() -> list[dict]:
    return kedr_report.read(str(ROOT / report_readme.KEPT))


def shown() -> str:
    text = (ROOT / "README.md").read_text()
    return text.partition(report_readme.BEGIN)[2].partition(report_readme.END)[0].strip("\n")


def test_the_results_that_are_kept_have_the_present_form() -> None:
    assert report_readme.keep(kept()) == kept(), RENEW


def test_the_table_is_what_the_generator_makes_of_them() -> None:
    assert shown() == report_readme.table(report.matrix(kept())), "run: bin/kedr-report --readme"


@pytest.mark.parametrize("name", [row["name"] for row in SYSTEMS])
def test_the_table_has_a_row_for_every_system(name: str) -> None:
    (row,) = [row for row in SYSTEMS if row["name"] == name]
    (result,) = [result for result in kept() if result["row"]["name"] == name] or [row]
    cells = [row["system"] + (f", {row['variant']}" if "variant" in row else ""), result["kernel"], result["arch"]]
    start = "| " + " | ".join(report.markdown_text(cell) for cell in cells) + " |"
    assert [line for line in shown().splitlines() if line.startswith(start)], RENEW


def test_no_result_is_of_a_system_that_is_gone() -> None:
    assert {result["row"]["name"] for result in kept()} <= {row["name"] for row in SYSTEMS}, RENEW
