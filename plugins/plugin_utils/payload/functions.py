# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of functions.yml: which symbols may stand for a function, on which kernels and with which arguments."""

import re
from typing import TypeGuard

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
    """Read functions.yml. Raises InputError with every mistake in it."""
    reader = _Reader()
    db = reader.functions(datafile.load(path))
    if reader.problems:
        raise PayloadError(reader.problems)
    return db


class _Reader:
    """Makes candidates of the nodes of functions.yml; collects what is wrong."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def wrong(self, node: Node, text: str) -> None:
        """Take down a mistake."""
        self.problems.append(Problem(node.path, node.line, text))

    def functions(self, root: Node) -> dict[str, list[Candidate]]:
        """Return the candidates by the name of their function."""
        if not isinstance(root.value, dict):
            self.wrong(root, "a mapping of functions to lists of candidates is expected")
            return {}
        db: dict[str, list[Candidate]] = {}
        for name, node in root.value.items():
            if not isinstance(name, str) or not cdecl.is_identifier(name):
                self.wrong(node, f"{name!r} cannot name a function; {cdecl.IDENTIFIER_RULE}")
            elif not isinstance(node.value, list) or not node.value:
                self.wrong(node, f"{name!r} must be a list of candidates such as '- symbol: {name}'")
            else:
                db[name] = [one for entry in node.value if (one := self.candidate(entry))]
        return db

    def candidate(self, entry: Node) -> Candidate | None:
        """Return one candidate, None when something is wrong with it."""
        before = len(self.problems)
        values = entry.value if isinstance(entry.value, dict) else {}
        for key, node in values.items():
            if key not in _KEYS:
                self.wrong(node, f"unknown key {key!r} of a candidate; allowed are {', '.join(_KEYS)}")
        if "symbol" not in values:
            self.wrong(entry, "a candidate must have a key 'symbol'")
            return None
        symbol = values["symbol"]
        if not isinstance(symbol.value, str) or not cdecl.is_identifier(symbol.value):
            self.wrong(symbol, f"symbol {symbol.value!r} cannot name a function; {cdecl.IDENTIFIER_RULE}")
        config = self.config(values["config"]) if "config" in values else ()
        arguments = self.arguments(values["arguments"]) if "arguments" in values else None
        types = self.types(values["types"]) if "types" in values else ()
        return None if len(self.problems) > before else Candidate(symbol.value, config, arguments, types)

    def config(self, node: Node) -> tuple[str, ...]:
        """Return the options that must be y."""
        options = [one.value for one in node.value] if isinstance(node.value, list) else []
        if not options or not all(isinstance(one, str) and _OPTION.match(one) for one in options):
            self.wrong(node, "config must be a list of options such as CONFIG_SLAB_BUCKETS")
        return tuple(options)

    def arguments(self, node: Node) -> tuple[int | Extra, ...]:
        """Return the symbol's arguments."""
        entries = node.value if isinstance(node.value, list) else []
        if not entries:
            self.wrong(node, "arguments must be a list of argument numbers and C declarations")
        arguments: list[int | Extra] = []
        for entry in entries:
            if _is_number(entry.value):
                arguments.append(entry.value)
                continue
            try:
                arguments.append(Extra(*cdecl.parse_declaration(str(entry.value))))
            except InputError as error:
                self.wrong(entry, f"argument {entry.value!r}: {error}")
        numbers = sorted(one for one in arguments if isinstance(one, int))
        if numbers != list(range(1, len(numbers) + 1)):
            self.wrong(node, "arguments must hold each number of the function's arguments once, counted from 1")
        return tuple(arguments)

    def types(self, node: Node) -> tuple[tuple[int, CType], ...]:
        """Return the types that the symbol has for arguments of the function, with their numbers."""
        entries = node.value if isinstance(node.value, dict) else {}
        if not entries or not all(_is_number(one) and one > 0 for one in entries):
            self.wrong(node, "types must map numbers of the function's arguments to C types")
            return ()
        types: list[tuple[int, CType]] = []
        for number, entry in entries.items():
            try:
                types.append((number, cdecl.parse_type(str(entry.value))))
            except InputError as error:
                self.wrong(entry, f"type {entry.value!r}: {error}")
        return tuple(types)


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
