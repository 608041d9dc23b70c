# SPDX-License-Identifier: GPL-3.0-or-later
"""Payload descriptions: a .data file in, a checked Payload or the list of all its mistakes out."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..base.errors import InputError
from ..base.near import did_you_mean, nearest
from ..ctypes import cdecl
from ..ctypes.cdecl import CType, Kind
from ..ctypes.printf import Conversion, conversions, misfit
from ..mist import data as mist
from . import special
from .model import AFTER, BEFORE, RETURN_VALUE, Code, Function, Param, Payload, PayloadError, Problem

# name -> may it be given several times
GLOBALS = {"module.name": False, "module.author": False, "module.license": False, "header": True}
GROUP = {
    "function.name": False, "function.optional": False, "record": False, "returnType": False, "returnsVoid": False,
    "arg.type": True, "arg.name": True, "trace.param.type": True, "trace.param.name": True,
    "trace.formatString": False, "prologue": False, "middleCode": False, "epilogue": False,
}  # fmt: skip

LICENSES = ("GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL")
MODULE_NAME_MAX = 55  # MODULE_NAME_LEN of a 64-bit kernel without its NUL
TRACE_PARAMS_MAX = 12  # what the kernel's tracepoint macros can count
_MODULES_TAKEN = frozenset({"payload", "cp_controller", "cp_target"})
FIELDS_TAKEN = frozenset({"ent", "__data", "__entry"})  # of every trace record
COMMON_PREFIX = "common_"  # of the kernel's own fields of a record
STRINGS_MAX = 512  # bytes of the stack that the copies of one call's strings may take
_MALFORMED_MAX = 50  # malformed lines looked for in one file
_NAMES = b"|".join(re.escape(name.encode()) for name in sorted({*GLOBALS, *GROUP}))
# Lines that no C has: a value must have ended before them. And lines that C has seldom: it may have ended there.
_NEXT = re.compile(rb"^[ \t]*(?:\[group\]|(?:" + _NAMES + rb")[ \t]*=>>)[ \t\r]*$", re.MULTILINE)
_LIKELY_NEXT = re.compile(rb"[ \t]*(?:\[group\]|(?:" + _NAMES + rb")[ \t]*=)")
FILE_SIZE_MAX = 64 << 20
_NO_EQUALS = "'=' is missing"
_NEARLY_MARK = re.compile(rb"[ \t]*\[\s*\w+\s*\]\s*\Z")
_OPENING = re.compile(rb"[^=]*=>>")
_NO_END = '"<<" is missing'
_SYNTAX = {
    _NO_EQUALS: "allowed are 'name = value', 'name =>>', '[group]' and lines starting with '#'",
    "name is missing": "write 'name = value'",
    _NO_END: "a value that starts with '=>>' ends with a line '<<'",
}


@dataclass(frozen=True)
class Claims:
    """What a file wants for itself alone: its module and its functions with their lines."""

    path: str
    module: str
    module_line: int
    functions: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Reading:
    """What one file holds: a payload or mistakes; and what it claims, as far as that could be read."""

    payload: Payload | None
    problems: tuple[Problem, ...]
    claims: Claims
    readable: bool = True


def load_payload(path: str) -> Payload:
    """Read and check one payload description; PayloadError lists every mistake in it."""
    return _whole(read_file(path))


def parse_payload(data: bytes, path: str) -> Payload:
    """Check the bytes of a payload description; `path` is what the messages and the sources call it."""
    return _whole(read_payload(data, path))


def _whole(reading: Reading) -> Payload:
    if reading.payload is None:
        raise PayloadError(reading.problems)
    return reading.payload


def read_file(path: str) -> Reading:
    """Read one file as far as possible; one that cannot be read at all is a problem too."""
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_SIZE_MAX + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return _unreadable(path, f"cannot be read: {why}")
    if len(data) > FILE_SIZE_MAX:
        return _unreadable(path, f"is no payload description; at most {FILE_SIZE_MAX >> 20} MiB are allowed")
    return read_payload(data, path)


def _unreadable(path: str, text: str) -> Reading:
    return Reading(None, (Problem(path, 0, text),), Claims(path, "", 1, ()), readable=False)


def read_payload(data: bytes, path: str) -> Reading:
    """Read the bytes of a payload description as far as possible."""
    problems: list[Problem] = []
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        problem = Problem(path, 1, "the file is UTF-16; save it as UTF-8")
        return Reading(None, (problem,), Claims(path, "", 1, ()))
    if data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
        problems.append(Problem(path, 1, "the file starts with a byte order mark; save it as UTF-8 without BOM"))
    reader = _Reader(_Complaints(path, problems), path)
    groups = _read_groups(data, path, problems)
    payload = reader.payload(groups) if groups else None
    claims = Claims(path, reader.module, reader.module_line, tuple(reader.names))
    return Reading(None if problems else payload, tuple(sorted(set(problems))), claims)


def check_together(payloads: Sequence[Payload]) -> None:
    """Check payloads that are to be loaded together; PayloadError names both places of each conflict."""
    problems = conflicts(
        Claims(one.path, one.module, one.module_line, tuple((each.name, each.line) for each in one.functions))
        for one in payloads
    )
    if problems:
        raise PayloadError(problems)


def conflicts(files: Iterable[Claims]) -> list[Problem]:
    """What is wrong about files that are to be loaded together: modules and functions that two of them claim."""
    problems: list[Problem] = []
    modules: dict[str, Claims] = {}
    functions: dict[str, tuple[Claims, int]] = {}
    for file in files:
        first = modules.setdefault(file.module, file) if file.module else file
        if first is not file:
            text = f"module.name {file.module!r} is also that of {first.path}; give each payload its own"
            problems.append(Problem(file.path, file.module_line, text))
        for name, line in file.functions:
            owner, earlier = functions.setdefault(name, (file, line))
            if owner is not file:
                text = (
                    f"function {name!r} is already in {owner.path}:{earlier}; "
                    "one function can be replaced by one payload only"
                )
                problems.append(Problem(file.path, line, text))
    return problems


class _Complaints:
    """Collects the problems of one file."""

    def __init__(self, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems

    def __call__(self, line: int, text: str, suggestion: str = "") -> None:
        self.problems.append(Problem(self.path, max(line, 1), text, suggestion))


def _read_groups(data: bytes, path: str, problems: list[Problem]) -> list[mist.Group]:
    """The groups of a file. What is malformed becomes a problem and is mended, so that the rest is checked."""
    file = _Lines(data)
    for _attempt in range(_MALFORMED_MAX):
        try:
            groups = mist.parse(b"\n".join(file.lines))
        except mist.DataError as error:
            if error.reason == _NO_END:
                groups = mist.parse(b"\n".join([*file.lines, b"<<"]))
                file.end_value(groups[-1].items[-1], path, problems)
            else:
                file.leave_out(error, path, problems)
            continue
        endless = _endless(groups)
        if endless is None:
            return file.numbered(groups)
        file.end_value(endless, path, problems)
    last = max(problem.line for problem in problems)
    text = f"more than {_MALFORMED_MAX} malformed lines; the rest is not checked, mend these first"
    problems.append(Problem(path, last, text))
    return []


def _endless(groups: list[mist.Group]) -> mist.Item | None:
    """The first value of several lines that took in what can only be the next definition."""
    items = (item for group in groups for item in group.items)
    return next((item for item in items if b"\n" in item.value and _NEXT.search(item.value)), None)


class _Lines:
    """The lines of a file while it is mended; `numbers` are those that the user's editor shows."""

    def __init__(self, data: bytes) -> None:
        self.lines = data.split(b"\n")
        self.numbers = list(range(1, len(self.lines) + 1))
        self.left_out: set[int] = set()

    def leave_out(self, error: mist.DataError, path: str, problems: list[Problem]) -> None:
        """Empty the line that is wrong, or the one before it that it continues."""
        line = min(max(error.line, 1), len(self.lines))
        mark = _NEARLY_MARK.match(self.lines[line - 1]) if error.reason == _NO_EQUALS else None
        opening = _OPENING.match(self.lines[line - 1]) if error.reason.endswith('"=>>"') else None
        if line not in self.left_out:
            rule = "did you mean '[group]'?" if mark else _SYNTAX.get(error.reason, "put nothing else on the line")
            problems.append(Problem(path, self.numbers[line - 1], f"{error.reason}; {rule}"))
        first = line
        while line in self.left_out and line > 1:
            line -= 1
        self.left_out.add(line)
        if opening and line == first and self.closes_after(line):
            self.lines[line - 1] = opening.group()
        else:
            self.lines[line - 1] = mist.MARK if mark or error.reason.endswith('"[group]"') else b""

    def closes_after(self, line: int) -> bool:
        """Is there the end of a value after a line, before what looks like the next definition?"""
        for text in self.lines[line:]:
            if text.strip(mist.BLANKS) == mist.CLOSE:
                return True
            if _LIKELY_NEXT.match(text):
                return False
        return False

    def end_value(self, item: mist.Item, path: str, problems: list[Problem]) -> None:
        """End a value of several lines before the line that looks like the next definition."""
        name = item.name.decode("utf-8", "backslashreplace")
        text = f"the value of {name!r} has no end, {_NO_END}; {_SYNTAX[_NO_END]}"
        problems.append(Problem(path, self.numbers[item.line - 1], text))
        after = range(max(item.line, item.value_line - 1), len(self.lines))
        at = next((line for line in after if _LIKELY_NEXT.match(self.lines[line])), len(self.lines))
        self.lines.insert(at, b"<<")
        self.numbers.insert(at, self.numbers[min(at, len(self.numbers) - 1)])
        self.left_out = {line + (line > at) for line in self.left_out}

    def numbered(self, groups: list[mist.Group]) -> list[mist.Group]:
        """The groups with the user's line numbers."""
        return [mist.Group(self.number(one.line), [self.moved(item) for item in one.items]) for one in groups]

    def moved(self, item: mist.Item) -> mist.Item:
        """A definition with the user's line numbers."""
        return mist.Item(item.name, item.value, self.number(item.line), self.number(item.value_line))

    def number(self, line: int) -> int:
        """The user's number of a line; 0 stays 0."""
        return self.numbers[line - 1] if line else 0


