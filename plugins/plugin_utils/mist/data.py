# SPDX-License-Identifier: GPL-3.0-or-later
"""Reader of ``.data`` files: physical lines in, groups of named values out.

The format (docs/mist.md) knows comments, ``[group]`` markers, one-line values that a trailing
backslash continues, and verbatim values between ``name =>>`` and ``<<``. Everything is bytes; a line
ends at LF only.

There are two ways to read. ``parse`` gives every definition with its lines, for programs that point
at what the user wrote. ``columns`` gives names and values alone, for generators: it takes a whole
stretch of ordinary lines with a few calls, and hands anything else to the same code as ``parse``.
Only modules that cost no start-up time are imported.
"""

from __future__ import annotations

from itertools import repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    # Names, their values, and the places of the [group] markers among them.
    Table = tuple[list[bytes], list[bytes], list[int]]

# What counts as blank in a data file: neither str.strip() nor bytes.strip() without argument agree.
BLANKS = b" \t\n\r\v\f\a\b"

MARK = b"[group]"
OPEN = b"=>>"
CLOSE = b"<<"


class DataError(Exception):
    """A mistake in a data file: ``line`` is 1-based, ``reason`` says what is wrong there."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class Item(tuple[bytes, bytes, int, int]):
    """One definition: (name, value, line, value_line).

    ``line`` is the physical line where the definition starts, ``value_line`` the one that holds the
    first kept byte of the value (for an empty value: the line of its ``=``).
    """

    __slots__ = ()

    def __new__(cls, name: bytes, value: bytes, line: int, value_line: int) -> Item:
        """Build the tuple from its four fields."""
        return tuple.__new__(cls, (name, value, line, value_line))

    @property
    def name(self) -> bytes:
        """The parameter's name as written, right-stripped."""
        return self[0]

    @property
    def value(self) -> bytes:
        """The value, not cut at NUL bytes."""
        return self[1]

    @property
    def line(self) -> int:
        """Physical line where the definition starts."""
        return self[2]

    @property
    def value_line(self) -> int:
        """Physical line of the first kept byte of the value."""
        return self[3]


class Group(tuple[int, list[Item]]):
    """One group: (line, items); ``line`` is that of its ``[group]`` marker, 0 for the globals."""

    __slots__ = ()

    def __new__(cls, line: int, items: list[Item]) -> Group:
        """Build the tuple from its two fields."""
        return tuple.__new__(cls, (line, items))

    @property
    def line(self) -> int:
        """Line of the marker; 0 for the globals."""
        return self[0]

    @property
    def items(self) -> list[Item]:
        """The definitions in file order."""
        return self[1]


class _Cursor:
    """A place in the data, always at the start of a line, and the number of lines before it.

    ``unclosed`` is set once it is known that no line from here on is ``<<``.
    """

    __slots__ = ("data", "number", "pos", "unclosed")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0
        self.number = 0
        self.unclosed = False

    def more(self) -> bool:
        """Return whether there is another line."""
        return self.pos < len(self.data)

    def take(self) -> bytes:
        """Return the next line without its LF."""
        stop = self.data.find(b"\n", self.pos)
        if stop < 0:
            stop = len(self.data)
        line = self.data[self.pos : stop]
        self.pos = stop + 1
        self.number += 1
        return line

    def jump(self, pos: int) -> None:
        """Go on to the line that starts at ``pos``."""
        self.number += self.data.count(b"\n", self.pos, pos)
        self.pos = pos


def _continued(first: bytes, cursor: _Cursor) -> list[tuple[bytes, int]]:
    """Return a definition's stripped parts, each with its physical line; ``first`` is already taken."""
    parts = []
    text = first
    while text.endswith(b"\\"):
        if text.endswith(b"\\\\"):
            text = text[:-1]
            break
        text = text[:-1].rstrip(BLANKS)
        if text:
            parts.append((text, cursor.number))
        text = cursor.take().strip(BLANKS) if cursor.more() else b""
    if text:
        parts.append((text, cursor.number))
    return parts


def _line_at(parts: list[tuple[bytes, int]], offset: int) -> int:
    """Return the physical line that holds the byte at ``offset`` of the joined parts."""
    end = -1
    for text, line in parts:
        end += len(text) + 1
        if offset < end:
            return line
    return parts[-1][1]


