# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads that trace: each call of a function is one event with the values that trace.param.* names.

The first half checks what a data file says of it, the second half makes what the templates in kernel/templates/trace
are given. Needs nothing but Python itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ...base.errors import InputError
from ...base.near import did_you_mean, nearest
from ...ctypes import cdecl
from ...ctypes.cdecl import TypeKind, declare
from ...ctypes.printf import Conversion, conversions, misfit
from ..model import BEFORE, RETURN_VALUE, Code, Function, Param, ResolvedFunction
from ..replacement import replacement
from ..values import Values

PARAMETERS: Mapping[str, bool] = {
    "trace.param.type": True, "trace.param.name": True, "trace.formatString": False,
}  # fmt: skip
FILES: tuple[str, ...] = ("payload.c", "trace_payload.h", "Kbuild")

PARAMS_MAX = 12  # what the kernel's tracepoint macros can count
FIELDS_TAKEN = frozenset({"ent", "__data", "__entry"})  # of every trace record
COMMON_PREFIX = "common_"  # of the kernel's own fields of a record
_STRINGS_MAX = 512  # bytes of the stack that the copies of one call's strings may take


@dataclass(frozen=True)
class Traced:
    """What a record of a call holds, and its text. ``format`` is the inside of a C string literal."""

    params: tuple[Param, ...]
    format: str
    conversions: tuple[Conversion, ...]  # one for each of the params


def event(function: Function) -> str:
    """Return the name of a function's trace event."""
    return f"called_{function.name}"


# What a data file says


def read(values: Values, function: Function, headers: tuple[Code, ...]) -> Traced:
    """Check the trace parameters and the format string of a group; complain about every mistake."""
    params = values.params("trace.param.type", "trace.param.name", "trace parameter")
    scope = _Scope(values, function, headers)
    early = [param for param in params if _is_in_time(values, param, scope)]
    if len(early) > PARAMS_MAX:
        text = f"{len(early)} trace parameters; at most {PARAMS_MAX} are allowed"
        values.complain(early[PARAMS_MAX].line, text)
    for param in early:
        _check_type(values, param)
        _check_name(values, param, scope)
    given = len(values.every("arg.name")) + len(values.every("trace.param.name"))
    if len(function.arguments) + len(params) == given:  # else a name may be another's
        _check_classes(values, params, function)
    return Traced(params, *_format(values, params))


class _Scope:
    """The names that a record of a function's call can hold the values of."""

    def __init__(self, values: Values, function: Function, headers: Iterable[Code]) -> None:
        self.before = function.moment == BEFORE
        self.void = values.flag("returnsVoid")
        self.arguments = {text.value for text in values.every("arg.name")}
        self.middle = function.middle.text if function.middle else ""
        parts = [*headers, function.prologue, None if self.before else function.middle]
        self.code = [part.text for part in parts if part]

    def has(self, name: str) -> bool:
        """Return whether a name is an argument's, or stands in code that runs before the record is made."""
        return name in self.arguments or any(cdecl.has_word(code, name) for code in self.code)

    def too_late(self, name: str) -> str:
        """Return why the value of a name is not there when the record is made before the call; '' when it may be."""
        if not self.before:
            return ""
        if name == RETURN_VALUE:
            return "the result is not known then"
        late = not self.has(name) and cdecl.has_word(self.middle, name)
        return "middleCode runs after the call" if late else ""

    def unknown(self, name: str) -> tuple[str, str]:
        """Return what to say about a name that has no value, and which one was probably meant."""
        names = [*sorted(self.arguments), *([] if self.void else [RETURN_VALUE])]
        meant = nearest(name, [*names, *{word for code in self.code for word in cdecl.words(code)}])
        rule = f"allowed are {', '.join(names) or 'none'} and variables declared in the prologue"
        return f"trace parameter {name!r} is not a known value{did_you_mean(meant)}; {rule}", meant


def _is_in_time(values: Values, param: Param, scope: _Scope) -> bool:
    late = scope.too_late(param.name)
    if late:
        text = f"trace parameter {param.name!r} has no value before the call: {late}; remove it, or 'record = before'"
        values.complain(param.line, text)
    return not late


