# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated sources of a payload module. Templates only arrange; what they arrange is decided here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import jinja2

from . import cdecl
from .cdecl import declare, escape
from .functions import ResolvedFunction, ResolvedPayload
from .payload_model import RETURN_VALUE, Code, Param
from .printf import Conversion

FILES = ("payload.c", "trace_payload.h", "Kbuild")
_HERE = "#line @here@"  # replaced by the place it stands at
STRING_SIZE = 128  # bytes of a recorded string, with its NUL


@dataclass(frozen=True)
class _Part:
    """C code of the user between two #line directives."""

    line: int
    text: str


@dataclass(frozen=True)
class _Field:
    """A trace parameter in the three places of its event: prototype, record, assignment."""

    prototype: str
    argument: str
    entry: str
    assign: str


def render(resolved: ResolvedPayload, template_dir: str) -> dict[str, str]:
    """The sources of a payload module by file name; the same payload always gives the same bytes.

    `template_dir` holds payload.c.j2, trace_payload.h.j2 and Kbuild.j2; ValueError if one cannot be used.
    """
    return {name: render_file(resolved, template_dir, name) for name in FILES}


def render_file(resolved: ResolvedPayload, template_dir: str, name: str) -> str:
    """One of FILES; ValueError if its template cannot be used."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_dir),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # C, not HTML
    )
    try:
        text = environment.get_template(f"{name}.j2").render(_view(resolved))
    except jinja2.TemplateNotFound as error:
        raise ValueError(f"{os.path.join(template_dir, str(error.name))} does not exist") from None
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        place = os.path.join(template_dir, f"{name}.j2") + (f":{line}" if line else "")
        raise ValueError(f"{place}: {error}") from None
    return _with_places(text, name)


def plan(resolved: ResolvedPayload) -> dict[str, Any]:
    """What the rendered module will do, as JSON data: module, its events and what could not be resolved."""
    return {
        "module": resolved.payload.module,
        "events": [
            {"event": one.function.event, "function": one.function.name, "symbol": one.symbol}
            for one in resolved.functions
        ],
        "unresolved": [{"function": one.function.name, "tried": list(one.tried)} for one in resolved.unresolved],
    }


def _with_places(text: str, name: str) -> str:
    """Let each mark after the user's code say where the generated text goes on."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if line == _HERE:
            lines[number - 1] = f'#line {number + 1} "{name}"'
    return "\n".join(lines)


def _view(resolved: ResolvedPayload) -> dict[str, Any]:
    """Everything that a template may name."""
    payload = resolved.payload
    return {
        "module": payload.module,
        "guard": f"KEDR_TRACE_{payload.module.upper()}_H",
        "author": escape(payload.author),
        "license": escape(payload.license),
        "source": escape(payload.basename),
        "comment": _comment(payload.basename),
        "here": _HERE,
        "headers": [_Part(code.line, code.text) for code in payload.headers],
        "functions": [_function(one) for one in resolved.functions],
    }


def _comment(text: str) -> str:
    """`text` as it may stand in a C comment or a make comment."""
    return re.sub(r"[^A-Za-z0-9._ -]", "?", text)


def _function(one: ResolvedFunction) -> dict[str, Any]:
    function = one.function
    arguments = passed(one)
    call = f"({one.symbol})({', '.join(name for _type, name in arguments)})"  # in () it is never a macro
    return {
        "name": function.name,
        "line": function.line,
        "symbol": one.symbol,
        "event": function.event,
        "returns": function.returns.text if function.returns else "",
        "head": declare(function.returns.text if function.returns else "void", f"kedr_repl_{function.name}"),
        "result": declare(function.returns.field, RETURN_VALUE) if function.returns else "",
        "parameters": ", ".join(declare(*argument) for argument in arguments) or "void",
        "call": f"{RETURN_VALUE} = {call}" if function.returns else call,
        "prologue": _part(function.prologue),
        "middle": _part(function.middle),
        "epilogue": _part(function.epilogue),
        "traced": ", ".join(param.name for param in function.trace) or "0",
        **_event(one),
    }


def passed(one: ResolvedFunction) -> list[tuple[str, str]]:
    """(type, name) of each argument of the symbol, in its order."""
    types = dict(one.candidate.types)
    own = [
        (types.get(number, argument.ctype).text, argument.name)
        for number, argument in enumerate(one.function.arguments, 1)
    ]
    if one.candidate.arguments is None:
        return own
    all_of_them: list[tuple[str, str]] = []
    for argument in one.candidate.arguments:
        if isinstance(argument, int):
            all_of_them.append(own[argument - 1])
        else:
            all_of_them.append((argument.ctype.text, f"{cdecl.OWN_PREFIX}{argument.name}"))
    return all_of_them


def _part(code: Code | None) -> _Part | None:
    """The user's code indented as the body of a function; its lines stay lines."""
    if code is None:
        return None
    text = code.text.rstrip()
    if "\\\n" not in text:  # a continued line may be inside a string or a macro
        text = "\n".join(_indented(text.split("\n")))
    return _Part(code.line, text)


def _indented(lines: list[str]) -> list[str]:
    """Lines of C one tab deep; directives of the preprocessor stay where they are."""
    code = [line for line in lines if line.strip() and not line.startswith("#")]
    depth = min((len(line) - len(line.lstrip()) for line in code), default=0)
    return [line if line.startswith("#") else "\t" + line[depth:] if line.strip() else "" for line in lines]


def _event(one: ResolvedFunction) -> dict[str, Any]:
    """The trace event of a function. It must have a field, so one without parameters gets an empty one."""
    function = one.function
    if not function.trace:
        name = f"{cdecl.OWN_PREFIX}nothing"
        nothing = _Field(f"int {name}", name, f"__field(int, {name})", f"__entry->{name} = {name};")
        return {"fields": [nothing], "format": f"{_format(function.format)}%s", "printed": ['""']}
    return {
        "fields": [_field(*pair) for pair in zip(function.trace, function.conversions, strict=True)],
        "format": _format(function.format),
        "printed": [f"__entry->{param.name}" for param in function.trace],
    }


def _format(text: str) -> str:
    """A format without trigraphs, which the compiler warns of."""
    return text.replace("??", "?\\?")


def _field(param: Param, conversion: Conversion) -> _Field:
    """How one trace parameter is recorded: text as a copy of bounded length, anything else as its value."""
    name, ctype = param.name, param.ctype
    passed = f"{cdecl.OWN_PREFIX}{name}"  # the kernel's macros have variables of their own in the same scope
    prototype = declare(ctype.text, passed)
    if conversion.letter == "s":
        copy = f'snprintf(__entry->{name}, sizeof(__entry->{name}), "%s", {passed});'
        return _Field(prototype, passed, f"__array(char, {name}, {STRING_SIZE})", copy)
    return _Field(prototype, passed, f"__field({ctype.field}, {name})", f"__entry->{name} = {ctype.cast}{passed};")
