# SPDX-License-Identifier: GPL-3.0-or-later
"""functions.yml: what it may hold, and what is wrong with it in which line."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.functions import load_functions
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import FunctionDb, PayloadError


def db(tmp_path: Path, text: str) -> FunctionDb:
    path = tmp_path / "functions.yml"
    path.write_text(text, encoding="utf-8")
    return load_functions(str(path))


def refused(tmp_path: Path, text: str) -> str:
    """The one complaint about a functions.yml, without its path."""
    with pytest.raises(InputError) as caught:
        db(tmp_path, text)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{tmp_path}/functions.yml:")
    return f"{problem.line}: {problem.text}"


@pytest.mark.parametrize(
    ("types", "reason"),
    [
        ("[1]", "types must map numbers of the function's arguments to C types"),
        ("{}", "types must map numbers of the function's arguments to C types"),
        ("{0: int}", "types must map numbers of the function's arguments to C types"),
        ("{true: int}", "types must map numbers of the function's arguments to C types"),
        ("{1: 'int)'}", "type 'int)': "),
    ],
)
def test_wrong_types_of_arguments_are_told(tmp_path: Path, types: str, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        db(tmp_path, f"alloc:\n  - symbol: alloc\n    types: {types}\n")
    assert f"functions.yml:3: {reason}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[a]", "1: a mapping of functions"),
        ("a b:\n  - symbol: x", "1: 'a b' cannot name a function"),
        ("a: x", "1: 'a' must be a list of candidates"),
        ("a: []", "1: 'a' must be a list of candidates"),
        ("a:\n  - x", "2: a candidate must have a key 'symbol'"),
        ("a:\n  - config: [CONFIG_X]", "2: a candidate must have a key 'symbol'"),
        ("a:\n  - symbol: 'x;y'", "2: symbol 'x;y' cannot name a function"),
        ("a:\n  - symbol: x\n    simbol: y", "3: unknown key 'simbol' of a candidate; allowed are symbol, config"),
        ("a:\n  - symbol: x\n    config: CONFIG_X", "3: config must be a list of options"),
        ("a:\n  - symbol: x\n    config: [x]", "3: config must be a list of options"),
        ("a:\n  - symbol: x\n    arguments: 1", "3: arguments must be a list"),
        ("a:\n  - symbol: x\n    arguments: [1, 1]", "3: arguments must hold each number"),
        ("a:\n  - symbol: x\n    arguments: [2]", "3: arguments must hold each number"),
        ("a:\n  - symbol: x\n    arguments:\n      - 'int x; int y'", "4: argument 'int x; int y': ';' cannot"),
        ("a:\n  - symbol: x\na:\n  - symbol: y", "3: 'a' is given twice"),
        ("a: [", "1: is not valid YAML"),
    ],
)
def test_a_mistake_in_functions_yml_is_named_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    assert refused(tmp_path, text).startswith(complaint)


def test_a_missing_functions_yml_is_named() -> None:
    with pytest.raises(InputError, match=r"no/functions\.yml: cannot be read: No such file"):
        load_functions("no/functions.yml")
