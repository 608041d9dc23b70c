# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice of the symbol that stands for each function on one kernel, by functions.yml."""

from collections.abc import Iterable, Iterator, Sequence

from ..base.errors import InputError
from . import model, special
from .functions import load_functions
from .model import AFTER, Candidate, FunctionDb, Payload, PayloadError, Problem, ResolvedPayload
from .together import read_together


def load(names: Iterable[str], functions: str) -> tuple[list[Payload], FunctionDb]:
    """Return the payloads of the data files ``names`` and the table in the file ``functions``.

    Raises PayloadError with every mistake of every file, and when two files claim one module or function.
    """
    payloads, problems, _readable = read_together(names)
    db: FunctionDb = {}
    try:
        db = load_functions(functions)
    except InputError as error:
        problems += error.problems
    if problems:
        raise PayloadError(problems)
    return payloads, db


def needed(payloads: Iterable[Payload], db: FunctionDb) -> tuple[set[str], set[str]]:
    """Return the symbols and the options of the configuration that must be known to resolve payloads."""
    every = [one for payload in payloads for function in payload.functions for one in _candidates(function.name, db)]
    return {one.symbol for one in every}, {option for one in every for option in one.config}


def _candidates(name: str, db: FunctionDb) -> Sequence[Candidate]:
    return db.get(name) or (Candidate(name),)


def resolve(
    payload: Payload, db: FunctionDb, exports: Iterable[str], config: Iterable[str], release: str
) -> ResolvedPayload:
    """Choose the symbol for each function by what a kernel exports and which of its options are y.

    Raises PayloadError with what cannot be resolved, with the kernel's release and the names tried.
    """
    exported, enabled = set(exports), set(config)
    problems: list[Problem] = []
    found: list[model.ResolvedFunction] = []
    missing: list[model.Unresolved] = []
    for function in payload.functions:
        candidates = _candidates(function.name, db)
        chosen = next((one for one in candidates if one.symbol in exported and enabled.issuperset(one.config)), None)
        tried = tuple(dict.fromkeys(one.symbol for one in candidates))
        if chosen is not None:
            found.append(model.ResolvedFunction(function, chosen))
        elif function.optional:
            missing.append(model.Unresolved(function, tried))
        else:
            text = f"function {function.name!r}: kernel {release} exports none of {', '.join(tried)}"
            rule = "add the kernel's name for it to functions.yml or write 'function.optional = yes'"
            problems.append(Problem(payload.path, function.line, f"{text}; {rule}"))
    resolved = ResolvedPayload(payload, release, tuple(found), tuple(missing))
    problems += [Problem(payload.path, one.function.line, text) for one in found for text in _faults(one)]
    problems += _clashes([resolved])
    if not problems and not found:
        text = f"kernel {release} exports none of the payload's functions; leave the payload out for this kernel"
        problems.append(Problem(payload.path, 0, text))
    if problems:
        raise PayloadError(problems)
    return resolved


def resolve_all(
    payloads: Iterable[Payload], db: FunctionDb, exports: Iterable[str], config: Iterable[str], release: str
) -> list[ResolvedPayload]:
    """Resolve payloads that are to be loaded together, as ``resolve`` does each of them.

    Raises PayloadError with what cannot be resolved in all of them, and when two replace one symbol.
    """
    exported, enabled = set(exports), set(config)
    resolved: list[ResolvedPayload] = []
    problems: list[Problem] = []
    for payload in payloads:
        try:
            resolved.append(resolve(payload, db, exported, enabled, release))
        except PayloadError as error:
            problems += error.problems
    problems += _clashes(resolved)
    if problems:
        raise PayloadError(problems)
    return resolved


def _faults(one: model.ResolvedFunction) -> Iterator[str]:
    """Say why a symbol cannot stand for a function: by its arguments, or because it is special."""
    function, arguments, reason = one.function, one.candidate.arguments, special.denied(one.symbol)
    wanted = len(function.arguments) if arguments is None else sum(isinstance(each, int) for each in arguments)
    if wanted != len(function.arguments):
        given = f"function {function.name!r} has {len(function.arguments)} arguments here"
        yield f"{given}; functions.yml passes {wanted} to {one.symbol}"
    if reason:
        yield f"function {function.name!r} is {one.symbol} here, which cannot be replaced: {reason}"
    elif special.never_returns(one.symbol) and (function.moment == AFTER or function.returns):
        yield f"{special.NEVER_RETURNS.format(one.symbol)} and 'returnsVoid = yes'"


def _clashes(payloads: Sequence[ResolvedPayload]) -> list[Problem]:
    """Return the functions that stand for a symbol which an earlier function already stands for."""
    problems: list[Problem] = []
    owners: dict[str, tuple[str, model.Function]] = {}
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