def _verbatim(cursor: _Cursor, opened: int) -> tuple[bytes, int]:
    """Return the lines up to ``<<`` joined with LF, and the line of the first kept one."""
    kept: list[bytes] = []
    start = opened
    while cursor.more():
        text = cursor.take()
        if text.strip(BLANKS) == CLOSE:
            return b"\n".join(kept), start
        if kept or text:
            start = start if kept else cursor.number
            kept.append(text)
    raise DataError(cursor.number, '"<<" is missing')


def _definition(first: bytes, cursor: _Cursor) -> Item:
    """Return the definition whose stripped first line is ``first``."""
    start = cursor.number
    parts = _continued(first, cursor)
    text = b" ".join(part for part, _line in parts)
    equals = text.find(b"=")
    if equals < 0:
        raise DataError(cursor.number, "'=' is missing")
    name = text[:equals].rstrip(BLANKS)
    if not name:
        raise DataError(cursor.number, "name is missing")
    line = _line_at(parts, equals)
    if text.startswith(OPEN, equals):
        if len(text) > equals + len(OPEN):
            raise DataError(cursor.number, 'only whitespace characters are allowed after "=>>"')
        value, line = _verbatim(cursor, line)
    else:
        value = text[equals + 1 :].lstrip(BLANKS)
        if value:
            line = _line_at(parts, len(text) - len(value))
    return Item(name, value, start, line)


def _close_mark(text: bytes, cursor: _Cursor) -> None:
    """Raise DataError if the stripped line that begins with ``[group]`` goes on after it."""
    if len(text) > len(MARK):
        raise DataError(cursor.number, 'only whitespace characters are allowed after "[group]"')


def parse(data: bytes) -> list[Group]:
    """Return the groups of a data file; the first one holds the globals and is always there.

    Raises DataError at the first mistake.
    """
    cursor = _Cursor(data)
    items: list[Item] = []
    groups = [Group(0, items)]
    while cursor.more():
        text = cursor.take().strip(BLANKS)
        if not text or text.startswith(b"#"):
            continue
        if text.startswith(MARK):
            _close_mark(text, cursor)
            items = []
            groups.append(Group(cursor.number, items))
        else:
            items.append(_definition(text, cursor))
    return groups


# About how much data is cut into lines at once: the pieces should stay in the processor's cache.
_STRETCH = 1 << 14

# Stands for a verbatim value in a stretch, and for a [group] marker among the names.
_BODY = b"\0"
_NEW_GROUP = b""


class _OddLineError(Exception):
    """Some line of the stretch is continued, or wrong, or unusual: the exact route must take it."""


class _Names(dict[bytes, bytes]):
    """What a line holds up to and with its first ``=`` -> the name in it; one object for each name."""

    def __missing__(self, head: bytes) -> bytes:
        name = head[:-1].strip(BLANKS)
        if name.endswith(MARK):
            if name != MARK:
                raise _OddLineError
            name = _NEW_GROUP
        elif not name or not head.endswith(b"="):
            raise _OddLineError
        else:
            name = self.setdefault(name + b"=", name)
        self[head] = name
        return name


def _close_line(data: bytes, pos: int) -> tuple[int, int]:
    """Return start and end (after its LF) of the first line from ``pos`` on that is ``<<``; (-1, -1) if none is."""
    while (found := data.find(CLOSE, pos)) >= 0:
        pos = data.rfind(b"\n", pos, found) + 1 or pos
        end = data.find(b"\n", found) + 1 or len(data) + 1
        if data[pos:end].strip(BLANKS) == CLOSE:
            return pos, end
        pos = end
    return -1, -1


def _stretch(cursor: _Cursor) -> tuple[bytes, list[bytes], int]:
    """Return the next lines with each verbatim value replaced by _BODY; those values; the end of the stretch.

    An opening line that is not the usual one stays in the text as it is; so does one without a
    closing line. What is looked through for closing lines is either in the stretch or all the rest,
    and the rest only once for the whole file.
    """
    data, start = cursor.data, cursor.pos
    stop = data.find(b"\n", start + _STRETCH) + 1 or len(data)
    fragments: list[bytes] = []
    bodies: list[bytes] = []
    search = start
    while not cursor.unclosed and (found := data.find(OPEN, search, stop)) >= 0:
        head = data[data.rfind(b"\n", start, found) + 1 or start : found]
        search = data.find(b"\n", found) + 1 or len(data)
        if data[found:search].rstrip(BLANKS) != OPEN or b"=" in head or head.lstrip(BLANKS).startswith(b"#"):
            continue
        close, end = _close_line(data, search)
        if close < 0:
            cursor.unclosed = True
        else:
            fragments += data[start : found + 1], _BODY, b"\n"
            bodies.append(data[search : max(search, close - 1)].lstrip(b"\n"))
            start = search = end
            stop = max(stop, start)
    fragments.append(data[start:stop])
    return b"".join(fragments), bodies, stop


