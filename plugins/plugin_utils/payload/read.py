# SPDX-License-Identifier: GPL-3.0-or-later
"""Payload descriptions: a data file in, a checked Payload or the list of all its mistakes out.

What all kinds of payloads have in common is checked here, the rest by the kind of the file (kinds/). Needs nothing but
Python itself.
"""

import codecs
from dataclasses import dataclass, replace

from ..base.near import did_you_mean, nearest
from ..ctypes import cdecl
from ..ctypes.cdecl import CType, TypeKind
from ..mist import data as mist
from . import special
from .kinds.registry import KINDS, kind_of
from .mend import read_groups
from .model import AFTER, BEFORE, RETURN_VALUE, Code, Function, Payload, Problem
from .values import Complaints, Place, Text, Values

# name -> may it be given several times?
GLOBALS = {"module.name": False, "module.author": False, "module.license": False, "header": True}
GROUP = {
    "function.name": False, "function.optional": False, "record": False, "returnType": False, "returnsVoid": False,
    "arg.type": True, "arg.name": True, "prologue": False, "middleCode": False, "epilogue": False,
}  # fmt: skip

LICENSES = ("GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL")
MODULE_NAME_MAX = 55  # MODULE_NAME_LEN of a 64-bit kernel without its NUL
_MODULES_TAKEN = frozenset({"payload", "cp_controller", "cp_target"})
_FILE_SIZE_MAX = 64 << 20


@dataclass(frozen=True)
class Claims:
    """What a file wants for itself alone: its module and its functions with their lines."""

    path: str
    module: str = ""
    module_line: int = 1
    functions: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Reading:
    """What one file holds: a payload or mistakes; and what it claims, as far as that could be read."""

    payload: Payload | None
    problems: tuple[Problem, ...]
    claims: Claims
    readable: bool = True


