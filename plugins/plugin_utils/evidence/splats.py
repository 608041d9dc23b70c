# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel splats: does a kernel log show that something went wrong?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .policy import Policy

MAX_LINE = 4096
"""Characters of a log line that are looked at; the kernel's own lines are below 1 KiB."""

MAX_SPLATS = 20_000
"""Splats of a log that are kept; all are counted."""

MAX_TOLD = 20
"""Errors of the modules under test that are kept; all are counted."""

MAX_REPORT = 100
"""Lines between two splats of one report, at most."""

MAX_RECORD = 1100
"""Lines of one message, at most; the kernel keeps about 1,000 characters of it, each of which may be a line feed."""

_LEVEL = re.compile(r"<(\d{1,3})>")
_PREFIX = re.compile(r"(?:<\d{1,3}>)?(?:\[ *\d{1,12}\.\d{1,9}\] ?)?(?:\[ *[TC]\d{1,10}\] ?)?")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_ERROR = 3
"""KERN_ERR; the levels of what is worse are lower."""

_FRAME = re.compile(r"\b(?:Call [Tt]race|Backtrace):|---\[ end |--- ?\[? ?cut here")
"""Lines that every report has and that say nothing about its cause."""

_STACK = re.compile(r"\b(?:Call [Tt]race|Backtrace):")
_CLOSES = re.compile(r"---\[ end ")
_BROKEN = re.compile(
    r"\bBUG\b|[Kk]ernel BUG at|Oops|general protection fault|double fault|Unable to handle kernel|Internal error: "
    r"|\b(?:KASAN|KFENCE|KCSAN|KMSAN|UBSAN): | \[#\d+\]"
)
"""What stands above all else in a log: kernel code that was stopped, or that touched what it must not."""

_FOLLOWS = re.compile(r"Kernel panic - not syncing: (?:Fatal exception|panic_on_warn|hung_task|softlockup)")
"""A panic that only says that something else went wrong before."""

_DUMP = re.compile(r"\s*(?:$|CPU: \d|Pid: \d|Hardware name: |Modules linked in:|Tainted: |Workqueue: |Process |Stack:)")
"""Lines that the kernel prints between a complaint and the stack that belongs to it."""

_SYMBOL = r"[A-Za-z_][\w.$]{0,300}\+0x[0-9a-f]{1,16}/0x[0-9a-f]{1,16}(?: \[[\w-]{1,64}\])?"
_PLACE = re.compile(
    r" {0,4}(?P<register>RIP|EIP|IP|PC|pc|epc)(?: is at| ?:)? {1,4}(?!00[23]3:)(?:[0-9a-f]{4}:)?"
    rf"(?:\[<[0-9a-f]{{1,16}}>\] {{0,4}}){{0,2}}(?P<symbol>{_SYMBOL}|0x[0-9a-f]{{1,16}}$)"
)
"""Where kernel code was stopped, in the words of x86 (2.6.31 to today) and Arm; not of a user's program."""

_ENTRY = re.compile(rf"[ ?]{{0,8}}(?:\[<[0-9a-f]{{1,16}}>\] {{0,2}})?(?:\? )?{_SYMBOL}")
"""One function of a printed stack."""


class Splat(NamedTuple):
    """A message that the policy denies.  ``line`` counts from 1; ``fatal`` when a panic rule matched.

    ``place`` is where kernel code was stopped, as `RIP: SYMBOL+OFFSET/SIZE [MODULE]`, when the same report says so;
    ``above`` is the message above a printed stack or a warning that says what is wrong where they do not.
    """

    line: int
    rule: str
    text: str
    fatal: bool
    place: str = ""
    above: str = ""


@dataclass
class Scan:
    """What a log holds.  ``marker`` and ``ended`` are lines of the run's markers, 0 when they are not there.

    Of the run: ``splats`` (the first MAX_SPLATS of ``total``), ``allowed`` and ``holes`` (messages), ``told`` (the
    first MAX_TOLD of ``told_total`` errors of the modules under test that are not splats), ``users`` (the first
    MAX_TOLD of ``users_total`` lines about programs of users that would be splats or holes if they were the
    kernel's own).  Not of the run: splats ``before`` it began and ``after`` it ended.
    """

    lines: int = 0
    marker: int = 0
    ended: int = 0
    splats: list[Splat] = field(default_factory=list)
    total: int = 0
    told: list[Splat] = field(default_factory=list)
    told_total: int = 0
    users: list[Splat] = field(default_factory=list)
    users_total: int = 0
    allowed: int = 0
    holes: int = 0
    before: int = 0
    after: int = 0

    @property
    def cause(self) -> str:
        """The line that a person reads first; nothing when there is no splat."""
        return cause(self.splats)


def message(line: str) -> str:
    """A line of dmesg or of a console without its time stamp, level, terminal escapes and line end."""
    return _split(line)[1]


