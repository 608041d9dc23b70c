# SPDX-License-Identifier: GPL-3.0-or-later
"""The function that is called in place of another one, in the parts of which templates of all kinds make it."""

from types import SimpleNamespace
from typing import Any

from ..ctypes import cdecl
from ..ctypes.cdecl import declare
from .model import RETURN_VALUE, Code, Function, ResolvedFunction


def replacement(one: ResolvedFunction) -> dict[str, Any]:
    """Return what templates may name of the replacement of a function."""
    function = one.function
    arguments = passed(one)
    call = f"({one.symbol})({', '.join(name for _type, name in arguments)})"  # in () it is never a macro
    return {
        "name": function.name,
        "line": function.line,
        "symbol": one.symbol,
        "returns": function.returns.text if function.returns else "",
        "head": declare(function.returns.text if function.returns else "void", name_of(function)),
        "result": bool(function.returns),
        "declarations": [declare(function.returns.field, RETURN_VALUE)] if function.returns else [],
        "parameters": ", ".join(declare(*argument) for argument in arguments) or "void",
        "call": f"{RETURN_VALUE} = {call}" if function.returns else call,
        "prologue": _part(function.prologue),
        "middle": _part(function.middle),
        "epilogue": _part(function.epilogue),
    }


def name_of(function: Function) -> str:
    """Return the name of the C function that is called in place of a function."""
    return f"{cdecl.OWN_PREFIX}repl_{function.name}"


def passed(one: ResolvedFunction) -> list[tuple[str, str]]:
    """Return (type, name) of each argument of the symbol, in its order."""
    types = dict(one.candidate.types)
    own = [
        (types.get(number, argument.ctype).text, argument.name)
        for number, argument in enumerate(one.function.arguments, 1)
    ]
    if one.candidate.arguments is None:
        return own
    return [
        own[argument - 1]
        if isinstance(argument, int)
        else (argument.ctype.text, f"{cdecl.OWN_PREFIX}{argument.name}")
        for argument in one.candidate.arguments
    ]


def _part(code: Code | None) -> SimpleNamespace | None:
    """Return the user's code indented as the body of a function; its lines stay lines."""
    if code is None:
        return None
    text = code.text.rstrip()
    if "\\\n" not in text:  # a continued line may be inside a string or a macro
        text = "\n".join(_indented(text.split("\n")))
    return SimpleNamespace(line=code.line, text=text)


def _indented(lines: list[str]) -> list[str]:
    """Return lines of C one tab deep; directives of the preprocessor stay where they are."""
    code = [line for line in lines if line.strip() and not line.startswith("#")]
    depth = min((len(line) - len(line.lstrip()) for line in code), default=0)
    return [line if line.startswith("#") else "\t" + line[depth:] if line.strip() else "" for line in lines]
