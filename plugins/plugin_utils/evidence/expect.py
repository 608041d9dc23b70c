# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run must show: data/expect/*.yml, read strictly."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..base import paths
from ..base.datafile import Node, load
from .rules import BalanceRule, Condition, CountRule, PairRule, Rule, Selector


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
        path, keys["target"].value, tuple(node.value for node in keys["modules_gone"].value), tuple(rules),
        _taint(keys["taint"]), tuple(node.value for node in checks),
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
        keys["name"].text(), keys["means"].text(), node, _selectors(keys["first"], True),
        _selectors(keys["then"], True), keys["at_least"].value,
    )


def _balance(node: Node) -> BalanceRule:
    keys = node.mapping(
        {"name": "text", "means": "text", "as_many": "one or many", "as": "one or many", "at_least": "count"},
        {"for_each": "name"},
    )
    by = keys["for_each"].value if "for_each" in keys else ""
    return BalanceRule(
        keys["name"].text(), keys["means"].text(), node, _selectors(keys["as_many"], False, by),
        _selectors(keys["as"], False, by), by, keys["at_least"].value,
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
        raise node.error(f"'{value}' is not a taint flag; a power of two is expected")