def _split(line: str) -> tuple[str, str]:
    """What stands before a message, and the message."""
    line = line[:MAX_LINE].rstrip("\r\n")
    if "\x1b" in line:
        line = _ESCAPES.sub("", line)
    found = _PREFIX.match(line)
    end = found.end() if found else 0
    return line[:end], line[end:]


class _Line(NamedTuple):
    """A line of a log.  ``number`` counts from 1; ``text`` is its message."""

    number: int
    line: str
    text: str


def _at_one_time(lines: Iterable[str]) -> Iterator[list[_Line]]:
    """Lines that the kernel may have written as one message.

    Those of a message with line feeds have the same stamp each, or, by today's dmesg, only blanks below the first.
    Without a stamp each line is by itself.
    """
    group: list[_Line] = []
    stamp = ""
    for number, line in enumerate(lines, 1):
        prefix, text = _split(line)
        goes_on = prefix == stamp or (not prefix and text.startswith(" "))
        if group and not ("." in stamp and goes_on and len(group) < MAX_RECORD):
            yield group
            group = []
        stamp = stamp if group else prefix
        group.append(_Line(number, line, text))
    if group:
        yield group


def level(line: str) -> int:
    """The level of a line of a raw log, 0 (the system is unusable) to 7; 7 when it states none."""
    found = _LEVEL.match(line)
    return int(found[1]) & 7 if found else 7


def judge(text: str, policy: Policy) -> Splat | None:
    """Is one message (without prefix) a splat?  The line number of the answer is 0."""
    denied = policy.denies(text)
    if denied is None or (not denied[1] and policy.allows(text)):
        return None
    return Splat(0, denied[0], text, denied[1])


def cause(splats: Sequence[Splat]) -> str:
    """What a person reads first of these: the first and most telling message, and where it was."""
    if not splats:
        return ""
    best = min(splats, key=_rank)
    if best.above:
        return f"{best.above}; {best.text.strip()}"
    symbol = best.place.partition(": ")[2]
    known = not symbol or symbol.partition("+")[0] in best.text
    return best.text.strip() if known else f"{best.text.strip()}; {best.place}"


def _rank(splat: Splat) -> int:
    if _FRAME.search(splat.text):
        return 2 if splat.above else 4
    if _FOLLOWS.search(splat.text):
        return 3
    return 0 if _BROKEN.search(splat.text) else 1


class _Part:
    """A stretch of a log: what was found in it."""

    def __init__(self) -> None:
        self.splats: list[Splat] = []
        self.told: list[Splat] = []
        self.users: list[Splat] = []
        self.total = self.told_total = self.users_total = self.allowed = self.holes = 0
        self._report: int | None = None
        self._doubtful: set[int] = set()
        self._last = 0
        self._stack = False

    def add_splat(self, splat: Splat, above: str) -> None:
        """Keep a splat; ``above`` is the last message above it that is not part of a dump."""
        opens, stack = self._opens(splat), _STACK.search(splat.text) is not None
        self.total += 1
        self._last, self._stack = splat.line, stack or (self._stack and not opens)
        kept = len(self.splats)
        if opens:
            self._report = kept
        if kept >= MAX_SPLATS * (2 if splat.fatal else 1):
            self._report = None
            return
        place = "" if opens else self.splats[-1].place
        named = stack if opens else self._is_named(splat, above)
        self.splats.append(splat._replace(place=place, above=above if named else ""))
        if _CLOSES.search(splat.text):
            self._report = None

    def _opens(self, splat: Splat) -> bool:
        """Does a report begin here?"""
        if self._report is None or splat.line - self._last > MAX_REPORT:
            return True
        return self._stack and not _FRAME.search(splat.text)

    def _is_named(self, splat: Splat, above: str) -> bool:
        """Does a message that no rule knows stand between the first line of a report and this one?"""
        cut = self.splats[-1].text
        return "[ cut here ]" in cut and cut.strip() != above and not _FRAME.search(splat.text)

    def add_place(self, place: str, line: int) -> None:
        """Note for the report that is going on where kernel code was stopped, unless that is known."""
        if self._report is None or line - self._last > MAX_REPORT or self.splats[-1].place:
            return
        for index in range(self._report, len(self.splats)):
            self.splats[index] = self.splats[index]._replace(place=place)

    def add_told(self, splat: Splat) -> None:
        """Keep an error of a module under test."""
        self.told_total += 1
        if len(self.told) < MAX_TOLD:
            self.told.append(splat)

    def add_user(self, splat: Splat) -> None:
        """Keep what looks like a splat or a hole and is about a program of a user."""
        self.users_total += 1
        if len(self.users) < MAX_TOLD:
            self.users.append(splat)

    def doubt(self, line: int) -> None:
        """The splat of this line belongs to a report that is a user's if its end says so."""
        self._doubtful.add(line)

    def settle(self) -> None:
        """A report had no such end: its splats are splats."""
        self._doubtful.clear()

    def take_back(self) -> None:
        """The report that has ended was about a program of a user, and so its splats are none."""
        if not self._doubtful:
            return
        taken = [one for one in self.splats if one.line in self._doubtful]
        self.splats = [one for one in self.splats if one.line not in self._doubtful]
        self.total -= len(self._doubtful)
        self._report, self._doubtful = None, set()
        for one in taken:
            self.add_user(one)

    def join(self, other: _Part) -> None:
        """Take what another stretch, which follows this one, holds."""
        self.splats = (self.splats + other.splats)[: 2 * MAX_SPLATS]
        self.told = (self.told + other.told)[:MAX_TOLD]
        self.users = (self.users + other.users)[:MAX_TOLD]
        self.total += other.total
        self.told_total += other.told_total
        self.users_total += other.users_total
        self.allowed += other.allowed
        self.holes += other.holes


