# SPDX-License-Identifier: GPL-3.0-or-later
"""MiST template sets: files in, trees of text, values and conditions out.

A set is a directory with two groups of ``*.tpl`` files, ``document/`` and ``block/``. A template is text
with placeholders between ``<$`` and ``$>``; docs/mist.md describes what may stand in them. Nesting is
followed with explicit stacks, so its depth is limited by memory alone.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN = b"<$"
END = b"$>"
BLANKS = b" \t\n\r"
SUFFIX = b".tpl"

_NAME_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-. "
_KEYWORDS = (b"if", b"else", b"endif")
_READ_SIZE = 1 << 16


class MistError(Exception):
    """A mistake of the user; ``message`` is what the generator prints, without the line end."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message.decode("utf-8", "backslashreplace"))
        self.message = message


class SyntaxFault(Exception):
    """A mistake in one template: ``text`` describes it, ``offset`` is the byte where it is."""

    def __init__(self, text: bytes, offset: int) -> None:
        super().__init__(text, offset)
        self.text = text
        self.offset = offset


class Value:
    """Placeholder for the values of ``name``, joined with ``separator`` if that is not None."""

    __slots__ = ("name", "separator")

    def __init__(self, name: bytes, separator: bytes | None) -> None:
        self.name = name
        self.separator = separator


class Conditional:
    """``if name`` or, when ``whole`` is set, ``if concat(name)``, with the parts of its two branches."""

    __slots__ = ("name", "no", "whole", "yes")

    def __init__(self, name: bytes, whole: bool) -> None:
        self.name = name
        self.whole = whole
        self.yes: list[bytes | Value | Conditional] = []
        self.no: list[bytes | Value | Conditional] = []


class TemplateGroup:
    """The parsed templates of one group, by name: texts (never empty) and placeholders in file order.

    Of the names that a placeholder spells, ``used`` holds all and ``tested`` those that stand in
    conditions. ``parameters`` are those that are not templates, and ``deciding`` are the parameters whose
    being empty may change more than their own place; both are known when all templates are.
    """

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.templates: dict[bytes, list[bytes | Value | Conditional]] = {}
        self.used: set[bytes] = set()
        self.tested: set[bytes] = set()
        self.parameters: set[bytes] = set()
        self.deciding: set[bytes] = set()

    def complete(self) -> None:
        """Tell parameters from templates."""
        self.parameters = self.used - self.templates.keys()
        self.deciding = self.tested if self.tested <= self.parameters else self.parameters

    def add(self, name: bytes, text: bytes) -> None:
        """Parse one template; raises MistError."""
        where = b'Error: failed to create template group "%b" (template: "%b"): ' % (self.name, name)
        if not legal_name(name):
            raise MistError(where + b'invalid name of a template: "%b"' % name)
        try:
            self.templates[name] = _Parser(self, text).parse()
        except SyntaxFault as fault:
            line = text.count(b"\n", 0, fault.offset) + 1
            raise MistError(where + fault.text + b" (line %d of the template)" % line) from None


def legal_name(name: bytes) -> bool:
    """Return whether a template or a placeholder may have this name."""
    return bool(name) and not name.translate(None, _NAME_BYTES) and name[:1] not in (b".", b" ")


def _invalid(text: bytes, offset: int) -> SyntaxFault:
    return SyntaxFault(b'invalid placeholder: "%b"' % text, offset)


# --- The scanner: where placeholders are and of which kind


def _check_plain(text: bytes, start: int, stop: int) -> None:
    """Raise SyntaxFault if there is an end marker in this stretch of plain text."""
    stray = text.find(END, start, stop)
    if stray >= 0:
        raise SyntaxFault(b"no matching begin marker found for the end marker", stray)


def _contents(text: bytes) -> Iterator[tuple[int, int]]:
    """Return start and end of the content of each placeholder; raises SyntaxFault."""
    pos = 0
    while (begin := text.find(BEGIN, pos)) >= 0:
        end = text.find(END, begin + 2)
        if end < 0:
            raise SyntaxFault(b"no matching end marker found for the begin marker", begin)
        if text.find(BEGIN, begin + 2, end) >= 0:
            raise SyntaxFault(b"too many begin markers found for the end marker", end)
        _check_plain(text, pos, begin)
        yield begin + 2, end
        pos = end + 2
    _check_plain(text, pos, len(text))