class _Text:
    """One definition as text: name, value, the line of the definition and of its value."""

    def __init__(self, item: mist.Item, complain: _Complaints) -> None:
        self.name = item.name.decode("utf-8", "backslashreplace")
        self.line = item.line
        self.value_line = item.value_line
        self.value = item.value.decode("utf-8", "replace")
        if b"\0" in item.value:
            complain(item.line, f"the value of {self.name!r} holds a NUL byte; text only")
        elif "\ufffd" in self.value:
            complain(item.line, f"the value of {self.name!r} is not UTF-8; save the file as UTF-8")


class _Values:
    """The definitions of one group, by name; complains about names that do not belong there."""

    def __init__(self, group: mist.Group, allowed: dict[str, bool], where: str, complain: _Complaints) -> None:
        self.line = group.line
        self.complain = complain
        self.where = where
        self.texts: dict[str, list[_Text]] = {}
        self.order: list[_Text] = []
        for item in group.items:
            text = _Text(item, complain)
            if text.name not in allowed:
                complain(text.line, *_unknown(text.name, allowed, where))
                continue
            earlier = self.texts.setdefault(text.name, [])
            if earlier and not allowed[text.name]:
                complain(text.line, f"{text.name!r} is given again (first in line {earlier[0].line}); give it once")
            else:
                earlier.append(text)
                self.order.append(text)

    def get(self, name: str) -> _Text | None:
        """The only value of a name that may be given once."""
        return self.texts[name][0] if self.texts.get(name) else None

    def need(self, name: str, example: str) -> _Text | None:
        """The value of a name that must be there and not be empty."""
        text = self.get(name)
        if text is None:
            self.complain(self.line, f"{name!r} is missing {self.where}; write for example '{name} = {example}'")
        elif not text.value:
            self.complain(text.line, f"{name!r} is empty; write for example '{name} = {example}'")
            return None
        return text

    def flag(self, name: str) -> bool:
        """A yes/no value, no when it is not given."""
        text = self.get(name)
        if text is None:
            return False
        if text.value not in ("yes", "no"):
            self.complain(text.line, f"{name!r} is {text.value!r}; allowed are yes and no")
        return text.value == "yes"


