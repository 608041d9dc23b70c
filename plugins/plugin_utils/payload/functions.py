# SPDX-License-Identifier: GPL-3.0-or-later
"""Which exported symbol stands for a user's function on one kernel: functions.yml and the choice by it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..base import datafile
from ..base.datafile import Node
from ..ctypes import cdecl
from ..ctypes.cdecl import CType
from . import special
from .model import AFTER, Function, Payload, PayloadError, Problem


@dataclass(frozen=True)
class Extra:
    """An argument that a symbol has and the user's function has not: it is passed through unseen."""

    ctype: CType
    name: str


@dataclass(frozen=True)
class Candidate:
    """One symbol that may stand for a function.

    `config` names options that must all be y; `arguments` is the symbol's full argument list where it differs
    from the user's: an int is the user's argument of that number (from 1), an Extra is passed through. `types` has
    (number, type) of each of the user's arguments that the symbol takes as another type.
    """

    symbol: str
    config: tuple[str, ...] = ()
    arguments: tuple[int | Extra, ...] | None = None
    types: tuple[tuple[int, CType], ...] = ()


_KEYS = ("symbol", "config", "arguments", "types")
_OPTION = re.compile(r"CONFIG_[A-Za-z0-9_]+\Z")

FunctionDb = Mapping[str, Sequence[Candidate]]


@dataclass(frozen=True)
class ResolvedFunction:
    """A function with the symbol that stands for it on one kernel."""

    function: Function
    candidate: Candidate

    @property
    def symbol(self) -> str:
        """The exported symbol."""
        return self.candidate.symbol


@dataclass(frozen=True)
class Unresolved:
    """An optional function that one kernel does not have, with the symbols that were looked for."""

    function: Function
    tried: tuple[str, ...]


@dataclass(frozen=True)
class ResolvedPayload:
    """A payload for one kernel."""

    payload: Payload
    release: str
    functions: tuple[ResolvedFunction, ...]
    unresolved: tuple[Unresolved, ...] = field(default=())


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
        except ValueError as error:
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
        except ValueError as error:
            problems.append(Problem(entry.path, entry.line, f"type {entry.value!r}: {error}"))
    return tuple(types)


def _candidates(name: str, db: FunctionDb) -> Sequence[Candidate]:
    return db.get(name) or (Candidate(name),)


def candidate_symbols(payloads: Iterable[Payload], db: FunctionDb) -> set[str]:
    """Every symbol whose export must be known to resolve the payloads."""
    return {
        one.symbol
        for payload in payloads
        for function in payload.functions
        for one in _candidates(function.name, db)
    }


def candidate_config(payloads: Iterable[Payload], db: FunctionDb) -> set[str]:
    """Every configuration option whose value must be known to resolve the payloads."""
    return {
        option
        for payload in payloads
        for function in payload.functions
        for one in _candidates(function.name, db)
        for option in one.config
    }


def resolve(
    payload: Payload, db: FunctionDb, exports: Iterable[str], config: Iterable[str], release: str
) -> ResolvedPayload:
    """Choose the symbol for each function by what a kernel exports and which of its options are y.

    PayloadError lists what cannot be resolved, with the kernel's release and the names tried.
    """
    exported, enabled = set(exports), set(config)
    problems: list[Problem] = []
    found: list[ResolvedFunction] = []
    missing: list[Unresolved] = []
    for function in payload.functions:
        candidates = _candidates(function.name, db)
        chosen = next(
            (one for one in candidates if one.symbol in exported and enabled.issuperset(one.config)), None
        )
        tried = tuple(dict.fromkeys(one.symbol for one in candidates))
        if chosen is not None:
            found.append(ResolvedFunction(function, chosen))
        elif function.optional:
            missing.append(Unresolved(function, tried))
        else:
            text = (
                f"function {function.name!r}: kernel {release} exports none of {', '.join(tried)}; "
                "add the kernel's name for it to functions.yml or write 'function.optional = yes'"
            )
            problems.append(Problem(payload.path, function.line, text))
    resolved = ResolvedPayload(payload, release, tuple(found), tuple(missing))
    problems += _misfits(resolved) + _refused(resolved) + _clashes([resolved])
    if not problems and not found:
        text = (
            f"kernel {release} exports none of the payload's functions; leave the payload out for this kernel"
        )
        problems.append(Problem(payload.path, 0, text))
    if problems:
        raise PayloadError(problems)
    return resolved


def check_resolved_together(payloads: Sequence[ResolvedPayload]) -> None:
    """Check payloads of one kernel that are to be loaded together; PayloadError if two replace one symbol."""
    problems = _clashes(payloads)
    if problems:
        raise PayloadError(problems)


def _misfits(resolved: ResolvedPayload) -> list[Problem]:
    """Functions whose number of arguments is not what functions.yml counts on."""
    problems: list[Problem] = []
    for one in resolved.functions:
        function, arguments = one.function, one.candidate.arguments
        if arguments is None:
            continue
        wanted = sum(isinstance(argument, int) for argument in arguments)
        if wanted != len(function.arguments):
            text = (
                f"function {function.name!r} has {len(function.arguments)} arguments here; "
                f"functions.yml passes {wanted} to {one.symbol}"
            )
            problems.append(Problem(resolved.payload.path, function.line, text))
    return problems


def _refused(resolved: ResolvedPayload) -> list[Problem]:
    """Functions whose symbol cannot be replaced, or cannot be recorded at the moment that is asked for."""
    problems: list[Problem] = []
    for one in resolved.functions:
        function, reason = one.function, special.denied(one.symbol)
        text = ""
        if reason:
            text = f"function {function.name!r} is {one.symbol} here, which cannot be replaced: {reason}"
        elif special.never_returns(one.symbol) and (function.moment == AFTER or function.returns):
            text = f"{special.NEVER_RETURNS.format(one.symbol)} and 'returnsVoid = yes'"
        if text:
            problems.append(Problem(resolved.payload.path, function.line, text))
    return problems


def _clashes(payloads: Sequence[ResolvedPayload]) -> list[Problem]:
    """Functions that stand for a symbol which an earlier function already stands for."""
    problems: list[Problem] = []
    owners: dict[str, tuple[str, Function]] = {}
    for resolved in payloads:
        path = resolved.payload.path
        for one in resolved.functions:
            first_path, first = owners.setdefault(one.symbol, (path, one.function))
            if first is not one.function:
                text = (
                    f"function {one.function.name!r} is {one.symbol} on kernel {resolved.release}, and so is "
                    f"{first.name!r} ({first_path}:{first.line}); a symbol is replaced once, remove one"
                )
                problems.append(Problem(path, one.function.line, text))
    return problems