def read_file(path: str) -> Reading:
    """Read one file as far as possible; that it cannot be read at all is a problem too."""
    try:
        with open(path, "rb") as file:
            data = file.read(_FILE_SIZE_MAX + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return _refused(path, 0, f"cannot be read: {why}", readable=False)
    if len(data) > _FILE_SIZE_MAX:
        text = f"is not a payload description; at most {_FILE_SIZE_MAX >> 20} MiB are allowed"
        return _refused(path, 0, text, readable=False)
    return read_payload(data, path)


def _refused(path: str, line: int, text: str, readable: bool = True) -> Reading:
    return Reading(None, (Problem(path, line, text),), Claims(path), readable)


def read_payload(data: bytes, path: str) -> Reading:
    """Read the bytes of a payload description as far as possible."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _refused(path, 1, "the file is UTF-16; save it as UTF-8")
    complain = Complaints(path)
    if data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
        complain(1, "the file starts with a byte order mark; save it as UTF-8 without BOM")
    groups = read_groups(data, _parameters(), complain)
    reader = _Reader(complain, groups)
    payload = reader.payload() if groups else None
    claims = Claims(path, reader.module, reader.module_line, tuple(reader.names))
    return Reading(None if complain.problems else payload, tuple(sorted(set(complain.problems))), claims)


def _parameters() -> set[str]:
    """Return every name that a definition may have."""
    return {*GLOBALS, *GROUP}.union(*(kind.PARAMETERS for kind in KINDS.values()))


class _Reader:
    """Turns the groups of one file into a Payload; complains about everything that is wrong on the way."""

    def __init__(self, complain: Complaints, groups: list[mist.Group]) -> None:
        self.complain = complain
        self.groups = groups
        names = (item.name.decode("utf-8", "replace") for group in groups[1:] for item in group.items)
        self.kind = kind_of(names)
        self.start = Place("before the first [group]", "before the first [group]", GLOBALS)
        self.group = Place("in a [group]", "after a [group] line", {**GROUP, **KINDS[self.kind].PARAMETERS})
        self.module = ""
        self.module_line = 1
        self.names: list[tuple[str, int]] = []

    def payload(self) -> Payload:
        """Return the payload, as far as it could be understood."""
        start, *groups = self.groups
        values = Values(start, self.start, self.group, self.complain)
        self.module = self._module(values.need("module.name", "my_payload"))
        author = values.need("module.author", "Jane Doe")
        headers = tuple(filter(None, map(values.code_of, values.every("header"))))
        license_ = self._license(values.need("module.license", "GPL"))
        if not groups:
            self.complain(1, "there is no [group]; describe each function to intercept after a line '[group]'")
        functions = tuple(filter(None, (self._function(group, headers) for group in groups)))
        self._duplicates()
        return Payload(
            self.complain.path, self.module, author.value if author else "", license_, headers, functions,
            self.kind, tuple(self.groups), self.module_line,
        )  # fmt: skip

    def _module(self, text: Text | None) -> str:
        """Return the module's name as the kernel spells it."""
        if text is None:
            return ""
        self.module_line = text.line
        name = text.value.replace("-", "_")
        if not cdecl.is_identifier(name):
            rule = "letters, digits, _ and - are allowed, not starting with a digit"
            self.complain(text.line, f"module.name {text.value!r} is not a valid name of a module; {rule}")
        elif len(name) > MODULE_NAME_MAX:
            self.complain(text.line, f"module.name has {len(name)} characters; at most {MODULE_NAME_MAX} are allowed")
        elif name in _MODULES_TAKEN:
            self.complain(text.line, f"module.name {text.value!r} is taken by the build; choose another name")
        return name

    def _license(self, text: Text | None) -> str:
        if text is None:
            return ""
        if text.value not in LICENSES:
            meant = nearest(text.value, LICENSES)
            wrong = f"module.license {text.value!r} may not use the kernel's GPL-only functions{did_you_mean(meant)}"
            self.complain(text.line, f"{wrong}; allowed are {', '.join(map(repr, LICENSES))}", meant)
        return text.value

    def _function(self, group: mist.Group, headers: tuple[Code, ...]) -> Function | None:
        values = Values(group, self.group, self.start, self.complain)
        name = values.need("function.name", "kfree")
        function = Function(
            name.value if name else "", name.line if name else 0, _returns(values),
            values.params("arg.type", "arg.name", "argument"), values.code("prologue"), values.code("middleCode"),
            values.code("epilogue"), values.flag("function.optional"), _moment(values),
        )
        if name:
            self.names.append((name.value, name.line))
            values.is_name(name)
            _check_special(values, name, function.moment)
        _check_arguments(values, function)
        void = values.flag("returnsVoid")
        if void:
            _check_no_result(values)
        own = KINDS[self.kind].read(values, function, headers)
        return replace(function, own=own) if name and (function.returns or void) else None

    def _duplicates(self) -> None:
        first: dict[str, int] = {}
        for name, line in self.names:
            if name in first:
                text = f"function {name!r} is given again (first in line {first[name]}); describe each function once"
                self.complain(line, text)
            first.setdefault(name, line)


# The parts of a [group] that all kinds have


def _moment(values: Values) -> str:
    """Return when a call is recorded."""
    text = values.get("record")
    if text is None or text.value in (BEFORE, AFTER):
        return text.value if text else AFTER
    meant = nearest(text.value, (BEFORE, AFTER))
    rule = f"allowed are {BEFORE} and {AFTER} the call"
    values.complain(text.line, f"'record' is {text.value!r}{did_you_mean(meant)}; {rule}", meant)
    return AFTER


def _returns(values: Values) -> CType | None:
    """Return the type of the result; None when there is none, or no valid one."""
    text, void = values.get("returnType"), values.get("returnsVoid")
    if values.flag("returnsVoid") and text:
        values.complain(text.line, "both 'returnType' and 'returnsVoid = yes' are given; give one of them")
    elif text is None and (void is None or void.value == "no"):
        rule = "write for example 'returnType = int' or 'returnsVoid = yes'"
        values.complain(values.line, f"neither 'returnType' nor 'returnsVoid' is given; {rule}")
    if text is None:
        return None
    ctype = values.ctype(text)
    if ctype and ctype.kind is TypeKind.VOID:
        values.complain(text.line, "returnType is void; write 'returnsVoid = yes' instead")
    return ctype


def _check_special(values: Values, name: Text, moment: str) -> None:
    """Complain about a function that cannot be replaced, or can be recorded before the call only."""
    reason = special.denied(name.value)
    if reason:
        values.complain(name.line, f"function {name.value!r} cannot be replaced: {reason}")
    if not special.never_returns(name.value):
        return
    result = values.get("returnType")
    if result:
        values.complain(result.line, f"returnType: {name.value} never returns; write 'returnsVoid = yes' instead")
    if moment == AFTER:
        values.complain(name.line, special.NEVER_RETURNS.format(name.value))


def _check_arguments(values: Values, function: Function) -> None:
    for argument in function.arguments:
        what = f"arg.name {argument.name!r}"
        if argument.ctype.kind is TypeKind.VOID:
            text = f"argument {argument.name!r} is void; leave the argument out or use void *"
            values.complain(argument.line, text)
        if argument.name == RETURN_VALUE:
            values.complain(argument.line, f"{what} is reserved for the result; choose another name")
        if argument.name == function.name:
            values.complain(argument.line, f"{what} is the name of the function; choose another name")


def _check_no_result(values: Values) -> None:
    for name in ("prologue", "middleCode", "epilogue"):
        part = values.code(name)
        if part and cdecl.has_word(part.text, RETURN_VALUE):
            text = f"{name!r} uses {RETURN_VALUE!r} but the function returns nothing"
            values.complain(part.line, f"{text}; remove it or give returnType instead of returnsVoid")
