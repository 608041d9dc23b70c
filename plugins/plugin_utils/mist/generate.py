# SPDX-License-Identifier: GPL-3.0-or-later
"""The MiST generator: a template set and the groups of a data file in, one document out.

A block is evaluated for each group; then the document is, with the values of all groups. Evaluation
looks at values only to see whether they are empty. So what a block looks like is found once for all
groups that have the same names in the same order and are empty in the same places: that layout is
the block made of markers, to be filled with each group's values.
"""

from __future__ import annotations

import gc
import os
from operator import itemgetter

from .data import DataError, columns
from .eval import evaluate, flat
from .template import MistError, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .template import TemplateGroup

# Groups of more values than this, and further layouts, are not worth remembering.
_MOST_VALUES = 500
_MOST_SHAPES = 1000
_MOST_LAYOUTS = 50

_BLOCK = b"block"
_READ_SIZE = 1 << 16


class _Lists(dict[bytes, list[bytes]]):
    """The values of each name, in order."""

    def __init__(self, names: Iterable[bytes], values: Iterable[bytes]) -> None:
        super().__init__()
        # A loop without bytecode, as list.append returns nothing: list.append(self[name], value).
        any(map(list.append, map(self.__getitem__, names), values))

    def __missing__(self, name: bytes) -> list[bytes]:
        self[name] = []
        return self[name]


def _single(group: TemplateGroup, lists: dict[bytes, list[bytes]]) -> bytes:
    """Return what the group's main template makes of the values; raises MistError."""
    texts = evaluate(group, lists, group.name)
    if len(texts) != 1:
        raise MistError(b"Error: the main template is multi-valued, which is not allowed here")
    return flat(texts[0])