def _unknown(name: str, allowed: Iterable[str], where: str) -> tuple[str, str]:
    """What to say about a parameter that does not belong where it stands, and which was probably meant."""
    names = sorted(allowed)
    text = f"unknown parameter {name!r} {where}"
    elsewhere = GLOBALS if "function.name" in names else GROUP
    if name in elsewhere:
        place = "before the first [group]" if elsewhere is GLOBALS else "after a [group] line"
        return f"parameter {name!r} does not belong {where}; it stands {place}", ""
    meant = nearest(name, (*names, *elsewhere))
    return f"{text}{did_you_mean(meant)}; allowed here: {', '.join(names)}", meant


class _Reader:
    """Turns the groups of one file into a Payload; complains about everything that is wrong on the way."""

    def __init__(self, complain: _Complaints, path: str) -> None:
        self.complain = complain
        self.path = path
        self.module = ""
        self.module_line = 1
        self.names: list[tuple[str, int]] = []

    def payload(self, groups: list[mist.Group]) -> Payload | None:
        """The payload, as far as it could be understood; None when nothing could."""
        values = _Values(groups[0], GLOBALS, "before the first [group]", self.complain)
        self.module = self._module(values.need("module.name", "my_payload"))
        author = values.need("module.author", "Jane Doe")
        headers = tuple(filter(None, (self._code(text) for text in values.texts.get("header", []))))
        license_ = self._license(values.need("module.license", "GPL"))
        if len(groups) == 1:
            self.complain(1, "there is no [group]; describe each function to intercept after a line '[group]'")
        functions = tuple(filter(None, (self._function(group, headers) for group in groups[1:])))
        self._duplicates()
        name = author.value if author else ""
        return Payload(
            self.path, self.module, name, license_, headers, functions, tuple(groups), self.module_line
        )

    def _module(self, text: _Text | None) -> str:
        """The module's name as the kernel spells it."""
        if text is None:
            return ""
        self.module_line = text.line
        name = text.value.replace("-", "_")
        if not cdecl.is_identifier(name):
            self.complain(
                text.line,
                f"module.name {text.value!r} is no name of a module; letters, digits, _ and - "
                "are allowed, not starting with a digit",
            )
        elif len(name) > MODULE_NAME_MAX:
            self.complain(text.line, f"module.name has {len(name)} characters; at most {MODULE_NAME_MAX} are allowed")
        elif name in _MODULES_TAKEN:
            self.complain(text.line, f"module.name {text.value!r} is taken by the build; choose another name")
        return name

    def _license(self, text: _Text | None) -> str:
        if text is None:
            return ""
        if text.value not in LICENSES:
            allowed = ", ".join(repr(name) for name in LICENSES)
            meant = nearest(text.value, LICENSES)
            self.complain(
                text.line,
                f"module.license {text.value!r} may not use the kernel's GPL-only functions{did_you_mean(meant)}; "
                f"allowed are {allowed}",
                meant,
            )
        return text.value

    def _code(self, text: _Text | None) -> Code | None:
        """A code part; None when it is not given or blank."""
        if text is None or not text.value.strip():
            return None
        code = re.sub(r"\r$", "", text.value, flags=re.MULTILINE)
        fault = cdecl.unbalanced(code)
        if fault:
            self.complain(text.value_line + fault[0], f"in {text.name!r}: {fault[1]}; close it in the same code part")
        return Code(code, text.value_line)

    def _function(self, group: mist.Group, headers: tuple[Code, ...]) -> Function | None:
        values = _Values(group, GROUP, "in a [group]", self.complain)
        name = values.need("function.name", "kfree")
        if name:
            self._identifier(name.value, name.line, "function.name")
            self.names.append((name.value, name.line))
        returns = self._returns(values)
        arguments = self._params(values, "arg.type", "arg.name", "argument")
        trace = self._params(values, "trace.param.type", "trace.param.name", "trace parameter")
        code = {part: self._code(values.get(part)) for part in ("prologue", "middleCode", "epilogue")}
        moment = self._moment(values)
        known_parts = [*headers, code["prologue"], code["middleCode"] if moment == AFTER else None]
        sources = [part.text for part in known_parts if part]
        void = values.flag("returnsVoid")
        if name:
            self._special(name, values, moment)
        self._argument_types(arguments, name.value if name else "")
        known = {text.value for text in values.texts.get("arg.name", [])}
        later = self._known_later(trace, known, sources, code["middleCode"]) if moment == BEFORE else set()
        self._trace_params(tuple(one for one in trace if one.name not in later), known, sources, void)
        given = len(values.texts.get("arg.name", [])) + len(values.texts.get("trace.param.name", []))
        if len(arguments) + len(trace) == given:  # else a name may be another's
            ctypes = {one.name: one.ctype for one in arguments}
            self._same_class(trace, {**ctypes, RETURN_VALUE: returns} if returns else ctypes)
        if void:
            self._no_return_value(code)
        text, found = self._format(values, trace)
        optional = values.flag("function.optional")
        if name is None or (returns is None and not void):
            return None
        return Function(
            name.value,
            name.line,
            None if void else returns,
            arguments,
            trace,
            text,
            found,
            code["prologue"],
            code["middleCode"],
            code["epilogue"],
            optional,
            moment,
        )

    def _moment(self, values: _Values) -> str:
        """When a call is recorded."""
        text = values.get("record")
        if text is None or text.value in (BEFORE, AFTER):
            return text.value if text else AFTER
        meant = nearest(text.value, (BEFORE, AFTER))
        rule = f"allowed are {BEFORE} and {AFTER} the call"
        self.complain(text.line, f"'record' is {text.value!r}{did_you_mean(meant)}; {rule}", meant)
        return AFTER

    def _special(self, name: _Text, values: _Values, moment: str) -> None:
        """Functions that cannot be replaced, and those that can be recorded before the call only."""
        reason = special.denied(name.value)
        if reason:
            self.complain(name.line, f"function {name.value!r} cannot be replaced: {reason}")
        if not special.never_returns(name.value):
            return
        result = values.get("returnType")
        if result:
            self.complain(result.line, f"returnType: {name.value} never returns; write 'returnsVoid = yes' instead")
        if moment == AFTER:
            self.complain(name.line, special.NEVER_RETURNS.format(name.value))

    def _known_later(
        self, trace: tuple[Param, ...], known: set[str], sources: list[str], middle: Code | None
    ) -> set[str]:
        """The names of trace parameters that have no value before the call; complains about them."""
        later: set[str] = set()
        for param in trace:
            if param.name == RETURN_VALUE:
                why = "the result is not known then"
            elif param.name in known or any(cdecl.has_word(source, param.name) for source in sources):
                continue
            elif middle and cdecl.has_word(middle.text, param.name):
                why = "middleCode runs after the call"
            else:
                continue
            later.add(param.name)
            text = f"trace parameter {param.name!r} has no value before the call: {why}"
            self.complain(param.line, f"{text}; remove it, or 'record = before'")
        return later

    def _identifier(self, name: str, line: int, what: str) -> bool:
        if not cdecl.is_identifier(name):
            why = "is a word of C or a macro of the kernel" if name in cdecl.KEYWORDS else "is no C identifier"
            self.complain(line, f"{what} {name!r} {why}; {cdecl.IDENTIFIER_RULE}")
        elif name.startswith(cdecl.OWN_PREFIX) and what != "function.name":
            self.complain(line, f"{what} {name!r} is reserved; names starting with {cdecl.OWN_PREFIX} are generated")
        else:
            return True
        return False

    def _type(self, text: _Text) -> CType | None:
        try:
            return cdecl.parse_type(text.value)
        except ValueError as error:
            self.complain(text.line, f"{text.name} {text.value!r}: {error}; {cdecl.TYPE_RULE}")
            return None

    def _returns(self, values: _Values) -> CType | None:
        text, void = values.get("returnType"), values.get("returnsVoid")
        if values.flag("returnsVoid") and text:
            self.complain(text.line, "both 'returnType' and 'returnsVoid = yes' are given; give one of them")
        elif text is None and (void is None or void.value == "no"):
            self.complain(
                values.line,
                "neither 'returnType' nor 'returnsVoid' is given; write for example "
                "'returnType = int' or 'returnsVoid = yes'",
            )
        if text is None:
            return None
        ctype = self._type(text)
        if ctype and ctype.kind is Kind.VOID:
            self.complain(text.line, "returnType is void; write 'returnsVoid = yes' instead")
        return ctype

    def _params(self, values: _Values, type_name: str, name_name: str, what: str) -> tuple[Param, ...]:
        """The paired lists of types and names; what has no partner is left out."""
        params: list[Param] = []
        names: dict[str, int] = {}
        for type_text, name_text in self._pairs(values, type_name, name_name, what):
            ctype = self._type(type_text)
            name = name_text.value
            if not self._identifier(name, name_text.line, name_name):
                continue
            if name in names:
                self.complain(
                    name_text.line,
                    f"{what} {name!r} is given again (first in line {names[name]}); give each its own name",
                )
                continue
            names[name] = name_text.line
            if ctype:
                params.append(Param(ctype, name, name_text.line, type_text.line))
        return tuple(params)

    def _pairs(self, values: _Values, type_name: str, name_name: str, what: str) -> list[tuple[_Text, _Text]]:
        """Types with their names: each type before its name, or first all types and then all names."""
        types, names = values.texts.get(type_name, []), values.texts.get(name_name, [])
        if len(types) == len(names):
            return list(zip(types, names, strict=True))
        given = f"{len(types)} {type_name} and {len(names)} {name_name} are given"
        both = [text for text in values.order if text.name in (type_name, name_name)]
        pairs: list[tuple[_Text, _Text]] = []
        if len(types) > 1 and len(names) > 1 and both[: len(types)] == types:  # all types, then all names
            pairs = list(zip(types, names, strict=False))
            both = types[len(pairs) :] + names[len(pairs) :]
        waiting: _Text | None = None
        number = len(pairs)
        for text in both:
            if text.name == type_name:
                if waiting:
                    number += 1
                    self.complain(
                        waiting.line,
                        f"{what} {number} (type {waiting.value!r}) has no {name_name}: {given}; "
                        f"write one {type_name} and one {name_name} for each {what}",
                    )
                waiting = text
                continue
            number += 1
            if waiting:
                pairs.append((waiting, text))
            else:
                self.complain(
                    text.line,
                    f"{what} {number} ({text.value!r}) has no {type_name}: {given}; "
                    f"two of them cannot share one, write one {type_name} for each {name_name}",
                )
            waiting = None
        if waiting:
            self.complain(
                waiting.line,
                f"{what} {number + 1} (type {waiting.value!r}) has no {name_name}: {given}; "
                f"write one {type_name} and one {name_name} for each {what}",
            )
        return pairs

    def _argument_types(self, arguments: tuple[Param, ...], function: str) -> None:
        for argument in arguments:
            if argument.ctype.kind is Kind.VOID:
                self.complain(
                    argument.line, f"argument {argument.name!r} is void; leave the argument out or use void *"
                )
            if argument.name == RETURN_VALUE:
                self.complain(
                    argument.line,
                    f"arg.name {RETURN_VALUE!r} is reserved for the result; choose another name",
                )
            if argument.name == function:
                self.complain(
                    argument.line, f"arg.name {function!r} is the name of the function; choose another name"
                )

    def _same_class(self, trace: tuple[Param, ...], values: dict[str, CType]) -> None:
        """C makes no pointer of an integer, nor an integer of a pointer, without a cast."""
        for param in trace:
            value = values.get(param.name)
            kinds = {one.kind for one in (param.ctype, value) if one}
            if value and Kind.INTEGER in kinds and kinds & {Kind.POINTER, Kind.STRING}:
                self.complain(
                    param.line,
                    f"trace parameter {param.name!r} is {param.ctype.kind.value} ({param.ctype.text}) but the value "
                    f"is {value.kind.value} ({value.text}); give it that type, or trace a variable of the prologue",
                )

    def _trace_params(self, trace: tuple[Param, ...], known: set[str], sources: list[str], void: bool) -> None:
        if len(trace) > TRACE_PARAMS_MAX:
            self.complain(
                trace[TRACE_PARAMS_MAX].line,
                f"{len(trace)} trace parameters; at most {TRACE_PARAMS_MAX} are allowed",
            )
        for param in trace:
            if param.ctype.kind in (Kind.VOID, Kind.STRUCT):
                self.complain(
                    param.line,
                    f"trace parameter {param.name!r} is {param.ctype.kind.value}; "
                    "integers, pointers and strings can be recorded",
                )
            if param.name in FIELDS_TAKEN or param.name.startswith(COMMON_PREFIX):
                self.complain(
                    param.line,
                    f"trace.param.name {param.name!r} is taken by the trace record; choose another name",
                )
            elif param.name == RETURN_VALUE:
                if void:
                    self.complain(
                        param.line,
                        f"{RETURN_VALUE!r} is traced but the function returns nothing; "
                        "remove the trace parameter or give returnType",
                    )
            elif param.name not in known and not any(cdecl.has_word(source, param.name) for source in sources):
                names = [*sorted(known), *([] if void else [RETURN_VALUE])]
                words = {word for source in sources for word in cdecl.words(source)}
                meant = nearest(param.name, [*names, *words])
                self.complain(
                    param.line,
                    f"trace parameter {param.name!r} names no value{did_you_mean(meant)}; "
                    f"allowed are {', '.join(names) or 'none'} and variables declared in the prologue",
                    meant,
                )

    def _no_return_value(self, code: dict[str, Code | None]) -> None:
        for name, part in code.items():
            if part and cdecl.has_word(part.text, RETURN_VALUE):
                self.complain(
                    part.line,
                    f"{name!r} uses {RETURN_VALUE!r} but the function returns nothing; "
                    "remove it or give returnType instead of returnsVoid",
                )

    def _format(self, values: _Values, trace: tuple[Param, ...]) -> tuple[str, tuple[Conversion, ...]]:
        """The format as the inside of a C literal and the conversion that prints each trace parameter."""
        text = values.need("trace.formatString", "%p")
        if text is None:
            return "", ()
        inside = _literal(text.value)
        fault = _literal_fault(inside)
        if fault:
            self.complain(text.line, f"trace.formatString: {fault}")
            return inside, ()
        try:
            found = conversions(inside)
        except InputError as error:
            self.complain(text.line, f"trace.formatString: {error}")
            return inside, ()
        names = len(values.texts.get("trace.param.name", []))
        if len(found) != names:
            self.complain(
                text.line,
                f"trace.formatString has {len(found)} conversions for {names} trace parameters; "
                "write one conversion for each, %% for a percent sign",
            )
        elif len(trace) == names:
            self._fits(text.line, found, trace, self.complain)
        size = sum(one.text_size for one in found)
        if size > STRINGS_MAX:
            self.complain(
                text.line,
                f"trace.formatString: the strings take up to {size} bytes of the stack, at most {STRINGS_MAX} are "
                "allowed; give them a precision such as %.31s, which copies 31 bytes",
            )
        return inside, tuple(found)

    @staticmethod
    def _fits(
        line: int, found: list[Conversion], trace: tuple[Param, ...], complain: Callable[[int, str], None]
    ) -> None:
        for conversion, param in zip(found, trace, strict=True):
            if param.ctype.kind in (Kind.VOID, Kind.STRUCT):
                continue
            fault = misfit(conversion, param.ctype)
            if fault:
                complain(
                    line,
                    f"trace.formatString: {param.name!r} is {param.ctype.kind.value} ({param.ctype.text}), {fault}",
                )

    def _duplicates(self) -> None:
        first: dict[str, int] = {}
        for name, line in self.names:
            if name in first:
                self.complain(
                    line,
                    f"function {name!r} is given again (first in line {first[name]}); describe each function once",
                )
            first.setdefault(name, line)


def _literal(value: str) -> str:
    """The inside of a format string that is written with or without quotes."""
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value


def _literal_fault(inside: str) -> str:
    """Why text cannot be the inside of a C string literal on one line; '' when it can."""
    for character in inside:
        if not 0x20 <= ord(character) < 0x7F:
            return f"{character!r} cannot stand in a trace; printable ASCII characters only"
        if character in '"\\':
            what = "quote" if character == '"' else "backslash"
            return (
                f"a {what} inside the text: the kernel shows the format of an event without its escapes, so that "
                "no program could read the trace; leave it out or use '"
            )
    return ""