class _Reader:
    """Tells what each message of a log is."""

    def __init__(self, policy: Policy, modules: Iterable[str]) -> None:
        self._policy = policy
        self._named = _naming(modules)
        self._above = ""
        self._begun = False

    def read(self, part: _Part, number: int, line: str, text: str) -> None:
        """Put one message where it belongs."""
        splat = judge(text, self._policy)
        if splat is not None:
            part.add_splat(splat._replace(line=number), self._above)
            if self._begun and _STACK.search(text):
                part.doubt(number)
        elif place := _place(text):
            part.add_place(place, number)
        elif self._policy.allows(text):
            part.allowed += 1
        elif self._policy.is_hole(text):
            part.holes += 1
        elif self._is_told(line, text):
            part.add_told(Splat(number, "error", text, False))
        if not _DUMP.match(text):
            self._above, self._begun = text.strip(), False

    def read_users(self, part: _Part, number: int, text: str, report: str) -> None:
        """Put one line about a program of a user, with which a report may begin or end, where it belongs."""
        begins = report == "begins"
        if begins and not self._begun:
            part.settle()
        denied = self._policy.denies(text)
        if denied is not None or self._policy.is_hole(text):
            splat = Splat(number, denied[0] if denied else "hole", text.strip(), False)
            if begins:
                part.add_splat(splat, self._above)
                part.doubt(number)
            else:
                part.add_user(splat)
        if begins:
            self._above, self._begun = text.strip(), True
        elif report == "ends":
            part.take_back()

    def _is_told(self, line: str, text: str) -> bool:
        if self._named is None or self._named.search(text) is None:
            return False
        return level(line) <= _ERROR and not _ENTRY.fullmatch(text)


def _naming(modules: Iterable[str]) -> re.Pattern[str] | None:
    """What names one of these modules in a message, spelled with `-` or `_`: its begin, or `[name]`."""
    names = "|".join(re.sub("[-_]", "[-_]", re.escape(name).replace(r"\-", "-")) for name in modules if name)
    return re.compile(rf"^(?:{names})(?!\w)|\[(?:{names})\]") if names else None


def _place(text: str) -> str:
    found = _PLACE.match(text)
    return f"{found['register']}: {found['symbol']}" if found else ""


def scan(
    lines: Iterable[str], policy: Policy, marker: str, whole: bool = False, end: str = "", modules: Iterable[str] = (),
) -> Scan:
    """Look for splats between the first line that is ``marker`` and the last that is ``end``.

    Both must be whole messages.  Without ``end``, or its line, the run goes on to the end of the log.  Without the
    marker's line the log holds no line of this run, or, when ``whole``, all of them are.  ``modules`` are those under
    test: what they say at level error or worse is told.
    """
    result = Scan()
    before, run, after = _Part(), _Part(), _Part()
    reader, part = _Reader(policy, modules), before
    for group in _at_one_time(lines):
        of_users = policy.of_users([one.text.lstrip(" ") for one in group])
        for index, (number, line, text) in enumerate(group):
            result.lines = number
            if index in of_users:
                reader.read_users(part, number, text, of_users[index].report)
            elif marker and text == marker:
                result.marker, part = result.marker or number, run if part is before else part
            elif end and text == end and result.marker:
                run.join(after)
                result.ended, after = number, _Part()
                part = after
            else:
                reader.read(part, number, line, text)
    return _filled(result, before, run, after, whole)


def _filled(result: Scan, before: _Part, run: _Part, after: _Part, whole: bool) -> Scan:
    """The result with what the stretches of the log hold."""
    if whole and not result.marker:
        before, run = run, before
    result.splats, result.total = run.splats, run.total
    result.told, result.told_total = run.told, run.told_total
    result.users, result.users_total = run.users, run.users_total
    result.allowed, result.holes = run.allowed, run.holes
    result.before, result.after = before.total, after.total
    return result
