# SPDX-License-Identifier: GPL-3.0-or-later
"""Format files of events -> how each event is printed, and what fields it has.

An event's ``format`` file describes its fields (``field:`` lines) and its text (``print fmt:``), which becomes a
regular expression.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..base.errors import ForeignError

Value = int | str | None
"""An integer, a pointer (int; ``None`` when the kernel printed no usable value), or text."""

MAX_FORMAT = 1 << 16
"""Characters of one event's format file; the kernel's longest have some 20,000."""

MAX_SPLITS = 64
"""Places at which the text of a print format may end, of which the right one is looked for."""


class TraceError(ForeignError):
    """A format or statistics file that cannot be understood.  ``line`` is 1-based, 0 for the whole file."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason, f"line {line}" if line else "")
        self.line = line


class Field(NamedTuple):
    """One ``field:`` line of a format file.  ``offset`` and ``size`` in bytes; ``kind`` is int, pointer or str."""

    name: str
    ctype: str
    kind: str
    size: int
    signed: bool
    offset: int


@dataclass(frozen=True)
class EventFormat:
    """How one event is printed.  ``names[i]`` is the field of group ``i + 1`` of ``pattern``.

    ``goes_on``: its text may have several lines, since it has a string of which nothing is known, or a line feed of
    its own.  ``open_end``: nothing stands behind the last value.
    """

    system: str
    event: str
    fields: dict[str, Field]
    fmt: str
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    kinds: dict[str, str]
    converters: tuple[Callable[[str], Value], ...]
    goes_on: bool = False
    open_end: bool = False

    def parse(self, text: str) -> dict[str, Value] | None:
        """Read the printed text of one event.  ``None`` when it does not fit the format."""
        found = self.pattern.fullmatch(text)
        if found is None:
            return None
        return {
            name: convert(part) for name, convert, part in zip(self.names, self.converters, found.groups(), strict=True)
        }


_FIELD = re.compile(
    r"\s*field:(?P<decl>[^;]+);\s*offset:(?P<offset>\d{1,9});\s*size:(?P<size>\d{1,9});(?:\s*signed:(?P<signed>\d);)?"
)
_DECL = re.compile(r"(?P<type>.*?[\s*])(?P<name>[A-Za-z_]\w*)(?P<array>(?:\[[^\]]*\])*)")
_CONVERSION = re.compile(
    r"%(?:(?P<percent>%)|(?P<flags>[-+ #0]*)(?P<width>\d*)(?:\.\d*)?(?P<length>hh|h|ll|l|z|Z|t|L|q|j)?"
    r"(?P<conv>[diuxXocsp])(?P<ext>(?<=p)[A-Za-z0-9]*)?)"
)
_SIGNED = re.compile(
    r"(?:const |signed |volatile )*(?:int|long|long long|long int|short|char|(?:__)?s\d+|pid_t|ssize_t|loff_t)"
)
"""Types that have a sign: format files of 2.6.31 do not say so themselves."""
_LITERAL = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_TEXT_END = re.compile('",')
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_CAST = re.compile(r"\(\s*[A-Za-z_][\w\s]*(?:\*[*\s]*)?\)")
_PLAIN = re.compile(r"(?:REC->([A-Za-z_]\w*)|__get_(?:str|rel_str)\(([A-Za-z_]\w*)\))")
_ANY_REC = re.compile(r"REC->([A-Za-z_]\w*)")

_DECIMAL = r" *([+-]?\d{1,20}) *"
_UNSIGNED = r" *(\d{1,20}) *"
_HEX = r" *((?:0[xX])?[0-9a-fA-F]{1,16}) *"
_OCTAL = r" *([0-7]{1,22}) *"
_POINTER = r" *((?:0x)?[0-9a-fA-F]{1,16}|\([a-z_]+\)) *"
_TEXT = r"(.*?)"


