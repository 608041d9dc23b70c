# SPDX-License-Identifier: GPL-3.0-or-later
"""Trace text of ftrace -> typed records; ring buffer statistics -> counts.

The text is what the kernel's ``trace`` file prints.  How one event is printed is read from the event's
``format`` file: its ``print fmt`` line becomes a regular expression, its ``field:`` lines give the types.
Nothing is dropped silently: a line that cannot be read is counted and kept with its line number.

Only a line feed ends a line, and not every one does: the name of a thread and a text that an event prints may hold
any byte but 0.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from ..base.errors import ForeignError

Value = int | str | None
"""An integer, a pointer (int; ``None`` when the kernel printed no usable value), or text."""

MAX_LINE = 8192
"""Longest line in bytes that is taken for a record; the kernel prints at most 8 KiB per record."""

MAX_FORMAT = 1 << 16
"""Characters of one event's format file; the kernel's longest have some 20,000."""

MAX_KEPT = 20
"""How many unreadable lines are kept as examples; all of them are counted."""

NAME_WIDTH = 16
"""Columns of a thread's name in the text.  A name has 15 bytes at most, so a blank stands before each."""

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


class Record(NamedTuple):
    """One event.  ``time_ns`` is in nanoseconds (in ticks when the trace clock is a counter)."""

    line: int
    comm: str
    pid: int
    cpu: int
    flags: str
    time_ns: int
    system: str
    event: str
    fields: dict[str, Value]


class Malformed(NamedTuple):
    """A line of the trace that is no record.  ``text`` is cut to 200 characters."""

    line: int
    reason: str
    text: str


class CpuStats(NamedTuple):
    """Ring buffer counts of one CPU.  ``None``: the kernel does not report this count.

    ``oldest`` and ``now`` are the times of the oldest page and of the reading, in nanoseconds as those of records.
    """

    entries: int
    overrun: int
    commit_overrun: int
    dropped: int | None
    read: int | None
    oldest: int | None = None
    now: int | None = None

    @property
    def lost(self) -> int:
        """Records that were generated and can no longer be read."""
        return self.overrun + self.commit_overrun + (self.dropped or 0)


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


# -- format files ------------------------------------------------------------------------------------

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
            raise TraceError(line, f"'== {_cut(name)}' does not name an event; '== system/event' is expected")
        try:
            formats.setdefault(event, []).append(parse_format(block, system, event))
        except TraceError as error:
            raise TraceError(line + error.line, f"format of {_cut(name)}: {error.reason}") from None
    return formats


def parse_format(text: str, system: str, event: str) -> EventFormat:
    """Read one event's format file.  Raises TraceError when it cannot be understood."""
    if len(text) > MAX_FORMAT:
        raise TraceError(0, f"the format file has {len(text)} characters; at most {MAX_FORMAT} are read")
    fields = {field.name: field for field in parse_fields(text)}
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
            raise TraceError(number, f"'{_cut(line)}' stands before the first '== NAME' line")
    if heading:
        yield (*heading, "\n".join(body))


