# SPDX-License-Identifier: GPL-3.0-or-later
"""Which exported symbol stands for a user's function on one kernel: functions.yml and the choice made by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from . import cdecl
from .cdecl import CType
from .payload_model import Function, Payload, PayloadError, Problem


@dataclass(frozen=True)
class Extra:
    """An argument that a symbol has and the user's function has not: it is passed through unseen."""

    ctype: CType
    name: str


@dataclass(frozen=True)
class Candidate:
    """One symbol that may stand for a function.

    `config` names options that must all be y; `arguments` is the symbol's full argument list where it differs from
    the user's: an int is the user's argument of that number (from 1), an Extra is passed through.
    """

    symbol: str
    config: tuple[str, ...] = ()
    arguments: tuple[int | Extra, ...] | None = None


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
    try:
        with open(path, encoding="utf-8") as file:
            data = yaml.safe_load(file)
    except OSError as error:
        raise PayloadError([Problem(path, 0, f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise PayloadError([Problem(path, 0, "is not UTF-8; save the file as UTF-8")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "not readable"
        raise PayloadError([Problem(path, mark.line + 1 if mark else 0, f"is no YAML: {reason}")]) from None
    faults: list[str] = []
    db = _functions(data, faults)
    if faults:
        raise PayloadError(Problem(path, 0, fault) for fault in faults)
    return db


def _functions(data: Any, faults: list[str]) -> dict[str, list[Candidate]]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        faults.append("must map names of functions to lists of candidates")
        return {}
    db: dict[str, list[Candidate]] = {}
    for name, entries in data.items():
        if not isinstance(name, str) or not cdecl.is_identifier(name):
            faults.append(f"{name!r} is no C identifier; {cdecl.IDENTIFIER_RULE}")
        elif not isinstance(entries, list) or not entries:
            faults.append(f"{name}: must be a list of candidates such as '- symbol: {name}'")
        else:
            places = ((f"{name}, candidate {number}", entry) for number, entry in enumerate(entries, 1))
            db[name] = [one for place, entry in places if (one := _candidate(entry, place, faults))]
    return db


def _candidate(entry: Any, place: str, faults: list[str]) -> Candidate | None:
    if not isinstance(entry, dict):
        faults.append(f"{place}: must have a key 'symbol'")
        return None
    before = len(faults)
    for key in entry.keys() - {"symbol", "config", "arguments"}:
        faults.append(f"{place}: unknown key {key!r}; allowed are symbol, config, arguments")
    symbol, config = entry.get("symbol"), entry.get("config", [])
    if not isinstance(symbol, str) or not cdecl.is_identifier(symbol):
        faults.append(f"{place}: symbol {symbol!r} is no C identifier; {cdecl.IDENTIFIER_RULE}")
    if not isinstance(config, list) or not all(isinstance(one, str) and one.startswith("CONFIG_") for one in config):
        faults.append(f"{place}: config {config!r} must be a list of names such as CONFIG_SLAB_BUCKETS")
    arguments = _arguments(entry["arguments"], place, faults) if "arguments" in entry else None
    return None if len(faults) > before else Candidate(str(symbol), tuple(config), arguments)


def _arguments(entries: Any, place: str, faults: list[str]) -> tuple[int | Extra, ...]:
    if not isinstance(entries, list):
        faults.append(f"{place}: arguments must be a list of argument numbers and C declarations")
        return ()
    arguments: list[int | Extra] = []
    for entry in entries:
        if isinstance(entry, int) and not isinstance(entry, bool):
            arguments.append(entry)
            continue
        try:
            arguments.append(Extra(*cdecl.parse_declaration(str(entry))))
        except ValueError as error:
            faults.append(f"{place}: argument {entry!r}: {error}")
    numbers = sorted(one for one in arguments if isinstance(one, int))
    if numbers != list(range(1, len(numbers) + 1)):
        faults.append(f"{place}: arguments must name each of the function's arguments once, from 1")
    return tuple(arguments)


def _candidates(name: str, db: FunctionDb) -> Sequence[Candidate]:
    return db.get(name) or (Candidate(name),)


def candidate_symbols(payloads: Iterable[Payload], db: FunctionDb) -> set[str]:
    """Every symbol whose export must be known to resolve the payloads."""
    return {one.symbol for payload in payloads for function in payload.functions for one in _candidates(function.name, db)}


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
        chosen = next((one for one in candidates if one.symbol in exported and enabled.issuperset(one.config)), None)
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
    problems += _misfits(resolved) + _clashes([resolved])
    if not problems and not found:
        text = f"kernel {release} exports none of the payload's functions; leave the payload out for this kernel"
        problems.append(Problem(payload.path, 0, text))
    if problems:
        raise PayloadError(problems)
    return resolved


def check_resolved_together(payloads: Sequence[ResolvedPayload]) -> None:
    """Check payloads of one kernel that are to be loaded together; PayloadError when two replace one symbol."""
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
                    f"{first.name!r} ({first_path}:{first.line}); one symbol can be replaced once, remove one of them"
                )
                problems.append(Problem(path, one.function.line, text))
    return problems
