# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions of kedr trace, asked by tests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.cli.main import main

from .table import Call


def kmalloc(time: int, size: int, pointer: int, in_init: int = 0) -> Call:
    return Call(time, "called_kmalloc", {"size": size, "flags": 1, "in_init": in_init, "returnValue": pointer})


def kfree(time: int, pointer: int) -> Call:
    return Call(time, "called_kfree", {"p": pointer})


def answer(capsys: pytest.CaptureFixture[str], *words: object) -> list[dict[str, Any]]:
    verb, *rest = map(str, words)
    assert main(["trace", verb, *rest, "--format", "json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["trace", *map(str, words)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err