def _check_type(values: Values, param: Param) -> None:
    kind = param.ctype.kind
    if kind in (TypeKind.VOID, TypeKind.STRUCT):
        text = f"trace parameter {param.name!r} is {kind.value}; integers, pointers and strings can be recorded"
        values.complain(param.line, text)


def _check_name(values: Values, param: Param, scope: _Scope) -> None:
    name = param.name
    if name in FIELDS_TAKEN or name.startswith(COMMON_PREFIX):
        text = f"trace.param.name {name!r} is taken by the trace record; choose another name"
        values.complain(param.line, text)
    elif name == RETURN_VALUE and scope.void:
        rule = "remove the trace parameter or give returnType"
        values.complain(param.line, f"{RETURN_VALUE!r} is traced but the function returns nothing; {rule}")
    elif name != RETURN_VALUE and not scope.has(name):
        values.complain(param.line, *scope.unknown(name))


def _check_classes(values: Values, params: Iterable[Param], function: Function) -> None:
    """Complain about values that C does not convert without a cast: pointer and integer."""
    there = {one.name: one.ctype for one in function.arguments}
    if function.returns:
        there[RETURN_VALUE] = function.returns
    for param in params:
        value = there.get(param.name)
        kinds = {one.kind for one in (param.ctype, value) if one}
        if value and TypeKind.INTEGER in kinds and kinds & {TypeKind.POINTER, TypeKind.STRING}:
            text = f"trace parameter {param.name!r} is {param.ctype.kind.value} ({param.ctype.text}) but the value"
            rule = "give it that type, or trace a variable of the prologue"
            values.complain(param.line, f"{text} is {value.kind.value} ({value.text}); {rule}")


def _format(values: Values, params: tuple[Param, ...]) -> tuple[str, tuple[Conversion, ...]]:
    """Return the format as the inside of a C literal, and the conversion that prints each trace parameter."""
    text = values.need("trace.formatString", "%p")
    if text is None:
        return "", ()
    inside = _inside(text.value)
    try:
        _check_literal(inside)
        found = tuple(conversions(inside))
    except InputError as error:
        values.complain(text.line, f"trace.formatString: {error}")
        return inside, ()
    for fault in _faults(found, params, len(values.every("trace.param.name"))):
        values.complain(text.line, f"trace.formatString{fault}")
    return inside, found


def _inside(value: str) -> str:
    """Return the inside of a format string that is written with or without quotes."""
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value


def _check_literal(inside: str) -> None:
    """Raise InputError for text that cannot be the inside of a C string literal on one line."""
    for character in inside:
        if not 0x20 <= ord(character) < 0x7F:
            raise InputError(f"{character!r} cannot stand in a trace; printable ASCII characters only")
        if character in '"\\':
            what = "quote" if character == '"' else "backslash"
            raise InputError(
                f"a {what} inside the text: the kernel shows the format of an event without its escapes, so that "
                "no program could read the trace; leave it out or use '"
            )


def _faults(found: tuple[Conversion, ...], params: tuple[Param, ...], names: int) -> Iterator[str]:
    """Say what is wrong with the conversions for the trace parameters, of which ``names`` are given."""
    if len(found) != names:
        rule = "write one conversion for each, %% for a percent sign"
        yield f" has {len(found)} conversions for {names} trace parameters; {rule}"
    elif len(params) == names:
        yield from _misfits(found, params)
    size = sum(one.text_size for one in found)
    if size > _STRINGS_MAX:
        rule = "give them a precision such as %.31s, which copies 31 bytes"
        yield f": the strings take up to {size} bytes of the stack, at most {_STRINGS_MAX} are allowed; {rule}"


def _misfits(found: tuple[Conversion, ...], params: tuple[Param, ...]) -> Iterator[str]:
    for conversion, param in zip(found, params, strict=True):
        ctype = param.ctype
        fault = "" if ctype.kind in (TypeKind.VOID, TypeKind.STRUCT) else misfit(conversion, ctype)
        if fault:
            yield f": {param.name!r} is {ctype.kind.value} ({ctype.text}), {fault}"


# What the templates are given


