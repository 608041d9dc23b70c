# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated sources of a payload module. Templates only arrange; what they arrange is decided here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import jinja2

from ..ctypes import cdecl
from ..ctypes.cdecl import declare, escape
from ..ctypes.printf import Conversion
from .functions import ResolvedFunction, ResolvedPayload
from .model import BEFORE, RETURN_VALUE, Code, Function, Param

FILES = ("payload.c", "trace_payload.h", "Kbuild")
_HERE = "#line @here@"  # replaced by the place it stands at


@dataclass(frozen=True)
class _Part:
    """C code of the user between two #line directives."""

    line: int
    text: str


@dataclass(frozen=True)
class _Field:
    """A trace parameter in the places of its event: prototype, record, assignment, text.

    `typedef` declares its type by the name that the event's prototype uses, '' for a type that is ours.
    """

    typedef: str
    line: int
    prototype: str
    argument: str
    entry: str
    assign: str
    printed: str


@dataclass(frozen=True)
class _Text:
    """A text that is copied to the stack, for the record to be made of the copy; `line` is that of its type."""

    line: int
    pointer: str
    value: str
    copy: str
    size: int


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


def plan(resolved: ResolvedPayload, *, ours: bool) -> dict[str, Any]:
    """What the rendered module will do, as JSON data: module, its events and what could not be resolved.

    `ours` says that payload.c is made by our own template, so that the names of the replacements are known.
    """
    return {
        "module": resolved.payload.module,
        "events": [_planned(one, ours) for one in resolved.functions],
        "unresolved": [{"function": one.function.name, "tried": list(one.tried)} for one in resolved.unresolved],
    }


def _planned(one: ResolvedFunction, ours: bool) -> dict[str, Any]:
    function = one.function
    return {
        "event": function.event,
        "function": function.name,
        "symbol": one.symbol,
        "moment": function.moment,
        "strings": [text.value for text in _texts(function)],
        **({"replacement": _replacement(function)} if ours else {}),
    }


def _replacement(function: Function) -> str:
    return f"{cdecl.OWN_PREFIX}repl_{function.name}"


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
    texts = _texts(function)
    late = [text for text in texts if _known_late(function, text.value)]
    result = [declare(function.returns.field, RETURN_VALUE)] if function.returns else []
    return {
        "name": function.name,
        "line": function.line,
        "symbol": one.symbol,
        "event": function.event,
        "returns": function.returns.text if function.returns else "",
        "head": declare(function.returns.text if function.returns else "void", _replacement(function)),
        "result": bool(function.returns),
        "declarations": result + [f"char {text.copy}[{text.size}]" for text in texts],
        "parameters": ", ".join(declare(*argument) for argument in arguments) or "void",
        "call": f"{RETURN_VALUE} = {call}" if function.returns else call,
        "prologue": _part(function.prologue),
        "middle": _part(function.middle),
        "epilogue": _part(function.epilogue),
        "before": function.moment == BEFORE,
        "early": [text for text in texts if text not in late],
        "late": late,
        "traced": ", ".join(_passed_on(*pair) for pair in _traced(function)) or "0",
        **_event(one),
    }


def _traced(function: Function) -> list[tuple[Param, Conversion]]:
    """The trace parameters, each with the conversion that prints it."""
    return list(zip(function.trace, function.conversions, strict=True))


def _texts(function: Function) -> list[_Text]:
    """The trace parameters that are recorded as text."""
    return [
        _Text(
            param.type_line,
            declare(param.ctype.text, f"{cdecl.OWN_PREFIX}from"),
            param.name,
            _copy_of(param),
            conversion.text_size,
        )
        for param, conversion in _traced(function)
        if conversion.text_size
    ]


def _known_late(function: Function, name: str) -> bool:
    """Is it only after the call that a text is there: as the result, or made by middleCode?"""
    if function.moment == BEFORE:
        return False
    own = name in (argument.name for argument in function.arguments)
    middle = function.middle is not None and cdecl.has_word(function.middle.text, name)
    return name == RETURN_VALUE or (middle and not own)


def _passed_on(param: Param, conversion: Conversion) -> str:
    """What the trace event is called with for a parameter."""
    return _copy_of(param) if conversion.text_size else param.name


def _copy_of(param: Param) -> str:
    return f"{cdecl.OWN_PREFIX}text_{param.name}"


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
        nothing = _Field("", 0, f"int {name}", name, f"__field(int, {name})", f"__entry->{name} = {name};", '""')
        return {"fields": [nothing], "format": f"{_format(function.format)}%s"}
    fields = [_field(function.event, *pair) for pair in _traced(function)]
    return {"fields": fields, "format": _format(function.format)}


def _format(text: str) -> str:
    """A format without trigraphs, which the compiler warns of."""
    return text.replace("??", "?\\?")


def _field(event: str, param: Param, conversion: Conversion) -> _Field:
    """How one trace parameter is recorded: text with as many bytes as it has, anything else as its value."""
    name, ctype = param.name, param.ctype
    passed = f"{cdecl.OWN_PREFIX}{name}"  # the kernel's macros have variables of their own in the same scope
    own_type = f"{cdecl.OWN_PREFIX}{event}_{name}_t"
    typedef = f"typedef {declare(ctype.text, own_type)}"
    if conversion.text_size:
        size = f"__kedr_text_size({passed}, {conversion.text_size})"
        return _Field(
            typedef,
            param.type_line,
            declare("const char *", passed),
            passed,
            f"__dynamic_array(char, {name}, {size})",
            f"__kedr_text_copy(__get_dynamic_array({name}), {size}, {passed});",
            f"__get_str({name})",
        )
    return _Field(
        typedef,
        param.type_line,
        declare(own_type, passed),
        passed,
        f"__field({ctype.field}, {name})",
        f"__entry->{name} = {ctype.cast}{passed};",
        f"__entry->{name}",
    )