def _classify(content: bytes) -> tuple[bytes, bytes, int]:
    """Return the keyword of a placeholder or nothing; its other text; where in the content that starts.

    For ``else`` and ``endif``, which have no other text, the last one is the place of the word.
    """
    text = content.strip(BLANKS)
    if not text:
        raise _invalid(content, 0)
    start = content.index(text)
    for word in _KEYWORDS:
        rest = text[len(word) :]
        if text.startswith(word) and not rest[:1].strip(BLANKS):
            break
    else:
        return b"", text, start
    argument = rest.lstrip(BLANKS)
    if bool(argument) != (word == b"if"):
        raise _invalid(content, 0)
    return word, argument, start + (len(text) - len(argument) if argument else 0)


# --- Names and directives


def _unescaped(separator: bytes) -> bytes:
    """Return the separator of a join with its four escapes replaced, scanned once from the left."""
    pieces = separator.split(b"\\\\")
    for code, byte in ((b"\\n", b"\n"), (b"\\t", b"\t"), (b"\\r", b"\r")):
        pieces = [piece.replace(code, byte) for piece in pieces]
    return b"\\".join(pieces)


def _separator(directive: bytes) -> bytes | None:
    """Return what stands between the parentheses of ``join(...)``; None if the directive is wrong."""
    text = directive.strip(BLANKS)
    rest = text[len(b"join") :].lstrip(BLANKS)
    if text.startswith(b"join") and rest.startswith(b"(") and len(rest) > 1 and rest.endswith(b")"):
        return _unescaped(rest[1:-1])
    return None


def _value(text: bytes) -> Value | None:
    """Return a placeholder ``name`` or ``name : join(separator)``; None if it is neither."""
    name, colon, directive = text.partition(b":")
    name = name.rstrip(BLANKS)
    separator = _separator(directive) if colon else None
    if not legal_name(name) or (colon and separator is None):
        return None
    return Value(name, separator)


def _tested_name(expression: bytes) -> tuple[bytes, bool]:
    """Return the name in a condition, perhaps not a legal one, and whether it stands in ``concat(...)``."""
    inside = expression[len(b"concat") :].lstrip(BLANKS)
    if expression.startswith(b"concat") and inside.startswith(b"(") and inside.endswith(b")"):
        name = inside[1:-1].strip(BLANKS)
        if name:
            return name, True
    return expression, False


# --- The structure


