# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy of kernel splats, data/splats.yml: which messages of a kernel log show that something went wrong."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from ..base.datafile import Node, load
from ..base.errors import InputError, Problem

_SPELLED = re.compile(r"\\x[0-9a-f]{2}")
"""A character of a name as dmesg shows it when it cannot be printed."""

_TOKEN = re.compile(
    r"\[\^?\]?(?:\\.|[^\\\]])*\]|(?P<plain>\\\W|[^\\\[\](){}.^$|?*+])|(?P<repeat>[?*+]|\{\d*,?\d*\})|\\.|.", re.DOTALL
)
_TOO_HARD = re.compile(r"\(\?[aiLmsux-]|\\[^bBdDnsSwWAZ\W_]")
"""Flags, and escapes that stand for a character or a group, in a regular expression."""


class LogRule(NamedTuple):
    """One row of the policy: what it is called, what matches, what that means, lines that must match.

    ``report``: a message that it matches ``begins`` or ``ends`` a report of several messages; empty: neither.
    """

    name: str
    patterns: tuple[re.Pattern[str], ...]
    means: str
    cases: tuple[str, ...]
    report: str = ""


class _Try(NamedTuple):
    order: int
    pattern: re.Pattern[str]
    rule: LogRule
    fatal: bool


_order = attrgetter("order")


@dataclass(frozen=True)
class Policy:
    """``deny``: found anywhere in a message.  ``panic``: the same, and the system is dead.

    ``allow``: matches a whole message, which then is not a splat whatever else matches.
    ``holes``: found anywhere in a message, which says that messages are missing.
    ``users``: matches a whole message, of one line or several, about what a program of a user did.  The names in it
    are that user's, so it is neither a splat nor a hole whatever else matches.  A message that ``begins`` a report, and
    the stack below it, are splats until one that ``ends`` a report follows.
    """

    deny: tuple[LogRule, ...]
    panic: tuple[LogRule, ...]
    allow: tuple[LogRule, ...]
    holes: tuple[LogRule, ...] = ()
    users: tuple[LogRule, ...] = ()

    @cached_property
    def _denied(self) -> dict[str, list[_Try]]:
        return _by_text([(rule, True) for rule in self.panic] + [(rule, False) for rule in self.deny])

    @cached_property
    def _missing(self) -> dict[str, list[_Try]]:
        return _by_text((rule, False) for rule in self.holes)

    @cached_property
    def _by_users(self) -> dict[str, list[_Try]]:
        return _by_text((rule, False) for rule in self.users)

    def denies(self, text: str) -> tuple[str, bool] | None:
        """The name of the rule that finds something in a message, and whether the system is dead; panic comes first."""
        first = _first(self._denied, text)
        return None if first is None else (first.rule.name, first.fatal)

    def allows(self, text: str) -> bool:
        """Is the whole message one that is not a splat?"""
        return any(one.fullmatch(text) for rule in self.allow for one in rule.patterns)

    def is_hole(self, text: str) -> bool:
        """Does the message say that others are missing?"""
        return _first(self._missing, text) is not None

    def of_users(self, lines: Sequence[str]) -> dict[int, LogRule]:
        """Which of the lines that the kernel wrote at one time are about what programs of users did, by which rule?"""
        whole = _SPELLED.sub("?", "\n".join(lines))
        tries = _candidates(self._by_users, whole)
        found: dict[int, LogRule] = {}
        index = start = 0
        while tries and index < len(lines):
            matches = [(match.end(), one.rule) for one in tries if (match := one.pattern.match(whole, start))]
            end, rule = max(matches, key=_longest, default=(start, None))
            count = 1 + whole.count("\n", start, end)
            found.update(dict.fromkeys(range(index, index + count), rule) if rule else {})
            index += count
            start = whole.find("\n", end) + 1
        return found


def _longest(match: tuple[int, LogRule]) -> tuple[int, bool]:
    """What to choose a match by: of those with the same end one that begins or ends a report."""
    return match[0], bool(match[1].report)


def _by_text(rules: Iterable[tuple[LogRule, bool]]) -> dict[str, list[_Try]]:
    """Patterns by a text that each message they match holds: to look for a text costs a tenth of a pattern."""
    patterns = ((one, rule, fatal) for rule, fatal in rules for one in rule.patterns)
    tries: dict[str, list[_Try]] = {}
    for order, (pattern, rule, fatal) in enumerate(patterns):
        tries.setdefault(literal(pattern.pattern), []).append(_Try(order, pattern, rule, fatal))
    return tries


def _first(tries: Mapping[str, list[_Try]], text: str) -> _Try | None:
    """What finds something in this message; of several the one whose rule stands first."""
    return next((one for one in sorted(_candidates(tries, text), key=_order) if one.pattern.search(text)), None)


def _candidates(tries: Mapping[str, list[_Try]], text: str) -> list[_Try]:
    """What may find something in a text."""
    return [one for word in filter(text.__contains__, tries) for one in tries[word]]


def load_policy(path: str) -> Policy:
    """Read the policy.  Raises InputError with file:line of a mistake."""
    keys = load(path).mapping({"deny": "list", "panic": "list", "allow": "list", "holes": "list", "users": "list"})
    rules = {key: tuple(_rule(node, key == "users") for node in keys[key].value) for key in keys}
    if not rules["deny"] or not rules["panic"]:
        raise InputError(Problem(path, 1, "'deny' and 'panic' need at least one rule each"))
    users = tuple(rule._replace(patterns=tuple(map(_whole, rule.patterns))) for rule in rules["users"])
    return Policy(rules["deny"], rules["panic"], rules["allow"], rules["holes"], users)


def _whole(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """The same up to the end of a line, with line feeds wherever a name may be."""
    return re.compile(pattern.pattern + "(?=\n|\\Z)", re.DOTALL)


def _rule(node: Node, of_users: bool) -> LogRule:
    optional = {"report": "text"} if of_users else {}
    keys = node.mapping({"name": "text", "pattern": "any", "means": "text", "cases": "list"}, optional)
    for case in keys["cases"].value:
        case.check("text", "each of 'cases'")
    patterns = tuple(_pattern(one) for one in keys["pattern"].items())
    if not patterns:
        raise keys["pattern"].error("'pattern' must be a regular expression or a list of them")
    cases = tuple(case.value for case in keys["cases"].value)
    report = keys["report"].text() if "report" in keys else ""
    if report not in ("", "begins", "ends"):
        raise keys["report"].error("'report' must be 'begins' or 'ends'")
    return LogRule(keys["name"].text(), patterns, keys["means"].text(), cases, report)


def _pattern(node: Node) -> re.Pattern[str]:
    node.check("text", "'pattern'")
    try:
        return re.compile(node.value)
    except re.error as error:
        raise node.error(f"'pattern' is not a regular expression: {error}") from None


def literal(pattern: str) -> str:
    """The longest text that each match of a regular expression holds; nothing when that is not easily said."""
    if _TOO_HARD.search(pattern):
        return ""
    runs, depth = [""], 0
    for token in _TOKEN.finditer(pattern):
        text = token[0]
        depth += {"(": 1, ")": -1}.get(text, 0)
        if text == "|" and not depth:
            return ""
        if token["repeat"]:
            runs[-1] = runs[-1][:-1]
        if token["plain"] and not depth:
            runs[-1] += text[-1]
        else:
            runs.append("")
    return max(runs, key=len)
