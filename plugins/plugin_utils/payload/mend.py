# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups of a data file with malformed lines: each such line is a mistake, and the rest is read all the same."""

import re
from collections.abc import Callable, Iterable

from ..mist import data as mist

Complain = Callable[[int, str], None]
"""Takes the line of a mistake, and what is wrong and allowed."""

_MALFORMED_MAX = 50  # malformed lines looked for in one file
_NO_EQUALS = "'=' is missing"
_NO_END = '"<<" is missing'
_NEARLY_MARK = re.compile(rb"[ \t]*\[\s*\w+\s*\]\s*\Z")
_OPENING = re.compile(rb"[^=]*=>>")
_SYNTAX = {
    _NO_EQUALS: "allowed are 'name = value', 'name =>>', '[group]' and lines starting with '#'",
    "name is missing": "write 'name = value'",
    _NO_END: "a value that starts with '=>>' ends with a line '<<'",
}


def read_groups(data: bytes, parameters: Iterable[str], complain: Complain) -> list[mist.Group]:
    """Return the groups of a file; none when too many lines are malformed.

    ``parameters`` are the names that a definition may have: a line with one of them ends a value without an end.
    """
    file = _Mended(data, parameters, complain)
    for _attempt in range(_MALFORMED_MAX):
        try:
            groups = mist.parse(b"\n".join(file.lines))
        except mist.DataError as error:
            if error.reason == _NO_END:
                groups = mist.parse(b"\n".join([*file.lines, b"<<"]))
                file.end_value(groups[-1].items[-1])
            else:
                file.leave_out(error)
            continue
        endless = file.endless(groups)
        if endless is None:
            return file.numbered(groups)
        file.end_value(endless)
    text = f"more than {_MALFORMED_MAX} malformed lines; the rest is not checked, mend these first"
    complain(file.last, text)
    return []


class _Mended:
    """The lines of a file while they are mended; ``numbers`` are those that the user's editor shows."""

    def __init__(self, data: bytes, parameters: Iterable[str], complain: Complain) -> None:
        self.lines = data.split(b"\n")
        self.numbers = list(range(1, len(self.lines) + 1))
        self.left_out: set[int] = set()
        self.last = 1
        self.tell = complain
        names = b"|".join(re.escape(name.encode()) for name in sorted(parameters))
        # C has no such line: a value must have ended before it. C seldom has the other one: it may have ended there.
        self.next = re.compile(rb"^[ \t]*(?:\[group\]|(?:" + names + rb")[ \t]*=>>)[ \t\r]*$", re.MULTILINE)
        self.likely_next = re.compile(rb"[ \t]*(?:\[group\]|(?:" + names + rb")[ \t]*=)")

    def complain(self, line: int, text: str) -> None:
        """Report a mistake in a line of the file as it is now."""
        self.last = max(self.last, self.numbers[line - 1])
        self.tell(self.numbers[line - 1], text)

    def endless(self, groups: list[mist.Group]) -> mist.Item | None:
        """Return the first value of several lines that took in what can only be the next definition."""
        items = (item for group in groups for item in group.items)
        return next((item for item in items if b"\n" in item.value and self.next.search(item.value)), None)

    def leave_out(self, error: mist.DataError) -> None:
        """Empty the line that is wrong, or the one before it that it continues."""
        line = min(max(error.line, 1), len(self.lines))
        mark = _NEARLY_MARK.match(self.lines[line - 1]) if error.reason == _NO_EQUALS else None
        opening = _OPENING.match(self.lines[line - 1]) if error.reason.endswith('"=>>"') else None
        if line not in self.left_out:
            rule = "did you mean '[group]'?" if mark else _SYNTAX.get(error.reason, "put nothing else on the line")
            self.complain(line, f"{error.reason}; {rule}")
        first = line
        while line in self.left_out and line > 1:
            line -= 1
        self.left_out.add(line)
        if opening and line == first and self.closes_after(line):
            self.lines[line - 1] = opening.group()
        else:
            self.lines[line - 1] = mist.MARK if mark or error.reason.endswith('"[group]"') else b""

    def closes_after(self, line: int) -> bool:
        """Return whether a value ends after a line, before what looks like the next definition."""
        for text in self.lines[line:]:
            if text.strip(mist.BLANKS) == mist.CLOSE:
                return True
            if self.likely_next.match(text):
                return False
        return False

    def end_value(self, item: mist.Item) -> None:
        """End a value of several lines before the line that looks like the next definition."""
        name = item.name.decode("utf-8", "backslashreplace")
        self.complain(item.line, f"the value of {name!r} has no end, {_NO_END}; {_SYNTAX[_NO_END]}")
        after = range(max(item.line, item.value_line - 1), len(self.lines))
        at = next((line for line in after if self.likely_next.match(self.lines[line])), len(self.lines))
        self.lines.insert(at, b"<<")
        self.numbers.insert(at, self.numbers[min(at, len(self.numbers) - 1)])
        self.left_out = {line + (line > at) for line in self.left_out}

    def numbered(self, groups: list[mist.Group]) -> list[mist.Group]:
        """Return the groups with the user's line numbers."""
        return [mist.Group(self.number(one.line), [self.moved(item) for item in one.items]) for one in groups]

    def moved(self, item: mist.Item) -> mist.Item:
        """Return a definition with the user's line numbers."""
        return mist.Item(item.name, item.value, self.number(item.line), self.number(item.value_line))

    def number(self, line: int) -> int:
        """Return the user's number of a line; 0 stays 0."""
        return self.numbers[line - 1] if line else 0
