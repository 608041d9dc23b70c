# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel splats: does a kernel log show that something went wrong?  The policy is data/splats.yml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils.datafile import DataFileError, Node, load

MAX_LINE = 4096
"""Characters of a log line that are looked at; the kernel's own lines are below 1 KiB."""

_PREFIX = re.compile(r"(?:<\d{1,3}>)?(?:\[ *\d{1,12}\.\d{1,9}\] ?)?(?:\[ *[TC]\d{1,10}\] ?)?")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Rule(NamedTuple):
    """One row of the policy: what it is called, what matches, what that means, lines that must match."""

    name: str
    pattern: re.Pattern[str]
    means: str
    cases: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """``deny``: found anywhere in a message.  ``panic``: the same, and the system is dead.

    ``allow``: matches a whole message, which then is no splat whatever else matches.
    """

    deny: tuple[Rule, ...]
    panic: tuple[Rule, ...]
    allow: tuple[Rule, ...]


class Splat(NamedTuple):
    """A message that the policy denies.  ``line`` counts from 1; ``fatal`` when a panic rule matched."""

    line: int
    rule: str
    text: str
    fatal: bool


@dataclass
class Scan:
    """What a log holds.  ``marker`` is the line of the run's marker, 0 when it is not there."""

    lines: int = 0
    marker: int = 0
    splats: list[Splat] = field(default_factory=list)
    before: int = 0
    allowed: int = 0


def load_policy(path: str) -> Policy:
    """Read the policy.  Raises DataFileError with file:line of a mistake."""
    keys = load(path).mapping({"deny": "list", "panic": "list", "allow": "list"})
    rules = {key: tuple(_rule(node) for node in keys[key].value) for key in keys}
    if not rules["deny"] or not rules["panic"]:
        raise DataFileError([f"{path}:1: 'deny' and 'panic' need at least one rule each"])
    return Policy(rules["deny"], rules["panic"], rules["allow"])


def _rule(node: Node) -> Rule:
    keys = node.mapping({"name": "text", "pattern": "text", "means": "text", "cases": "list"})
    for case in keys["cases"].value:
        case.check("text", "each of 'cases'")
    try:
        pattern = re.compile(keys["pattern"].value)
    except re.error as error:
        raise keys["pattern"].error(f"'pattern' is no regular expression: {error}") from None
    return Rule(keys["name"].text(), pattern, keys["means"].text(), tuple(case.value for case in keys["cases"].value))


def message(line: str) -> str:
    """A line of dmesg or of a console without its time stamp, level, terminal escapes and line end."""
    line = line[:MAX_LINE].rstrip("\r\n")
    if "\x1b" in line:
        line = _ESCAPES.sub("", line)
    return line[_match_end(line) :]


def _match_end(line: str) -> int:
    found = _PREFIX.match(line)
    return found.end() if found else 0


def judge(text: str, policy: Policy) -> Splat | None:
    """Is one message (without prefix) a splat?  The line number of the answer is 0."""
    for rule in policy.panic:
        if rule.pattern.search(text):
            return Splat(0, rule.name, text, True)
    for rule in policy.deny:
        if rule.pattern.search(text):
            if any(allow.pattern.fullmatch(text) for allow in policy.allow):
                return None
            return Splat(0, rule.name, text, False)
    return None


def scan(lines: Iterable[str], policy: Policy, marker: str, whole: bool = False) -> Scan:
    """Look for splats after the marker line; ``whole`` also looks at a log that has no marker.

    ``marker`` must be the whole message.  Splats before it are only counted: they are not of this run.
    """
    result = Scan()
    earlier: list[Splat] = []
    for number, text in enumerate(_messages(lines), 1):
        result.lines = number
        if not result.marker and text == marker:
            result.marker = number
            continue
        splat = judge(text, policy)
        if splat is not None:
            (result.splats if result.marker else earlier).append(splat._replace(line=number))
        elif any(rule.pattern.fullmatch(text) for rule in policy.allow):
            result.allowed += 1
    if result.marker or not whole:
        result.before = len(earlier)
    else:
        result.splats = earlier
    return result


def _messages(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield message(line)