def _even_halves(text: bytes) -> tuple[list[bytes], list[bytes]] | None:
    """Return each line cut after its ``=``, the second half stripped; None if a line has not just one.

    Empty lines are left out.
    """
    # The blank put before each value tells it from an empty line.
    text = text.replace(MARK, MARK + b"=").replace(b"=", b"=\n ")
    pieces = list(filter(None, text.split(b"\n")))
    heads = pieces[::2]
    # A piece ends in at most one "=". So these counts agree only if every line has exactly one.
    if text.count(b"=") == len(heads) == b"".join(heads).count(b"="):
        return heads, list(map(bytes.strip, pieces[1::2], repeat(BLANKS)))
    return None


def _mixed_halves(text: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the same for lines of any kind; comments and empty lines are left out."""
    heads, values = [], []
    for line in map(bytes.strip, text.split(b"\n"), repeat(BLANKS)):
        name, equals, value = line.partition(b"=")
        if line.startswith(MARK):
            if line != MARK:
                raise _OddLineError
            heads.append(MARK + b"=")
            values.append(b"")
        elif line and not line.startswith(b"#"):
            if value.startswith(b">>"):
                raise _OddLineError
            heads.append(name + equals)
            values.append(value.lstrip(BLANKS))
    return heads, values


def _table(text: bytes, bodies: list[bytes], known: _Names) -> Table:
    """Return the table of a stretch that ``_stretch`` has cut; raises _OddLineError if it cannot tell."""
    halves = None
    if b"#" not in text and OPEN not in text:
        halves = _even_halves(text)
    heads, values = halves or _mixed_halves(text)
    names = list(map(known.__getitem__, heads))
    if b"\\" in text and any(map(bytes.endswith, values, repeat(b"\\"))):
        raise _OddLineError
    marks = _marks(names) if MARK in text else []
    if any(map(values.__getitem__, marks)):
        raise _OddLineError
    if bodies or _BODY in text:
        _fill(values, bodies, text.count(_BODY))
    return names, values, marks


def _fill(values: list[bytes], bodies: list[bytes], count: int) -> None:
    """Put the verbatim values in the places of _BODY; ``count`` is how often that is in the text."""
    if not count == values.count(_BODY) == len(bodies):
        raise _OddLineError
    at = 0
    for body in bodies:
        at = values.index(_BODY, at)
        values[at] = body
        at += 1  # A body may be what stands for one.


def _marks(names: list[bytes]) -> list[int]:
    """Return where new groups begin in a list of names."""
    marks: list[int] = []
    count = names.count(_NEW_GROUP)
    while len(marks) < count:
        marks.append(names.index(_NEW_GROUP, marks[-1] + 1 if marks else 0))
    return marks


def _exact_table(cursor: _Cursor, stop: int) -> Table:
    """Return the table made definition by definition until the cursor is at ``stop`` or beyond."""
    names: list[bytes] = []
    values: list[bytes] = []
    while cursor.pos < stop:
        text = cursor.take().strip(BLANKS)
        if text.startswith(MARK):
            _close_mark(text, cursor)
            names.append(_NEW_GROUP)
            values.append(b"")
        elif text and not text.startswith(b"#"):
            name, value, _line, _value_line = _definition(text, cursor)
            names.append(name)
            values.append(value)
    return names, values, _marks(names)


def _tables(data: bytes) -> Iterator[Table]:
    """Return the tables of stretch after stretch."""
    cursor = _Cursor(data)
    known = _Names()
    while cursor.more():
        text, bodies, stop = _stretch(cursor)
        try:
            table = _table(text, bodies, known)
            cursor.jump(stop)
        except _OddLineError:
            table = _exact_table(cursor, stop)
        yield table


def columns(data: bytes) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Return the groups as ``parse`` gives them, each as its names and, in the same order, its values.

    Raises DataError at the first mistake, perhaps after some of the groups before it.
    """
    names: list[bytes] = []
    values: list[bytes] = []
    for more_names, more_values, marks in _tables(data):
        start = 0
        for mark in marks:
            names += more_names[start:mark]
            values += more_values[start:mark]
            yield names, values
            names, values, start = [], [], mark + 1
        names += more_names[start:]
        values += more_values[start:]
    yield names, values