class _Parser:
    """One template on its way from text to parts."""

    def __init__(self, group: TemplateGroup, text: bytes) -> None:
        self.group = group
        self.text = text
        self.parts: list[bytes | Value | Conditional] = []
        # Of each open condition: itself, the parts it stands in, its place, the place of its `else`.
        self.open: list[tuple[Conditional, list[bytes | Value | Conditional], int, int]] = []
        self.values: dict[bytes, Value | None] = {}

    def parse(self) -> list[bytes | Value | Conditional]:
        """Return the parts of the template; raises SyntaxFault."""
        pos = 0
        for start, end, (keyword, argument, offset) in self.scan():
            if pos < start - 2:
                self.parts.append(self.text[pos : start - 2])
            pos = end + 2
            if not keyword:
                self.value(argument, start + offset)
            elif keyword == b"if":
                self.condition(argument, start + offset)
            elif keyword == b"else":
                self.otherwise(start + offset)
            else:
                self.close(start + offset)
        if pos < len(self.text):
            self.parts.append(self.text[pos:])
        if self.open:
            _condition, _outer, place, otherwise = self.open[-1]
            if otherwise >= 0:
                raise SyntaxFault(b'found "else" without matching "endif"', otherwise)
            raise SyntaxFault(b'found "if" without matching "endif"', place)
        return self.parts

    def scan(self) -> list[tuple[int, int, tuple[bytes, bytes, int]]]:
        """Return start and end of each placeholder's content, and what ``_classify`` says of it."""
        known: dict[bytes, tuple[bytes, bytes, int]] = {}
        placeholders = []
        for start, end in _contents(self.text):
            content = self.text[start:end]
            kind = known.get(content)
            if kind is None:
                try:
                    kind = known[content] = _classify(content)
                except SyntaxFault as fault:
                    raise SyntaxFault(fault.text, start) from None
            placeholders.append((start, end, kind))
        return placeholders

    def value(self, text: bytes, place: int) -> None:
        """Take a value placeholder."""
        if text not in self.values:
            self.values[text] = _value(text)
        value = self.values[text]
        if value is None:
            raise _invalid(text, place)
        self.group.used.add(value.name)
        self.parts.append(value)

    def condition(self, expression: bytes, place: int) -> None:
        """Take an ``if``."""
        name, whole = _tested_name(expression)
        if not legal_name(name):
            raise _invalid(name, place)
        self.group.used.add(name)
        self.group.tested.add(name)
        condition = Conditional(name, whole)
        self.parts.append(condition)
        self.open.append((condition, self.parts, place, -1))
        self.parts = condition.yes

    def otherwise(self, place: int) -> None:
        """Take an ``else``."""
        if not self.open:
            raise SyntaxFault(b'found "else" without matching "if"', place)
        condition, outer, start, otherwise = self.open.pop()
        if otherwise >= 0:
            raise SyntaxFault(b'found "if" without matching "endif"', start)
        self.open.append((condition, outer, start, place))
        self.parts = condition.no

    def close(self, place: int) -> None:
        """Take an ``endif``."""
        if not self.open:
            raise SyntaxFault(b'found "endif" without matching "if"', place)
        self.parts = self.open.pop()[1]


# --- The files


def _read(name: bytes, folder: int) -> bytes:
    """Return the bytes of a file up to its first NUL."""
    handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        pieces = []
        while piece := os.read(handle, _READ_SIZE):
            pieces.append(piece)
    finally:
        os.close(handle)
    return b"".join(pieces).partition(b"\0")[0]


def _template_files(folder: int) -> list[bytes]:
    """Return the names of the template files in an open directory, sorted."""
    with os.scandir(folder) as entries:
        files = [os.fsencode(entry.name) for entry in entries]
    return sorted(file for file in files if file.endswith(SUFFIX) and file != SUFFIX)


def _read_group(directory: bytes, group: bytes) -> dict[bytes, bytes]:
    """Return the texts of a group's templates by name, sorted; raises MistError."""
    failed = b"Failed to load templates from %b: " % directory
    try:
        folder = os.open(directory + b"/" + group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise MistError(failed + b'not found template group: "%b"' % group) from None
    texts = {}
    file = b""
    try:
        for file in _template_files(folder):
            texts[file[: -len(SUFFIX)]] = _read(file, folder)
    except IsADirectoryError:
        raise MistError(b"Error: basic_filebuf::underflow error reading the file: Is a directory") from None
    except OSError:
        raise MistError(failed + b"unable to read file %b/%b" % (group, file)) from None
    finally:
        os.close(folder)
    return texts


def load(directory: bytes) -> tuple[TemplateGroup, TemplateGroup]:
    """Return the document templates and the block templates of a set; raises MistError."""
    try:
        os.stat(directory and directory + b"/")
    except OSError:
        reason = b"directory does not exist or cannot be accessed: %b" % directory
        raise MistError(b"Failed to load templates from %b: %b" % (directory, reason)) from None
    texts = {name: _read_group(directory, name) for name in (b"document", b"block")}
    return _parse_group(b"document", texts[b"document"]), _parse_group(b"block", texts[b"block"])


def _parse_group(name: bytes, texts: dict[bytes, bytes]) -> TemplateGroup:
    """Return the group's templates, all of them parsed; raises MistError."""
    if name not in texts:
        raise MistError(b'Error: the main template of the following group is missing: "%b"' % name)
    group = TemplateGroup(name)
    for template, text in texts.items():
        group.add(template, text)
    group.complete()
    return group
