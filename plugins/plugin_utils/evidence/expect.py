# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run must show: data/expect/*.yml read strictly, and the rules that records are held to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..base import paths
from ..base.datafile import Node, load
from ..trace.text import Record, Value

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

    def begin(self) -> Check:
        """A fresh check of this rule."""
        raise NotImplementedError


class Check:
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

    def begin(self) -> Check:
        return _CountCheck(self)

    def bound(self) -> str:
        """``exactly 1``, ``at least 1``…"""
        if self.most == self.least:
            return f"exactly {self.least}"
        if self.most is None:
            return f"at least {self.least}"
        return f"at most {self.most}" if not self.least else f"from {self.least} to {self.most}"


@dataclass
class _CountCheck(Check):
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

    def begin(self) -> Check:
        return _PairCheck(self)


@dataclass
class _PairCheck(Check):
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

    def begin(self) -> Check:
        return _BalanceCheck(self)


@dataclass
class _BalanceCheck(Check):
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


@dataclass(frozen=True)
class Taint:
    """``may_add``: {bit value: meaning} of flags that a run may set; ``must_show``: set at the end."""

    means: str
    may_add: dict[int, str]
    must_show: tuple[int, ...]


@dataclass(frozen=True)
class Expect:
    """The whole file.

    ``gone``: modules that must be unloaded, besides every payload of the run.  ``checks``: names of the exercise's
    checks that must appear and be ok.
    """

    path: str
    target: str
    gone: tuple[str, ...]
    rules: tuple[Rule, ...]
    taint: Taint
    checks: tuple[str, ...] = ()


# -- reading -----------------------------------------------------------------------------------------


def default_expect(target: str) -> str:
    """The file of this collection that says what a run with ``target`` must show; it need not be there."""
    return paths.data("expect", f"{target.replace('-', '_')}.yml")


def load_expect(path: str) -> Expect:
    """Read an expectation file.  Raises InputError with file:line of a mistake."""
    root = load(path)
    keys = root.mapping(
        {"target": "name", "modules_gone": "list", "checks": "list", "taint": "mapping", "counts": "list"},
        {"pairs": "list", "balances": "list"},
    )
    checks = keys["checks"].value
    for node in checks:
        node.check("word", "a check in 'checks'")
    if not checks:
        raise keys["checks"].error("no check at all; name those that the exercise must print as 'check NAME ok'")
    for node in keys["modules_gone"].value:
        node.check("name", "a module in 'modules_gone'")
    rules: list[Rule] = [_count(node) for node in keys["counts"].value]
    rules += [_pair(node) for node in (keys["pairs"].value if "pairs" in keys else [])]
    rules += [_balance(node) for node in (keys["balances"].value if "balances" in keys else [])]
    if not rules:
        raise keys["counts"].error("no rule at all; at least one is needed, or nothing is judged")
    names: set[str] = set()
    for rule in rules:
        if rule.name in names:
            raise rule.place.error(f"a rule named '{rule.name}' stands above; every name is given once")
        names.add(rule.name)
    return Expect(
        path,
        keys["target"].value,
        tuple(node.value for node in keys["modules_gone"].value),
        tuple(rules),
        _taint(keys["taint"]),
        tuple(node.value for node in checks),
    )


def _count(node: Node) -> CountRule:
    bounds = {"exactly": "count", "at_least": "count", "at_most": "count"}
    keys = node.mapping({"name": "text", "means": "text", "event": "name"}, {"where": "mapping", **bounds})
    given = {key: keys[key].value for key in bounds if key in keys}
    if not given or ("exactly" in given and len(given) > 1):
        raise node.error("how many records? Give 'exactly', 'at_least', 'at_most' or the last two")
    least = given.get("exactly", given.get("at_least", 0))
    most = given.get("exactly", given.get("at_most"))
    if most is not None and most < least:
        raise node.error(f"'at_least' {least} is more than 'at_most' {most}")
    return CountRule(keys["name"].text(), keys["means"].text(), node, _selector(keys, "", node), least, most)


def _pair(node: Node) -> PairRule:
    keys = node.mapping(
        {"name": "text", "means": "text", "first": "one or many", "then": "one or many", "at_least": "count"}
    )
    return PairRule(
        keys["name"].text(),
        keys["means"].text(),
        node,
        _selectors(keys["first"], True),
        _selectors(keys["then"], True),
        keys["at_least"].value,
    )


def _balance(node: Node) -> BalanceRule:
    keys = node.mapping(
        {"name": "text", "means": "text", "as_many": "one or many", "as": "one or many", "at_least": "count"},
        {"for_each": "name"},
    )
    by = keys["for_each"].value if "for_each" in keys else ""
    return BalanceRule(
        keys["name"].text(),
        keys["means"].text(),
        node,
        _selectors(keys["as_many"], False, by),
        _selectors(keys["as"], False, by),
        by,
        keys["at_least"].value,
    )


def _selectors(node: Node, with_value: bool, by: str = "") -> tuple[Selector, ...]:
    found = []
    for item in node.items():
        required = {"event": "name", "value": "name"} if with_value else {"event": "name"}
        keys = item.mapping(required, {"where": "mapping"})
        found.append(_selector(keys, keys["value"].value if with_value else by, item))
    return tuple(found)


def _selector(keys: dict[str, Node], value: str, place: Node) -> Selector:
    where = keys["where"].value if "where" in keys else {}
    return Selector(keys["event"].value, tuple(_test(name, node) for name, node in where.items()), value, place)


_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "not": ("≠", lambda value, bound: value != bound),
    "at_least": ("≥", lambda value, bound: value >= bound),
    "at_most": ("≤", lambda value, bound: value <= bound),
}


def _test(name: Any, node: Node) -> Condition:
    Node(name, node.path, node.line).check("name", "a field in 'where'")
    if not isinstance(node.value, dict):
        if not isinstance(node.value, (int, str)) or isinstance(node.value, bool):
            raise node.error(f"'{name}' must be a number, a text, or a mapping of {', '.join(_BOUNDS)}")
        wanted = node.value
        kind = "text" if isinstance(wanted, str) else "number"
        return Condition(name, f"{name} = {wanted}", kind, lambda value: value == wanted)
    bounds = node.mapping({}, dict.fromkeys(_BOUNDS, "int"))
    if not bounds:
        raise node.error(f"'{name}' has no condition; give one of {', '.join(_BOUNDS)}")
    tests = [(_BOUNDS[key][1], bound.value) for key, bound in bounds.items()]
    words = ", ".join(f"{name} {_BOUNDS[key][0]} {bound.value}" for key, bound in bounds.items())
    return Condition(
        name, words, "number", lambda value: isinstance(value, int) and all(test(value, bound) for test, bound in tests)
    )


def _taint(node: Node) -> Taint:
    keys = node.mapping({"means": "text", "may_add": "mapping", "must_show": "list"})
    for bit, meaning in keys["may_add"].value.items():
        _bit(Node(bit, node.path, meaning.line))
        meaning.check("text", "the meaning of a taint flag")
    for item in keys["must_show"].value:
        _bit(item)
    return Taint(
        keys["means"].text(),
        {bit: text.text() for bit, text in keys["may_add"].value.items()},
        tuple(item.value for item in keys["must_show"].value),
    )


def _bit(node: Node) -> None:
    value = node.value
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0 or value & (value - 1):
        raise node.error(f"'{value}' is no taint flag; a power of two is expected")


def _either(selectors: tuple[Selector, ...]) -> str:
    return " or ".join(selector.words() for selector in selectors)


def _hex(value: Value) -> str:
    return f"{value:x}" if isinstance(value, int) else str(value)