def view(one: ResolvedFunction) -> dict[str, Any]:
    """Return what the templates may name of a function: its replacement, the copies of its strings and its event."""
    function = one.function
    shown = replacement(one)
    copies = _copies(function)
    late = [copy for copy in copies if _known_late(function, copy.value)]
    return {
        **shown,
        "event": event(function),
        "declarations": shown["declarations"] + [f"char {copy.copy}[{copy.size}]" for copy in copies],
        "before": function.moment == BEFORE,
        "early": [copy for copy in copies if copy not in late],
        "late": late,
        "traced": ", ".join(_passed_on(*pair) for pair in _traced(function)) or "0",
        **_event(function),
    }


def plan(one: ResolvedFunction) -> dict[str, Any]:
    """Return the event of a function: its name, the moment of the record, and the fields that are strings."""
    strings = [copy.value for copy in _copies(one.function)]
    return {"event": event(one.function), "moment": one.function.moment, "strings": strings}


def _traced(function: Function) -> list[tuple[Param, Conversion]]:
    """Return the trace parameters, each with the conversion that prints it."""
    return list(zip(function.own.params, function.own.conversions, strict=True))


def _copies(function: Function) -> list[SimpleNamespace]:
    """Return the strings that are copied to the stack, for the record to be made of the copies."""
    pointer = f"{cdecl.OWN_PREFIX}from"
    return [
        SimpleNamespace(
            line=param.type_line, pointer=declare(param.ctype.text, pointer), value=param.name, copy=_copy_of(param),
            size=conversion.text_size,
        )
        for param, conversion in _traced(function)
        if conversion.text_size
    ]


def _known_late(function: Function, name: str) -> bool:
    """Return whether a string is there only after the call: as the result, or made by middleCode."""
    if function.moment == BEFORE:
        return False
    own = name in (argument.name for argument in function.arguments)
    middle = function.middle is not None and cdecl.has_word(function.middle.text, name)
    return name == RETURN_VALUE or (middle and not own)


def _passed_on(param: Param, conversion: Conversion) -> str:
    """Return what the trace event is called with for a parameter."""
    return _copy_of(param) if conversion.text_size else param.name


def _copy_of(param: Param) -> str:
    return f"{cdecl.OWN_PREFIX}text_{param.name}"


def _event(function: Function) -> dict[str, Any]:
    """Return the trace event of a function. It must have a field, so one without parameters gets an empty one."""
    text = function.own.format.replace("??", "?\\?")  # the compiler warns of trigraphs
    if function.own.params:
        return {"fields": [_field(event(function), *pair) for pair in _traced(function)], "format": text}
    name = f"{cdecl.OWN_PREFIX}nothing"
    nothing = SimpleNamespace(
        typedef="", line=0, prototype=f"int {name}", argument=name, entry=f"__field(int, {name})",
        assign=f"__entry->{name} = {name};", printed='""',
    )  # fmt: skip
    return {"fields": [nothing], "format": f"{text}%s"}


def _field(event_name: str, param: Param, conversion: Conversion) -> SimpleNamespace:
    """Return one trace parameter in the places of its event: text with as many bytes as it has, or a value.

    ``typedef`` declares its type by the name that the prototype uses, '' for a type of the generated code.
    """
    name, ctype = param.name, param.ctype
    passed = f"{cdecl.OWN_PREFIX}{name}"  # the kernel's macros have variables of their own in the same scope
    own_type = f"{cdecl.OWN_PREFIX}{event_name}_{name}_t"
    field = SimpleNamespace(typedef=f"typedef {declare(ctype.text, own_type)}", line=param.type_line, argument=passed)
    if conversion.text_size:
        size = f"__kedr_text_size({passed}, {conversion.text_size})"
        field.prototype = declare("const char *", passed)
        field.entry = f"__dynamic_array(char, {name}, {size})"
        field.assign = f"__kedr_text_copy(__get_dynamic_array({name}), {size}, {passed});"
        field.printed = f"__get_str({name})"
    else:
        field.prototype = declare(own_type, passed)
        field.entry = f"__field({ctype.field}, {name})"
        field.assign = f"__entry->{name} = {ctype.cast}{passed};"
        field.printed = f"__entry->{name}"
    return field
