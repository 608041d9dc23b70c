# SPDX-License-Identifier: GPL-3.0-or-later
"""The original program's output and messages, recorded: 117 cases for its rules, 1,000 at random.

A line of `cases/*.jsonl` is one case: the files it needs, with each byte as the character of the
same code, the exit code (any but 0 stands for all others), and both output streams.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Generate, Outcome, write_files

CASES = Path(__file__).parent / "cases"


def load(name: str) -> list[Any]:
    """The cases of one file as parameters of a test."""
    lines = (CASES / name).read_text("ascii").splitlines()
    return [pytest.param(case, id=case["id"]) for case in map(json.loads, lines)]


def prepare(case: dict[str, Any], folder: Path) -> Outcome:
    """Write the files of a case; returns what must come out."""
    write_files(folder, {name: text.encode("latin-1") for name, text in case["files"].items()})
    return Outcome(case["rc"], case["out"].encode("latin-1"), case["err"].encode("latin-1"))


def test_all_recorded_cases_are_there() -> None:
    assert len(load("corpus.jsonl")) == 117
    assert len(load("fuzz.jsonl")) == 1000


@pytest.mark.parametrize("case", load("corpus.jsonl"))
def test_rule_holds_to_the_byte(case: dict[str, Any], folder: Path, program: Generate) -> None:
    expected = prepare(case, folder)
    assert program("templates", "input.data") == expected


@pytest.mark.parametrize("case", load("fuzz.jsonl"))
def test_random_input_gives_the_recorded_bytes(
    case: dict[str, Any], folder: Path, generate: Generate
) -> None:
    expected = prepare(case, folder)
    assert generate("t", "in") == expected
