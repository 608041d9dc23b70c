# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that the records of a run are held to: counts, pairs and balances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ..base.datafile import Node
from ..trace.formats import Value
from ..trace.text import Record

MAX_NAMED = 5
"""How many offending records a sentence names."""


class Condition(NamedTuple):
    """A condition on one field: all given bounds hold.  ``kind`` is what it compares with: ``number`` or ``text``."""

    field: str
    words: str
    kind: str
    holds: Callable[[Value], bool]


@dataclass(frozen=True)
class Selector:
    """Records of one event whose fields meet all conditions.  ``value`` names a field, or is empty."""

    event: str
    conditions: tuple[Condition, ...]
    value: str
    place: Node

    def takes(self, record: Record) -> bool | None:
        """Does the record meet all conditions?  None when that, or the value, cannot be read from it."""
        fields = record.fields
        known = not self.value or fields.get(self.value) is not None
        for test in self.conditions:
            value = fields.get(test.field)
            if value is None:
                known = False
            elif not test.holds(value):
                return False
        return True if known else None

    def fields(self) -> set[str]:
        """The fields that must exist in the event's format."""
        return {test.field for test in self.conditions} | ({self.value} if self.value else set())

    def words(self) -> str:
        """``called_up`` or ``called_down_interruptible with returnValue = 0``."""
        conditions = ", ".join(test.words for test in self.conditions)
        return f"{self.event} with {conditions}" if conditions else self.event


@dataclass(frozen=True)
class Rule:
    """What all rules have: a name, a sentence, and the place in the file."""

    name: str
    means: str
    place: Node

    def selectors(self) -> list[Selector]:
        """All selectors of the rule."""
        raise NotImplementedError

    def giving_back(self) -> tuple[Selector, ...]:
        """The selectors whose records must come before others may have what they give back."""
        return ()

    def begin(self) -> Tally:
        """A fresh tally of this rule."""
        raise NotImplementedError


class Tally:
    """A rule being applied: fed with records in the order of the trace, then asked for its answer."""

    unknown = 0
    """Records of which it could not be read whether the rule is about them."""

    def answer(self) -> tuple[str, str]:
        """As ``finish``; but nothing is known when records could not be read."""
        outcome, text = self.finish()
        if not self.unknown:
            return outcome, text
        return "missing", f"{text}; in {self.unknown} records a value is not readable"

    def see(self, record: Record, selector: Selector) -> None:
        """Take a record that the selector takes."""
        raise NotImplementedError

    def finish(self) -> tuple[str, str]:
        """(``ok``, ``fail`` or ``missing``; what was counted)."""
        raise NotImplementedError


@dataclass(frozen=True)
class CountRule(Rule):
    """So many records; ``most`` is None without an upper bound."""

    selector: Selector
    least: int
    most: int | None

    def selectors(self) -> list[Selector]:
        return [self.selector]

    def begin(self) -> Tally:
        return _CountTally(self)

    def bound(self) -> str:
        """``exactly 1``, ``at least 1``…"""
        if self.most == self.least:
            return f"exactly {self.least}"
        if self.most is None:
            return f"at least {self.least}"
        return f"at most {self.most}" if not self.least else f"from {self.least} to {self.most}"


@dataclass
class _CountTally(Tally):
    rule: CountRule
    seen: int = 0

    def see(self, record: Record, selector: Selector) -> None:
        self.seen += 1

    def finish(self) -> tuple[str, str]:
        rule = self.rule
        good = self.seen >= rule.least and (rule.most is None or self.seen <= rule.most)
        return "ok" if good else "fail", f"{self.seen} × {rule.selector.words()}; expected {rule.bound()}"


@dataclass(frozen=True)
class PairRule(Rule):
    """Every value that ``first`` records is recorded later by ``then``."""

    first: tuple[Selector, ...]
    then: tuple[Selector, ...]
    least: int

    def selectors(self) -> list[Selector]:
        # A record that ends one value and begins another, such as that of krealloc, ends first.
        return [*self.then, *self.first]

    def giving_back(self) -> tuple[Selector, ...]:
        return self.then

    def begin(self) -> Tally:
        return _PairTally(self)


@dataclass
class _PairTally(Tally):
    rule: PairRule
    open: dict[Value, int] = field(default_factory=dict)
    begun: int = 0
    ended: int = 0
    lost: int = 0
    lost_lines: list[int] = field(default_factory=list)

    def see(self, record: Record, selector: Selector) -> None:
        value = record.fields.get(selector.value)
        if any(selector is one for one in self.rule.first):
            if value in self.open:
                self._lose(self.open[value])
            self.open[value] = record.line
            self.begun += 1
        elif self.open.pop(value, None) is not None:
            self.ended += 1

    def _lose(self, line: int) -> None:
        self.lost += 1
        if len(self.lost_lines) < MAX_NAMED:
            self.lost_lines.append(line)

    def finish(self) -> tuple[str, str]:
        for line in self.open.values():
            self._lose(line)
        self.open = {}
        text = (
            f"{self.ended} of {self.begun} values of {_either(self.rule.first)} "
            f"come back in a later {_either(self.rule.then)}"
        )
        if self.lost:
            lines = ", ".join(map(str, sorted(self.lost_lines)))
            return "fail", f"{text}; {self.lost} do not, recorded in trace.txt line {lines}"
        if self.begun < self.rule.least:
            return "fail", f"{text}; expected at least {self.rule.least}"
        return "ok", text


@dataclass(frozen=True)
class BalanceRule(Rule):
    """As many records of ``left`` as of ``right``, for every value of the field ``by`` when it is given."""

    left: tuple[Selector, ...]
    right: tuple[Selector, ...]
    by: str
    least: int

    def selectors(self) -> list[Selector]:
        return [*self.left, *self.right]

    def begin(self) -> Tally:
        return _BalanceTally(self)


@dataclass
class _BalanceTally(Tally):
    rule: BalanceRule
    left: Counter[Value] = field(default_factory=Counter)
    right: Counter[Value] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def see(self, record: Record, selector: Selector) -> None:
        side = self.left if any(selector is one for one in self.rule.left) else self.right
        side[record.fields.get(self.rule.by) if self.rule.by else 0] += 1
        self.kinds[selector.words()] += 1

    def _seen(self, selectors: tuple[Selector, ...]) -> str:
        """What was counted on one side; of what was never seen only the first."""
        names = [selector.words() for selector in selectors]
        seen = [name for name in names if self.kinds[name]] or names[:1]
        return " + ".join(f"{self.kinds[name]} × {name}" for name in seen)

    def finish(self) -> tuple[str, str]:
        rule = self.rule
        text = f"{self._seen(rule.left)}, {self._seen(rule.right)}"
        uneven = [key for key in {**self.left, **self.right} if self.left[key] != self.right[key]]
        if uneven:
            detail = (
                "; ".join(
                    f"{rule.by} {_hex(key)}: {self.left[key]} and {self.right[key]}" for key in uneven[:MAX_NAMED]
                )
                if rule.by
                else "they must be equal"
            )
            return "fail", f"{text}; {detail}"
        if self.left.total() < rule.least:
            return "fail", f"{text}; expected at least {rule.least} of each"
        return "ok", text + (f", equal for each of {len(self.left)} values of '{rule.by}'" if rule.by else "")


def _either(selectors: tuple[Selector, ...]) -> str:
    return " or ".join(selector.words() for selector in selectors)


def _hex(value: Value) -> str:
    return f"{value:x}" if isinstance(value, int) else str(value)
