# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of docs/mist.md, each run for real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Generate, Outcome, write_files

PAGE = Path(__file__).parents[2] / "docs" / "mist.md"
BLOCK = re.compile(r"^```(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEFAULTS = {"document/document.tpl": "[<$a : join(|)$>]", "block/block.tpl": ""}


def examples() -> list[dict[str, str]]:
    """The fenced blocks by their titles; an example ends with its output or its error."""
    found = []
    example: dict[str, str] = {}
    for title, text in BLOCK.findall(PAGE.read_text("utf-8")):
        assert title not in example
        example[title] = text.removesuffix("\n")
        if title in ("output", "error"):
            found.append(example)
            example = {}
    assert not example
    return found


def test_page_has_its_examples() -> None:
    assert len(examples()) >= 15


@pytest.mark.parametrize("example", examples())
def test_example_gives_what_the_page_says(example: dict[str, str], folder: Path, generate: Generate) -> None:
    output, error = example.pop("output", ""), example.pop("error", None)
    data = example.pop("data")
    write_files(folder, {f"t/{name}": text.encode() for name, text in {**DEFAULTS, **example}.items()})
    write_files(folder, {"input.data": data.encode()})
    expected = Outcome(0, output.encode(), b"") if error is None else Outcome(1, b"", f"{error}\n".encode())
    assert generate("t", "input.data") == expected