def parse_formats(text: str) -> dict[str, list[EventFormat]]:
    """Read blocks ``== system/event`` followed by that event's format file.

    Returns the formats by event name; two systems may have an event of one name.
    Raises TraceError with the line in ``text``.
    """
    formats: dict[str, list[EventFormat]] = {}
    for line, name, block in blocks(text):
        system, slash, event = name.partition("/")
        if not slash or not system or not event:
            raise TraceError(line, f"'== {cut(name)}' does not name an event; '== system/event' is expected")
        try:
            formats.setdefault(event, []).append(parse_format(block, system, event))
        except TraceError as error:
            raise TraceError(line + error.line, f"format of {cut(name)}: {error.reason}") from None
    return formats


def parse_format(text: str, system: str, event: str) -> EventFormat:
    """Read one event's format file.  Raises TraceError when it cannot be understood."""
    if len(text) > MAX_FORMAT:
        raise TraceError(0, f"the format file has {len(text)} characters; at most {MAX_FORMAT} are read")
    fields = {one.name: one for one in parse_fields(text)}
    found = re.search("^print fmt:", text, re.MULTILINE)
    if found is None:
        raise TraceError(0, "no 'print fmt:' line")
    number, rest = text.count("\n", 0, found.start()) + 1, text[found.end() :].strip()
    is_source = system == "ftrace" or "signed:" not in text
    fmt, arguments = (_split_source if is_source else _split_value)(number, rest)
    return _compile(system, event, fields, fmt, arguments, number)


def parse_fields(text: str) -> list[Field]:
    """The ``field:`` lines of one event's format file.  Raises TraceError when one cannot be understood."""
    return [
        _parse_field(number, line)
        for number, line in enumerate(text.split("\n"), 1)
        if line.lstrip().startswith("field:")
    ]


def blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Cut text at lines ``== NAME``; yields (line of the heading, NAME, text below it)."""
    heading: tuple[int, str] | None = None
    body: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("== "):
            if heading:
                yield (*heading, "\n".join(body))
            heading, body = (number, line[3:].strip()), []
        elif heading:
            body.append(line)
        elif line.strip():
            raise TraceError(number, f"'{cut(line)}' stands before the first '== NAME' line")
    if heading:
        yield (*heading, "\n".join(body))


def _parse_field(number: int, line: str) -> Field:
    found = _FIELD.match(line)
    declaration = _DECL.fullmatch(found["decl"].strip()) if found else None
    if found is None or declaration is None:
        raise TraceError(number, f"'{cut(line)}' does not describe a field")
    ctype = " ".join((declaration["type"] + declaration["array"]).split())
    size, offset = int(found["size"]), int(found["offset"])
    signed = found["signed"] == "1" if found["signed"] else _SIGNED.fullmatch(ctype) is not None
    return Field(declaration["name"], ctype, _kind(ctype), size, signed, offset)


def _kind(ctype: str) -> str:
    if "char[" in ctype.replace(" ", "") or ctype.startswith(("__data_loc", "__rel_loc")):
        return "str"
    if ctype.endswith("*"):
        return "pointer"
    return "int"


def _split_source(number: int, rest: str) -> tuple[str, list[str]]:
    """``"text" "more", a, b`` -> (text, [a, b]), where the text stands there as in C, with its escapes.

    So the kernel writes its own events (system ftrace), and before 2.6.33, when fields had no ``signed``, all others.
    """
    parts: list[str] = []
    position = 0
    while (found := _LITERAL.match(rest, position)) is not None:
        parts.append(_ESCAPE.sub(_unescape, found[1]))
        position = found.end()
    if not parts:
        raise TraceError(number, "'print fmt:' does not begin with a string")
    tail = rest[position:].strip()
    if tail and not tail.startswith(","):
        raise TraceError(number, f"'{cut(tail)}' follows the format string; ',' is expected")
    arguments = _split_arguments(tail[1:]) if tail else []
    if arguments is None:
        raise TraceError(number, f"the arguments '{cut(tail[1:])}' have a quote or bracket without its other half")
    return "".join(parts), arguments


def _split_value(number: int, rest: str) -> tuple[str, list[str]]:
    """``"text", a, b`` -> (text, [a, b]), where the text stands there as it is printed, with quotes and backslashes.

    It ends at the first place behind which as many arguments follow as it has conversions.
    """
    if not rest.startswith('"'):
        raise TraceError(number, "'print fmt:' does not begin with a string")
    ends = [found.start() for found in _TEXT_END.finditer(rest, 1)]
    if not ends:
        return rest[1:].removesuffix('"'), []
    if len(ends) > MAX_SPLITS:
        raise TraceError(number, f"its text may end at {len(ends)} places; at most {MAX_SPLITS} are tried")
    conversions = [found.end() for found in _CONVERSION.finditer(rest) if not found["percent"]]
    for end in ends:
        arguments = _split_arguments(rest[end + 2 :])
        if arguments is not None and len(arguments) == sum(at <= end for at in conversions):
            return rest[1:end], arguments
    return rest[1 : ends[0]], _split_arguments(rest[ends[0] + 2 :]) or []


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] == "x":
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return _ESCAPES.get(code, code)


def _split_arguments(text: str) -> list[str] | None:
    """Split C arguments at the commas that are in no brackets and no string; None: these are not arguments.

    They are not where a bracket or a string does not end, or a backslash stands outside of strings.
    """
    arguments: list[str] = []
    start = 0
    open_brackets: list[str] = []
    quote = ""
    escaped = False
    for place, char in enumerate(text):
        if quote:
            if char == quote and not escaped:
                quote = ""
            escaped = char == "\\" and not escaped
        elif char in "\"'":
            quote = char
        elif char in _BRACKETS:
            open_brackets.append(_BRACKETS[char])
        elif char in ")]}":
            if not open_brackets or open_brackets.pop() != char:
                return None
        elif char == "\\":
            return None
        elif char == "," and not open_brackets:
            arguments.append(text[start:place].strip())
            start = place + 1
    return None if quote or open_brackets else [*arguments, text[start:].strip()]


def _compile(
    system: str, event: str, fields: dict[str, Field], fmt: str, arguments: list[str], number: int
) -> EventFormat:
    fmt = fmt.rstrip("\n")
    made = _Pattern(number, fields, arguments, goes_on="\n" in fmt)
    position = 0
    for found in _conversions(fmt, number):
        made.add_text(fmt[position : found.start()])
        position = found.end()
        if found["percent"]:
            made.add_text("%")
        else:
            made.add_value(found)
    made.add_text(fmt[position:])
    if len(made.names) != len(arguments):
        raise TraceError(number, f"the format has {len(made.names)} conversions for {len(arguments)} arguments")
    open_end = bool(made.names) and position == len(fmt)
    names, converters = tuple(made.names), tuple(made.converters)
    return EventFormat(
        system, event, fields, fmt, made.compiled(), names, made.kinds, converters, made.goes_on, open_end
    )


def _conversions(fmt: str, number: int) -> Iterator[re.Match[str]]:
    """The conversions of a format string, ``%%`` too.  Raises TraceError for one that is not known."""
    position = 0
    while (start := fmt.find("%", position)) >= 0:
        found = _CONVERSION.match(fmt, start)
        if found is None:
            raise TraceError(number, f"conversion '{cut(fmt[start : start + 8])}' is not supported")
        yield found
        position = found.end()


@dataclass
class _Pattern:
    """The regular expression of a print format while it is made, and what its groups are.

    ``parts`` are the text before the first value, then each value (or two with nothing between) with the text behind.
    """

    number: int
    fields: dict[str, Field]
    arguments: list[str]
    goes_on: bool
    parts: list[str] = field(default_factory=lambda: [""])
    names: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    converters: list[Callable[[str], Value]] = field(default_factory=list)
    _adjacent: int = 0

    def add_text(self, text: str) -> None:
        """Add text that is printed as it is."""
        self.parts[-1] += re.escape(text)
        self._adjacent = 0 if text else self._adjacent

    def add_value(self, found: re.Match[str]) -> None:
        """Add the conversion of the next argument.  Raises TraceError."""
        index = len(self.names)
        if index == len(self.arguments):
            raise TraceError(self.number, f"the format has more conversions than the {index} arguments")
        name, source = _argument(self.arguments[index], self.fields, index)
        name = f"{name}#{index + 1}" if name in self.kinds else name
        part, self.kinds[name], convert = _conversion(found, source)
        self.goes_on = self.goes_on or found["conv"] == "c" or (source is not None and source.kind == "str")
        self._adjacent += 1
        if self._adjacent > 2:
            raise TraceError(self.number, "three conversions follow each other with nothing between")
        if self._adjacent == 1:
            self.parts.append("")
        self.parts[-1] += part
        self.names.append(name)
        self.converters.append(convert)

    def compiled(self) -> re.Pattern[str]:
        """The regular expression of the whole text.

        What one value and the text behind it were found to be stays, or time would grow with the power of the values.
        Only the end of the one text of a format may be looked for further on, since it may hold what stands behind it.
        """
        texts = "".join(self.parts).count(_TEXT)
        inner = (one if texts == 1 and _TEXT in one else f"(?>{one})" for one in self.parts[1:-1])
        return re.compile(self.parts[0] + "".join(inner) + "".join(self.parts[1:][-1:]), re.DOTALL)


def _argument(expression: str, fields: dict[str, Field], index: int) -> tuple[str, Field | None]:
    """Name an argument by its field.  The field is given only when its value is printed unchanged."""
    bare = expression
    while (cast := _CAST.match(bare)) or (bare.startswith("(") and bare.endswith(")")):
        bare = (bare[cast.end() :] if cast else bare[1:-1]).strip()
    plain = _PLAIN.fullmatch(bare)
    if plain:
        name = plain[1] or plain[2]
        return name, fields.get(name)
    inside = _ANY_REC.search(expression)
    return (inside[1] if inside else f"arg{index + 1}"), None


def _conversion(found: re.Match[str], source: Field | None) -> tuple[str, str, Callable[[str], Value]]:
    """One printf conversion -> (regular expression with one group, kind, converter)."""
    conv, ext = found["conv"], found["ext"] or ""
    if conv == "p" and (not ext or ext in ("x", "K")):
        return _POINTER, "pointer", _to_pointer
    if conv == "c":
        return "(.)", "str", _to_text
    if conv in "sp":
        return _TEXT, "str", _to_text
    part, base = {"x": (_HEX, 16), "X": (_HEX, 16), "o": (_OCTAL, 8), "u": (_UNSIGNED, 10)}.get(conv, (_DECIMAL, 10))
    if not found["width"] and " " not in found["flags"]:
        part = part.replace(" *", "")
    kind = "pointer" if source is not None and source.kind == "pointer" else "int"
    return part, kind, _to_int(base, source)


def _to_int(base: int, source: Field | None) -> Callable[[str], Value]:
    """Converter of an integer that has the sign and width of its field, however it was printed."""
    if source is None or source.kind != "int" or source.size not in (1, 2, 4, 8):
        return int if base == 10 else lambda text: int(text, base)
    span = 1 << (8 * source.size)
    if source.signed and base != 10:
        half = span >> 1
        return lambda text: (value - span) if (value := int(text, base)) >= half else value
    if not source.signed and base == 10:
        return lambda text: (value + span) if (value := int(text)) < 0 else value
    return int if base == 10 else lambda text: int(text, base)


def _to_pointer(text: str) -> Value:
    """``(null)`` is 0; ``(____ptrval____)`` and its like say nothing: None."""
    if text[0] != "(":
        return int(text, 16)
    return 0 if text == "(null)" else None


def _to_text(text: str) -> Value:
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "surrogateescape")


def cut(text: str) -> str:
    """Text for a message, 80 characters at most."""
    return text if len(text) <= 80 else text[:79] + "…"
