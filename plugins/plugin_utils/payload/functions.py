# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of functions.yml: which symbols may stand for a function, on which kernels and with which arguments."""

from __future__ import annotations

import re

from ..base import datafile, paths
from ..base.datafile import Node
from ..base.errors import InputError
from ..ctypes import cdecl
from ..ctypes.cdecl import CType
from .model import Candidate, Extra, FunctionDb, PayloadError, Problem

FUNCTIONS = paths.data("functions.yml")
"""The collection's own table."""
_KEYS = ("symbol", "config", "arguments", "types")
_OPTION = re.compile(r"CONFIG_[A-Za-z0-9_]+\Z")


def load_functions(path: str) -> FunctionDb:
    """Read functions.yml; PayloadError lists its mistakes."""
    root = datafile.load(path)
    problems: list[Problem] = []
    db = _functions(root, problems)
    if problems:
        raise PayloadError(problems)
    return db


def _functions(root: Node, problems: list[Problem]) -> dict[str, list[Candidate]]:
    if not isinstance(root.value, dict):
        text = "a mapping of functions to lists of candidates is expected"
        problems.append(Problem(root.path, root.line, text))
        return {}
    db: dict[str, list[Candidate]] = {}
    for name, node in root.value.items():
        if not isinstance(name, str) or not cdecl.is_identifier(name):
            text = f"{name!r} cannot name a function; {cdecl.IDENTIFIER_RULE}"
            problems.append(Problem(node.path, node.line, text))
        elif not isinstance(node.value, list) or not node.value:
            text = f"{name!r} must be a list of candidates such as '- symbol: {name}'"
            problems.append(Problem(node.path, node.line, text))
        else:
            db[name] = [one for entry in node.value if (one := _candidate(entry, problems))]
    return db


def _candidate(entry: Node, problems: list[Problem]) -> Candidate | None:
    before = len(problems)
    values = entry.value if isinstance(entry.value, dict) else {}
    for key, node in values.items():
        if key not in _KEYS:
            text = f"unknown key {key!r} of a candidate; allowed are {', '.join(_KEYS)}"
            problems.append(Problem(node.path, node.line, text))
    if "symbol" not in values:
        problems.append(Problem(entry.path, entry.line, "a candidate must have a key 'symbol'"))
        return None
    symbol = values["symbol"]
    if not isinstance(symbol.value, str) or not cdecl.is_identifier(symbol.value):
        text = f"symbol {symbol.value!r} cannot name a function; {cdecl.IDENTIFIER_RULE}"
        problems.append(Problem(symbol.path, symbol.line, text))
    config = _config(values["config"], problems) if "config" in values else ()
    arguments = _arguments(values["arguments"], problems) if "arguments" in values else None
    types = _types(values["types"], problems) if "types" in values else ()
    return None if len(problems) > before else Candidate(symbol.value, config, arguments, types)


def _config(node: Node, problems: list[Problem]) -> tuple[str, ...]:
    options = [one.value for one in node.value] if isinstance(node.value, list) else []
    if not options or not all(isinstance(one, str) and _OPTION.match(one) for one in options):
        text = "config must be a list of options such as CONFIG_SLAB_BUCKETS"
        problems.append(Problem(node.path, node.line, text))
        return ()
    return tuple(options)


def _arguments(node: Node, problems: list[Problem]) -> tuple[int | Extra, ...]:
    entries = node.value if isinstance(node.value, list) else []
    if not entries:
        text = "arguments must be a list of argument numbers and C declarations"
        problems.append(Problem(node.path, node.line, text))
    arguments: list[int | Extra] = []
    for entry in entries:
        if isinstance(entry.value, int) and not isinstance(entry.value, bool):
            arguments.append(entry.value)
            continue
        try:
            arguments.append(Extra(*cdecl.parse_declaration(str(entry.value))))
        except InputError as error:
            text = f"argument {entry.value!r}: {error}"
            problems.append(Problem(entry.path, entry.line, text))
    numbers = sorted(one for one in arguments if isinstance(one, int))
    if numbers != list(range(1, len(numbers) + 1)):
        text = "arguments must hold each number of the function's arguments once, counted from 1"
        problems.append(Problem(node.path, node.line, text))
    return tuple(arguments)


def _types(node: Node, problems: list[Problem]) -> tuple[tuple[int, CType], ...]:
    entries = node.value if isinstance(node.value, dict) else {}
    if not entries or not all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in entries):
        text = "types must map numbers of the function's arguments to C types"
        problems.append(Problem(node.path, node.line, text))
        return ()
    types: list[tuple[int, CType]] = []
    for number, entry in entries.items():
        try:
            types.append((number, cdecl.parse_type(str(entry.value))))
        except InputError as error:
            problems.append(Problem(entry.path, entry.line, f"type {entry.value!r}: {error}"))
    return tuple(types)