def _parse_field(number: int, line: str) -> Field:
    found = _FIELD.match(line)
    declaration = _DECL.fullmatch(found["decl"].strip()) if found else None
    if found is None or declaration is None:
        raise TraceError(number, f"'{_cut(line)}' is no field description")
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
        raise TraceError(number, f"'{_cut(tail)}' follows the format string; ',' is expected")
    arguments = _split_arguments(tail[1:]) if tail else []
    if arguments is None:
        raise TraceError(number, f"the arguments '{_cut(tail[1:])}' have a quote or bracket without its other half")
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
    groups = [""]
    adjacent = 0
    names: list[str] = []
    converters: list[Callable[[str], Value]] = []
    kinds: dict[str, str] = {}
    goes_on = "\n" in fmt
    position = 0
    while (start := fmt.find("%", position)) >= 0:
        found = _CONVERSION.match(fmt, start)
        if found is None:
            raise TraceError(number, f"conversion '{_cut(fmt[start : start + 8])}' is not supported")
        groups[-1] += re.escape(fmt[position:start])
        adjacent = 0 if start > position or not names else adjacent + 1
        position = found.end()
        if found["percent"]:
            groups[-1] += "%"
            adjacent = -1
            continue
        if len(names) == len(arguments):
            raise TraceError(number, f"the format has more conversions than the {len(arguments)} arguments")
        name, source = _argument(arguments[len(names)], fields, len(names))
        if name in kinds:
            name = f"{name}#{len(names) + 1}"
        part, kind, convert = _conversion(found, source)
        goes_on = goes_on or found["conv"] == "c" or (source is not None and source.kind == "str")
        if adjacent > 1:
            raise TraceError(number, "three conversions follow each other with nothing between")
        if not adjacent:
            groups.append("")
        groups[-1] += part
        names.append(name)
        kinds[name] = kind
        converters.append(convert)
    groups[-1] += re.escape(fmt[position:])
    if len(names) != len(arguments):
        raise TraceError(number, f"the format has {len(names)} conversions for {len(arguments)} arguments")
    # What one value and the text behind it were found to be stays, or time would grow with the power of the values.
    # Only the end of the one text of a format may be looked for further on, since it may hold what stands behind it.
    texts = "".join(groups).count(_TEXT)
    inner = (one if texts == 1 and _TEXT in one else f"(?>{one})" for one in groups[1:-1])
    pattern = groups[0] + "".join(inner) + "".join(groups[1:][-1:])
    return EventFormat(
        system,
        event,
        fields,
        fmt,
        re.compile(pattern, re.DOTALL),
        tuple(names),
        kinds,
        tuple(converters),
        goes_on,
        bool(names) and position == len(fmt),
    )


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


# -- the trace ---------------------------------------------------------------------------------------

_HEAD = re.compile(
    r"(.{16})-(\d{1,10}) +(?:\( *(?:\d+|-+)\) +)?\[(\d{3,5})\] +(?:([^\s:]{4,6}) +)?"
    r"(\d{1,20})(?:\.(\d{6}))?: (\w+): ?(.*)\n",
    re.DOTALL | re.ASCII,
)
_LOST = re.compile(r"CPU:(\d{1,5}) \[LOST (?:(\d{1,18}) )?EVENTS\]\n", re.ASCII)
_STARTED = re.compile(r"#{4,5} CPU \d{1,5} buffer started #{4}\n", re.ASCII)
_ENTRIES = re.compile(r"# entries-in-buffer/entries-written: (\d{1,20})/(\d{1,20})\b", re.ASCII)


