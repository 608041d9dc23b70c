# SPDX-License-Identifier: GPL-3.0-or-later
"""Reader of `.data` files: physical lines in, groups of named values out.

The format (docs/mist.md) knows comments, `[group]` markers, one-line values that a trailing
backslash continues, and verbatim values between `name =>>` and `<<`. Everything is bytes; a line
ends at LF only. The module imports nothing, so that a command which uses it starts at once.
"""

from __future__ import annotations

# What counts as blank in a data file: neither str.strip() nor bytes.strip() without argument agree.
BLANKS = b" \t\n\r\v\f\a\b"

MARK = b"[group]"
OPEN = b"=>>"
CLOSE = b"<<"


class DataError(Exception):
    """A mistake in a data file: `line` is 1-based, `reason` says what is wrong there."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class Item(tuple[bytes, bytes, int, int]):
    """One definition: (name, value, line, value_line).

    `line` is the physical line where the definition starts, `value_line` the one that holds the
    first kept byte of the value (for an empty value: the line of its `=`).
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
    """One group: (line, items); `line` is that of its `[group]` marker, 0 for the globals."""

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


class _Lines:
    """Physical lines with the number of the last one taken."""

    def __init__(self, data: bytes) -> None:
        self.lines = data.split(b"\n")
        if not self.lines[-1]:
            self.lines.pop()
        self.number = 0

    def more(self) -> bool:
        """Is there another line?"""
        return self.number < len(self.lines)

    def take(self) -> bytes:
        """The next line without its LF."""
        self.number += 1
        return self.lines[self.number - 1]


def _continued(first: bytes, lines: _Lines) -> list[tuple[bytes, int]]:
    """A definition's stripped parts, each with its physical line; `first` is already taken."""
    parts = []
    text = first
    while text.endswith(b"\\"):
        if text.endswith(b"\\\\"):
            text = text[:-1]
            break
        text = text[:-1].rstrip(BLANKS)
        if text:
            parts.append((text, lines.number))
        text = lines.take().strip(BLANKS) if lines.more() else b""
    if text:
        parts.append((text, lines.number))
    return parts


def _line_at(parts: list[tuple[bytes, int]], offset: int) -> int:
    """The physical line that holds the byte at `offset` of the joined parts."""
    end = -1
    for text, line in parts:
        end += len(text) + 1
        if offset < end:
            return line
    return parts[-1][1]


def _verbatim(lines: _Lines, opened: int) -> tuple[bytes, int]:
    """The lines up to `<<` joined with LF, and the line of the first kept one."""
    kept: list[bytes] = []
    start = opened
    while lines.more():
        text = lines.take()
        if text.strip(BLANKS) == CLOSE:
            return b"\n".join(kept), start
        if kept or text:
            start = start if kept else lines.number
            kept.append(text)
    raise DataError(lines.number, '"<<" is missing')


def _definition(first: bytes, lines: _Lines) -> Item:
    """The definition whose stripped first line is `first`."""
    start = lines.number
    parts = _continued(first, lines)
    text = b" ".join(part for part, _line in parts)
    equals = text.find(b"=")
    if equals < 0:
        raise DataError(lines.number, "'=' is missing")
    name = text[:equals].rstrip(BLANKS)
    if not name:
        raise DataError(lines.number, "name is missing")
    line = _line_at(parts, equals)
    if text.startswith(OPEN, equals):
        if len(text) > equals + len(OPEN):
            raise DataError(lines.number, 'only whitespace characters are allowed after "=>>"')
        value, line = _verbatim(lines, line)
    else:
        value = text[equals + 1 :].lstrip(BLANKS)
        if value:
            line = _line_at(parts, len(text) - len(value))
    return Item(name, value, start, line)


def parse(data: bytes) -> list[Group]:
    """The groups of a data file; the first one holds the globals and is always there.

    Raises DataError at the first mistake.
    """
    lines = _Lines(data)
    items: list[Item] = []
    groups = [Group(0, items)]
    while lines.more():
        text = lines.take().strip(BLANKS)
        if not text or text.startswith(b"#"):
            continue
        if not text.startswith(MARK):
            items.append(_definition(text, lines))
        elif len(text) == len(MARK):
            items = []
            groups.append(Group(lines.number, items))
        else:
            raise DataError(lines.number, 'only whitespace characters are allowed after "[group]"')
    return groups
