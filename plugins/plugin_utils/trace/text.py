# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's text of a trace -> typed records.

The text is what the kernel's ``trace`` file prints; how an event is printed says its format (``formats``).
Nothing is dropped silently: a line that cannot be read is counted and kept with its line number.

Only a line feed ends a line, and not every one does: the name of a thread and a text that an event prints may hold
any byte but 0.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from .formats import EventFormat, Value, cut

MAX_LINE = 8192
"""Longest line in bytes that is taken for a record; the kernel prints at most 8 KiB per record."""

MAX_KEPT = 20
"""How many unreadable lines are kept as examples; all of them are counted."""

NAME_WIDTH = 16
"""Columns of a thread's name in the text.  A name has 15 bytes at most, so a blank stands before each."""


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
    """A line of the trace that is not a record.  ``text`` is cut to 200 characters."""

    line: int
    reason: str
    text: str


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
            time_ns = nanoseconds(seconds, micro)
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
        return f"no format file for event {cut(event)}"

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


def nanoseconds(seconds: str, micro: str | None) -> int:
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
    """Lines of a file in bounded memory: a line over MAX_LINE bytes comes in pieces, which are not records."""
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