class _Lines:
    """Lines as text, one character for a byte; any of them may be looked at before it is taken.

    ``number`` is that of the line that was taken last.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._ahead: deque[str] = deque()
        self.number = 0

    def take(self) -> str:
        """The next line; empty at the end."""
        line = self._ahead.popleft() if self._ahead else next(self._lines, b"").decode("latin-1")
        self.number += bool(line)
        return line

    def peek(self, index: int) -> str:
        """The line that comes after ``index`` others; empty at the end."""
        while len(self._ahead) <= index:
            self._ahead.append(next(self._lines, b"").decode("latin-1"))
        return self._ahead[index]


@dataclass
class TraceReader:
    """Iterate over the records of a trace; the counts are complete when the iteration has ended.

    ``lines`` are the bytes of each line with its newline, as ``read_lines`` gives them.  ``heads`` counts what
    begins as a record does, whether the rest can be read or not.  ``lost`` counts
    the records that the text itself says are lost (at least one per such line); ``holes`` has those of each CPU
    (0: not said how many) that stand before its next record, until somebody takes them out.  ``entries`` is the
    number of records that the heading promises, None when there is no such heading.  ``backwards`` counts the
    records whose time is before that of the record above them of the same CPU; ``first_backwards`` is the first
    one's line, 0 for none.  ``earliest`` and ``latest`` are the times of the first and the last record of each CPU.
    """

    lines: Iterable[bytes]
    formats: Mapping[str, list[EventFormat]]
    heads: int = 0
    records: int = 0
    malformed_count: int = 0
    malformed: list[Malformed] = field(default_factory=list)
    lost: int = 0
    holes: dict[int, list[int]] = field(default_factory=dict)
    entries: int | None = None
    written: int | None = None
    backwards: int = 0
    first_backwards: int = 0
    per_cpu: Counter[int] = field(default_factory=Counter)
    earliest: dict[int, int] = field(default_factory=dict)
    latest: dict[int, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Record]:
        match, per_cpu, source = _HEAD.fullmatch, self.per_cpu, _Lines(self.lines)
        is_top = True
        while line := source.take():
            number = source.number
            head = match(line) or _several_lines(source, line)
            if head is None:
                is_top = self._other(number, line, is_top)
                continue
            is_top = False
            self.heads += 1
            comm, pid, cpu, flags, seconds, micro, event, text = head.groups()
            cpu_number = int(cpu)
            time_ns = _nanoseconds(seconds, micro)
            above = self.latest.get(cpu_number)
            if above is None:
                self.earliest[cpu_number] = time_ns
            elif time_ns < above:
                self.backwards += 1
                self.first_backwards = self.first_backwards or number
            self.latest[cpu_number] = time_ns
            known, fields = self._fields(event, text, source)
            if fields is None:
                self._bad(number, self._why(event), line)
                continue
            per_cpu[cpu_number] += 1
            self.records += 1
            comm = comm.lstrip(" ")
            if not comm.isascii():
                comm = comm.encode("latin-1").decode("utf-8", "surrogateescape")
            yield Record(number, comm, int(pid), cpu_number, flags or "", time_ns, known.system, event, fields)

    def _fields(self, event: str, text: str, source: _Lines) -> tuple[EventFormat, dict[str, Value] | None]:
        """The values that a record prints, and the format that they fit; takes the lines that its text goes on in."""
        forms = self.formats.get(event, ())
        more, count = "", 0
        for form in forms:
            if form.goes_on:
                more, count = _rest(source, MAX_LINE - len(text))
                break
        for known in forms:
            # A value at the end takes whatever follows, so lines that are not needed are left alone.
            for whole in (text,) if not more else (text, text + more) if known.open_end else (text + more, text):
                fields = known.parse(whole)
                if fields is not None:
                    for _line in range(count if whole is not text else 0):
                        source.take()
                    return known, fields
        return _NO_FORMAT, None

    def _why(self, event: str) -> str:
        if event in self.formats:
            return f"the text does not fit the print format of {event}"
        return f"no format file for event {_cut(event)}"

    def _other(self, number: int, line: str, is_top: bool) -> bool:
        """Look at a line that is not a record; is the heading, which stands above all records, still going on?"""
        if is_top and (line == "\n" or (line.startswith("#") and line.endswith("\n"))):
            found = _ENTRIES.match(line)
            if found:
                self.entries, self.written = int(found[1]), int(found[2])
            return True
        lost = _LOST.fullmatch(line)
        if lost:
            self.lost += max(1, int(lost[2] or 1))
            self.holes.setdefault(int(lost[1]), []).append(int(lost[2] or 0))
        elif not _STARTED.fullmatch(line):
            self._bad(number, "not a trace record" if line.endswith("\n") else "the line is cut off", line)
        return False

    def _bad(self, number: int, reason: str, line: str) -> None:
        self.malformed_count += 1
        if len(self.malformed) < MAX_KEPT:
            self.malformed.append(Malformed(number, reason, line.rstrip("\n")[:200]))


def _nanoseconds(seconds: str, micro: str | None) -> int:
    """A time as it is shown; clocks that count, and do not measure seconds, show no fraction."""
    return int(seconds) if micro is None else int(seconds) * 1_000_000_000 + int(micro) * 1000


_NO_FORMAT = EventFormat("", "", {}, "", re.compile(""), (), {}, ())


def _several_lines(source: _Lines, line: str) -> re.Match[str] | None:
    """The head of a record whose thread has line feeds in its name, and which begins with ``line``; takes its lines.

    The name ends at a fixed column, so whatever is in it, the lines that it covers are known.
    """
    count = 0
    if line.startswith(" "):
        while len(line) <= NAME_WIDTH and (more := source.peek(count)):
            line += more
            count += 1
    head = _HEAD.fullmatch(line) if count else None
    for _line in range(count if head else 0):
        source.take()
    return head


def _rest(source: _Lines, limit: int) -> tuple[str, int]:
    """What the text of a record may go on with, and how many lines that is: all up to the next record."""
    more, count = "", 0
    while len(more) < limit and (line := source.peek(count)) and not _begins(source, count, line):
        more, count = more + line, count + 1
    return (f"\n{more[:-1]}", count) if more.endswith("\n") else ("", 0)


def _begins(source: _Lines, index: int, line: str) -> bool:
    """Is a line that lies ahead the first of a record, or one that the kernel writes between records?"""
    if not line.startswith(" "):
        return bool(_LOST.fullmatch(line) or _STARTED.fullmatch(line))
    if len(line) > NAME_WIDTH:
        return line[NAME_WIDTH] == "-"
    while len(line) <= NAME_WIDTH and (more := source.peek(index + 1)):
        line, index = line + more, index + 1
    return _HEAD.fullmatch(line) is not None


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines of a file in bounded memory: a line over MAX_LINE bytes comes in pieces, which are no records."""
    return iter(lambda: stream.readline(MAX_LINE), b"")