def _layout(group: TemplateGroup, names: Sequence[bytes], empty: Sequence[int]) -> Callable[[list[bytes]], bytes]:
    """Return what makes the block of groups with these names whose tested values are empty at ``empty``."""
    # No template and no value holds a NUL, so it can mark the values' places.
    markers = [b"" if place in empty else b"\0%d\0" % place for place in range(len(names))]
    pieces = _single(group, _Lists(names, markers)).split(b"\0")
    texts = pieces[::2]
    # Values and texts take turns, and the texts stand behind the values. At least two are picked.
    order = [int(piece) if at % 2 else len(names) + at // 2 for at, piece in enumerate(pieces)]
    pick = itemgetter(*order, len(names) + len(texts))
    texts.append(b"")
    return lambda values: b"".join(pick(values + texts))


class _Shape:
    """Groups that have the same names in the same order."""

    def __init__(self, group: TemplateGroup, names: tuple[bytes, ...], lists: dict[bytes, list[bytes]]) -> None:
        """Take the lists of the document, by name; they get the values of each group."""
        self.group = group
        self.names = names
        self.tested = [place for place, name in enumerate(names) if name in group.deciding]
        self.layouts: dict[tuple[int, ...], Callable[[list[bytes]], bytes]] = {}
        self.moves: list[tuple[Callable[..., None], itemgetter[Any]]] = []
        for wanted, texts in lists.items():
            places = [place for place, name in enumerate(names) if name == wanted]
            if len(places) == 1:
                self.moves.append((texts.append, itemgetter(*places)))
            elif places:
                self.moves.append((texts.extend, itemgetter(*places)))

    def add(self, values: list[bytes]) -> bytes:
        """Hand the values of one group to the document; returns the group's block."""
        for take, pick in self.moves:
            take(pick(values))
        empty: tuple[int, ...] = ()
        if b"" in values:
            empty = tuple([place for place in self.tested if not values[place]])
        layout = self.layouts.get(empty)
        if layout is None:
            if len(self.layouts) >= _MOST_LAYOUTS:
                return _single(self.group, _Lists(self.names, values))
            layout = self.layouts[empty] = _layout(self.group, self.names, empty)
        return layout(values)


class Document:
    """The document that grows while groups are added; the first one holds the globals."""

    def __init__(self, document: TemplateGroup, block: TemplateGroup) -> None:
        self.document = document
        self.block = block
        self.lists: dict[bytes, list[bytes]] = {name: [] for name in document.parameters}
        self.blocks = self.lists.get(_BLOCK, [])
        self.globals = True
        self.shapes: dict[tuple[bytes, ...], _Shape | None] = {}

    def add(self, names: list[bytes], values: list[bytes]) -> None:
        """Add a group; raises MistError."""
        key = tuple(names) if len(names) <= _MOST_VALUES else ()
        shape = self.shapes.get(key)
        if shape is not None and not self.globals:
            self.blocks.append(shape.add(values))
            return
        lists = _Lists(names, values)
        for name in self.lists.keys() & lists.keys():
            self.lists[name] += lists[name]
        if not self.globals:
            self.blocks.append(_single(self.block, lists))
            self.remember(key)
        self.globals = False

    def remember(self, names: tuple[bytes, ...]) -> None:
        """Make a shape of the names of a group if they come a second time."""
        if names in self.shapes:
            self.shapes[names] = _Shape(self.block, names, self.lists)
        elif names and len(self.shapes) < _MOST_SHAPES:
            self.shapes[names] = None

    def text(self) -> bytes:
        """Return the document; raises MistError."""
        # A parameter that no group has is not the same as one without values.
        return _single(self.document, {name: values for name, values in self.lists.items() if values})


def generate(directory: bytes, data: bytes) -> bytes:
    """Return what the template set makes of the data file's bytes.

    Raises DataError for a mistake in the data, else MistError for one in the templates.
    """
    groups = columns(data)
    binary = b"\0" in data
    try:
        document = Document(*load(directory))
        for names, values in groups:
            document.add(names, [value.partition(b"\0")[0] for value in values] if binary else values)
        return document.text()
    except MistError:
        for _group in groups:
            pass  # A mistake in the data counts first.
        raise


def _read(name: bytes) -> bytes:
    """Return the bytes of the data file; raises MistError."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise MistError(b"Failed to load %b: unable to open file %b" % (name, name)) from None
    pieces = []
    try:
        size = os.fstat(handle).st_size + _READ_SIZE
        while piece := os.read(handle, size):
            pieces.append(piece)
    except OSError as error:
        reason = os.fsencode(error.strerror or "")
        raise MistError(b"Failed to load %b: unable to read file %b: %b" % (name, name, reason)) from None
    finally:
        os.close(handle)
    return b"".join(pieces)


def _write(handle: int, text: bytes) -> None:
    """Write all of the text; raises OSError."""
    with open(handle, "wb", closefd=False) as stream:
        stream.write(text)


def _output(text: bytes) -> bytes:
    """Write the text to the standard output stream; returns what went wrong, or nothing."""
    try:
        _write(1, text)
    except OSError as error:
        return b"Error: unable to write the output: " + os.fsencode(error.strerror or "")
    return b""


def render(directory: bytes, file: bytes) -> bytes:
    """Return what the template set in a directory makes of a data file.

    Raises MistError with the line that the command prints.
    """
    try:
        return generate(directory, _read(file))
    except DataError as error:
        raise MistError(b"Failed to load %b: %b" % (file, os.fsencode(str(error)))) from None


def _run(directory: bytes, file: bytes) -> bytes:
    """Render to the standard output stream; returns the line that says what went wrong, or nothing."""
    try:
        return _output(render(directory, file))
    except MistError as error:
        return error.message
    except MemoryError:
        return b"Error: not enough memory"


def main(program: str, arguments: list[str]) -> int:
    """Run the command ``program TEMPLATE_DIR DATA_FILE``; return the exit code."""
    gc.disable()  # Nothing here refers to itself, and the process is short.
    try:
        if len(arguments) < 2:
            message = _output(b"Usage: %b <template directory> <data file>\n" % os.fsencode(program))
        else:
            message = _run(os.fsencode(arguments[0]), os.fsencode(arguments[1]))
        if message:
            _write(2, message + b"\n")
    except KeyboardInterrupt:
        return 130
    except OSError:
        return 1  # Nobody listens.
    return 1 if message else 0
