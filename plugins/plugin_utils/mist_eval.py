# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation of MiST templates: parts and named lists in, a list of strings out.

Whatever a placeholder names is a list. The lists of one template are walked together, whole columns
at a time, and a shorter one repeats its last value. A string is `bytes`, or a rope: a tuple of
strings that stand one after the other, made when a long string would be copied again and again. A
rope is never empty as a string, so that truth means "not empty" for both.
"""

from __future__ import annotations

from itertools import chain, repeat

from .mist_template import Condition, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from .mist_template import TemplateGroup

    Text = bytes | tuple["Text", ...]
    Texts = list[Text]
    Parts = list[bytes | Value | Condition]
    Task = Generator[bytes | Parts, Texts, Texts]

_EMPTY: Texts = [b""]

# Strings up to this length are joined at once, longer ones become part of a rope.
_SHORT = 1024


def flat(text: Text) -> bytes:
    """The string as bytes."""
    if isinstance(text, bytes):
        return text
    pieces = []
    rest = [text]
    while rest:
        text = rest.pop()
        if isinstance(text, bytes):
            pieces.append(text)
        else:
            rest += reversed(text)
    return b"".join(pieces)


def evaluate(group: TemplateGroup, values: dict[bytes, list[bytes]], main: bytes) -> Texts:
    """The strings of the template `main`; `values` are the parameters' values by name.

    A template comes before a parameter of its name. It is evaluated once, when it is first needed;
    while that goes on it is an empty list for those who name it. A parameter without values has an
    empty string as its only one.
    """
    templates = group.templates
    found: dict[bytes, Texts] = {name: texts for name, texts in values.items() if name not in templates}
    found[main] = []
    stack: list[tuple[bytes | None, Task]] = [(main, _template(templates[main], found))]
    answer: Texts | None = None
    while stack:
        name, task = stack[-1]
        try:
            wanted = task.send(answer)
        except StopIteration as stop:
            answer = stop.value
            stack.pop()
            if name is not None:
                found[name] = answer
            continue
        answer = None
        if isinstance(wanted, list):
            stack.append((None, _template(wanted, found)))
        elif wanted in templates:
            found[wanted] = []
            stack.append((wanted, _template(templates[wanted], found)))
        else:
            answer = found[wanted] = _EMPTY
    return answer


def _template(parts: Parts, found: dict[bytes, Texts]) -> Task:
    """The strings of a template, as a task that yields what else must be evaluated.

    It yields a name that is not in `found` or the parts of a branch, and is sent their strings.
    """
    columns: list[Text | Texts] = []
    for part in parts:
        if isinstance(part, bytes):
            columns.append(part)
            continue
        texts = found.get(part.name)
        if texts is None:
            texts = yield part.name
        if isinstance(part, Value):
            columns.append(texts if part.separator is None else _joined(texts, part.separator))
            continue
        if part.whole or len(texts) == 1:
            branch = part.yes if any(texts) else part.no
            columns.append(_plain(branch) or (yield branch))
            continue
        yes = no = None
        if texts and texts[0]:
            yes = _plain(part.yes) or (yield part.yes)
        if not all(texts):
            no = _plain(part.no) or (yield part.no)
        if yes is None and any(texts):
            yes = _plain(part.yes) or (yield part.yes)
        columns.append(_chosen(texts, yes, no))
    return _zipped(columns)


def _plain(parts: Parts) -> Texts | None:
    """The strings of a template that holds no placeholders; None if it does hold some."""
    if not parts:
        return _EMPTY
    if len(parts) == 1 and isinstance(parts[0], bytes):
        return parts  # type: ignore[return-value]
    return None


def _chosen(tests: Texts, yes: Texts | None, no: Texts | None) -> Texts:
    """For each test a string of a branch, by position; a branch is None if no test chose it."""
    if yes is None or no is None:
        texts = yes or no or []
        return texts + texts[-1:] * (len(tests) - len(texts))
    height = max(len(tests), len(yes), len(no))
    rows = zip(*[_stream(texts, height) for texts in (tests, yes, no)], strict=False)
    return [if_true if test else if_false for test, if_true, if_false in rows]


def _joined(texts: Texts, separator: bytes) -> Text:
    """All strings in one."""
    if len(texts) == 1:
        return texts[0]
    try:
        return separator.join(texts)  # type: ignore[arg-type]
    except TypeError:
        return _rope(chain.from_iterable(zip(chain((b"",), repeat(separator)), texts, strict=False)))


def _rope(pieces: Iterable[Text]) -> Text:
    """The pieces, not copied, as one string."""
    return tuple(filter(None, pieces)) or b""


def _stream(texts: Text | Texts, height: int) -> Iterable[Text]:
    """At least `height` strings: one string again and again, or a list and then its last value."""
    if not isinstance(texts, list):
        return repeat(texts)
    return texts if len(texts) == height else chain(texts, repeat(texts[-1]))


def _zipped(columns: list[Text | Texts]) -> Texts:
    """The strings of a template from those of its parts; a column is a string or a list of them."""
    columns = [column for column in columns if column]
    height = max((len(column) for column in columns if isinstance(column, list)), default=1)
    first = [column[0] if isinstance(column, list) else column for column in columns]
    rows = [first] if height == 1 else zip(*[_stream(column, height) for column in columns], strict=False)
    if max(map(len, first), default=0) <= _SHORT:
        try:
            return list(map(b"".join, rows))  # type: ignore[arg-type]
        except TypeError:
            rows = [first] if height == 1 else zip(*[_stream(column, height) for column in columns], strict=False)
    return list(map(_rope, rows))