_COMM = re.compile(rb"(\d{1,9}) ([^\n]*)")


def thread_names(content: bytes) -> dict[int, str]:
    """Names of threads by their number, from ``saved_cmdlines``: lines of a number and a name.

    A name may hold line feeds: a line that does not begin with a number belongs to the name above it.  Where a number
    has two names, one of them is part of a name, and neither is given.
    """
    names: dict[int, bytes | None] = {}
    last = -1
    for line in content.removesuffix(b"\n").split(b"\n"):
        found = _COMM.fullmatch(line)
        if found:
            last, name = int(found[1]), found[2]
            names[last] = name if names.get(last, name) == name else None
        elif (above := names.get(last)) is not None and len(above) + len(line) < NAME_WIDTH - 1:
            names[last] = above + b"\n" + line
    return {pid: name.decode("utf-8", "replace") for pid, name in names.items() if name is not None}


# -- ring buffer statistics --------------------------------------------------------------------------

_STATS_KEYS = {
    "entries": "entries",
    "overrun": "overrun",
    "commit overrun": "commit_overrun",
    "dropped events": "dropped",
    "read events": "read",
}
_STATS_TIMES = {"oldest event ts": "oldest", "now ts": "now"}
_TIME = re.compile(r"(\d{1,20})(?:\.(\d{6}))?")


def parse_stats(text: str) -> dict[int, CpuStats]:
    """Read blocks ``== cpuN`` followed by ``per_cpu/cpuN/stats``; returns the counts by CPU number.

    Raises TraceError when a block lacks one of entries, overrun and commit overrun, holds no number, or stands twice.
    """
    if text and not text.endswith("\n"):
        raise TraceError(text.count("\n") + 1, "the text is cut off")
    stats: dict[int, CpuStats] = {}
    for line, name, block in blocks(text):
        if not re.fullmatch(r"cpu\d{1,5}", name):
            raise TraceError(line, f"'== {_cut(name)}' does not name a CPU; '== cpuN' is expected")
        if int(name[3:]) in stats:
            raise TraceError(line, f"{name} stands twice")
        counts: dict[str, int] = {}
        for offset, row in enumerate(block.split("\n"), 1):
            key, colon, value = row.partition(":")
            if colon and key.strip() in _STATS_KEYS:
                if not re.fullmatch(r"\d{1,20}", value.strip()):
                    raise TraceError(line + offset, f"'{_cut(row)}' holds no count")
                counts[_STATS_KEYS[key.strip()]] = int(value)
            elif key.strip() in _STATS_TIMES and (time := _TIME.fullmatch(value.strip())):
                counts[_STATS_TIMES[key.strip()]] = _nanoseconds(*time.groups())
        for key in ("entries", "overrun", "commit_overrun"):
            if key not in counts:
                raise TraceError(line, f"{name} has no count '{key.replace('_', ' ')}'")
        stats[int(name[3:])] = CpuStats(*(counts.get(key) for key in CpuStats._fields))  # type: ignore[arg-type]
    return stats


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"
