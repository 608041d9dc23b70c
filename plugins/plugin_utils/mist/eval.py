# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation of MiST templates: parts and named lists in, a list of strings out.

Whatever a placeholder names is a list. The lists of one template are walked together, whole columns
at a time, and a shorter one repeats its last value. A string is ``bytes``, or a rope: a tuple of
strings that stand one after the other, made when a long string would be copied again and again. A
rope is never empty as a string, so that truth means "not empty" for both.
"""

from __future__ import annotations

from itertools import chain, repeat

from .template import Conditional, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Any

    from .template import TemplateGroup

    # The second one is a rope: tuple[Text, ...], which mypy cannot follow.
    Text = bytes | tuple[Any, ...]
    Texts = list[Text]
    Parts = list[bytes | Value | Conditional]
    Task = Generator[tuple[bytes, Parts], Any, Texts]

_EMPTY: Texts = [b""]
_BRANCH = b""

# Strings up to this length are joined at once, longer ones become part of a rope.
_SHORT = 1024


def flat(text: Text) -> bytes:
    """Return the string as bytes."""
    pieces: list[bytes] = []
    rest = [text]
    while rest:
        piece = rest.pop()
        if isinstance(piece, bytes):
            pieces.append(piece)
        else:
            rest += reversed(piece)
    return b"".join(pieces)


def evaluate(group: TemplateGroup, values: dict[bytes, list[bytes]], main: bytes) -> Texts:
    """Return the strings of the template ``main``; ``values`` are the parameters' values by name.

    A template comes before a parameter of its name. It is evaluated once, when it is first needed;
    while that goes on it is an empty list for those who name it. A parameter without values has an
    empty string as its only one.
    """
    found: dict[bytes, Texts] = {name: values.get(name, _EMPTY) for name in group.parameters}  # type: ignore[misc]
    found[main] = []
    stack = [(main, _template(group.templates[main], group, found))]
    answer: Texts | None = None
    while stack:
        try:
            name, parts = stack[-1][1].send(answer)
        except StopIteration as stop:
            answer = stop.value
            found[stack.pop()[0]] = stop.value
        else:
            found[name] = []
            stack.append((name, _template(parts, group, found)))
            answer = None
    return found[main]


def _template(parts: Parts, group: TemplateGroup, found: dict[bytes, Texts]) -> Task:
    """Return the strings of a template, as a task.

    It yields what else must be evaluated, a template or a branch of its own without a name, and is
    sent the strings of that.
    """
    columns: list[Text | Texts] = []
    for part in parts:
        if isinstance(part, bytes):
            columns.append(part)
            continue
        texts = found.get(part.name)
        if texts is None:
            texts = yield part.name, group.templates[part.name]
        if isinstance(part, Value):
            columns.append(texts if part.separator is None else _joined(texts, part.separator))
            continue
        if part.whole or len(texts) == 1:
            branch = part.yes if any(texts) else part.no
            columns.append(_plain(branch) or (yield _BRANCH, branch))
            continue
        yes = no = None
        if texts and texts[0]:
            yes = _plain(part.yes) or (yield _BRANCH, part.yes)
        if not all(texts):
            no = _plain(part.no) or (yield _BRANCH, part.no)
        if yes is None and any(texts):
            yes = _plain(part.yes) or (yield _BRANCH, part.yes)
        columns.append(_chosen(texts, yes, no))
    return _zipped(columns)


def _plain(parts: Parts) -> Texts | None:
    """Return the strings of a template that holds no placeholders; None if it does hold some."""
    if not parts:
        return _EMPTY
    if len(parts) == 1 and isinstance(parts[0], bytes):
        return parts  # type: ignore[return-value]
    return None


def _chosen(tests: Texts, yes: Texts | None, no: Texts | None) -> Texts:
    """Return for each test a string of a branch, by position; a branch is None if no test chose it."""
    if yes is None or no is None:
        texts = yes or no or []
        return texts + texts[-1:] * (len(tests) - len(texts))
    height = max(len(tests), len(yes), len(no))
    rows = zip(*[_stream(texts, height) for texts in (tests, yes, no)], strict=False)
    return [if_true if test else if_false for test, if_true, if_false in rows]


def _joined(texts: Texts, separator: bytes) -> Text:
    """Return all strings as one."""
    if len(texts) == 1:
        return texts[0]
    try:
        return separator.join(texts)  # type: ignore[arg-type]
    except TypeError:
        return _rope(chain.from_iterable(zip(chain((b"",), repeat(separator)), texts, strict=False)))


def _rope(pieces: Iterable[Text]) -> Text:
    """Return the pieces, not copied, as one string."""
    return tuple(filter(None, pieces)) or b""


def _stream(texts: Text | Texts, height: int) -> Iterable[Text]:
    """Return at least ``height`` strings: one string again and again, or a list and then its last value."""
    if not isinstance(texts, list):
        return repeat(texts)
    return texts if len(texts) == height else chain(texts, repeat(texts[-1]))


def _rows(columns: list[Text | Texts], height: int) -> Iterable[Iterable[Text]]:
    """Return the columns side by side, row by row."""
    if height == 1:
        return [[column[0] if isinstance(column, list) else column for column in columns]]
    return zip(*[_stream(column, height) for column in columns], strict=False)


def _zipped(columns: list[Text | Texts]) -> Texts:
    """Return the strings of a template from those of its parts; a column is a string or a list of them."""
    columns = [column for column in columns if column]
    height = max((len(column) for column in columns if isinstance(column, list)), default=1)
    if max((len(text) for row in _rows(columns, 1) for text in row), default=0) <= _SHORT:
        try:
            return list(map(b"".join, _rows(columns, height)))  # type: ignore[arg-type]
        except TypeError:
            pass  # A rope is among them.
    return list(map(_rope, _rows(columns, height)))
