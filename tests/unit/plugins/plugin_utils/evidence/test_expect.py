# SPDX-License-Identifier: GPL-3.0-or-later
"""Expectations are read strictly, and rules are held against records as the file says."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import expect
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.rules import Rule
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.formats import Value
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import Record
from hypothesis import given
from hypothesis import strategies as st

ROOT = pathlib.Path(paths.ROOT)
SAMPLE = ROOT / "data" / "expect" / "cp_target.yml"

GOOD = """target: t
modules_gone: [t]
counts:
  - name: some
    means: Something is called.
    event: called_a
    where: {x: 1, y: {at_least: 2, at_most: 5}, z: {not: 0}}
    at_least: 1
    at_most: 2
pairs:
  - name: freed
    means: All goes back.
    first: {event: called_a, value: p}
    then: [{event: called_f, value: p}, {event: called_g, value: q}]
    at_least: 1
balances:
  - name: even
    means: Both as often.
    as_many: {event: called_u}
    as: [{event: called_d, where: {r: 0}}, {event: called_e}]
    for_each: s
    at_least: 1
taint:
  means: As usual.
  may_add: {4096: outside}
  must_show: [4096]
checks: [done]
"""


def load(tmp_path: pathlib.Path, text: str) -> expect.Expect:
    path = tmp_path / "expect.yml"
    path.write_text(text)
    return expect.load_expect(str(path))


def answer(rule: Rule, records: Sequence[tuple[str, Mapping[str, Value]]]) -> tuple[str, str]:
    check = rule.begin()
    for number, (event, fields) in enumerate(records, 1):
        for selector in rule.selectors():
            record = Record(number, "c", 1, 0, "", number, "s", event, dict(fields))
            if selector.event == event:
                takes = selector.takes(record)
                if takes is None:
                    check.unknown += 1
                elif takes:
                    check.see(record, selector)
    return check.answer()


def test_the_sample_is_read_and_every_rule_says_what_it_means() -> None:
    sample = expect.load_expect(str(SAMPLE))
    assert sample.target == "cp_target"
    assert len(sample.rules) == 11
    assert sample.checks[:2] == ("write", "read")
    assert all(rule.means.endswith(".") for rule in sample.rules)
    assert sum(sample.taint.may_add) == 12288


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("target: t\n", "", "expect.yml:1: 'target' is missing"),
        ("target: t", "target: 3", "expect.yml:1: 'target' must be a name"),
        ("target: t", "target: a b", "expect.yml:1: 'target' must be a name"),
        ("target: t", "taget: t", "expect.yml:1: unknown key 'taget'; allowed are: target,"),
        ("modules_gone: [t]", "modules_gone: t", "expect.yml:2: 'modules_gone' must be a list"),
        ("modules_gone: [t]", "modules_gone: [a-b]", "expect.yml:2: a module in 'modules_gone' must be"),
        ("    event: called_a\n", "", "expect.yml:4: 'event' is missing"),
        ("    event: called_a\n", "    evnt: called_a\n", "expect.yml:6: unknown key 'evnt'"),
        ("    means: Something is called.\n", "    means: ''\n", "expect.yml:5: 'means' must be a text"),
        ("at_least: 1\n    at_most: 2", "exactly: 1\n    at_most: 2", "expect.yml:4: how many"),
        ("    at_least: 1\n    at_most: 2\n", "", "expect.yml:4: how many"),
        ("at_least: 1\n    at_most: 2", "at_least: 3\n    at_most: 2", "'at_least' 3 is more than 'at_most' 2"),
        ("at_least: 1\n    at_most: 2", "at_least: -1", "expect.yml:8: 'at_least' must be a whole number, 0"),
        ("at_least: 1\n    at_most: 2", "at_least: true", "expect.yml:8: 'at_least' must be a whole number, 0"),
        ("at_least: 2,", "atleast: 2,", "expect.yml:7: unknown key 'atleast'; allowed are: not, at_least"),
        ("{not: 0}", "{}", "expect.yml:7: 'z' has no condition"),
        ("x: 1", "x: [1]", "expect.yml:7: 'x' must be a number"),
        ("x: 1", "x: yes", "expect.yml:7: 'x' must be a number"),
        ("x: 1", "x-y: 1", "expect.yml:7: a field in 'where' must be a name"),
        ("x: 1", "x: 1, x: 2", "expect.yml:7: 'x' is given twice"),
        (", value: p}\n    then", "}\n    then", "expect.yml:13: 'value' is missing"),
        ("{event: called_u}", "{event: called_u, value: p}", "expect.yml:19: unknown key 'value'"),
        ("{event: called_u}", "[]", "expect.yml:19: 'as_many' must be a mapping or a list"),
        ("name: even", "name: some", "a rule named 'some' stands above"),
        ("4096: outside", "4097: outside", "expect.yml:25: '4097' is not a taint flag"),
        ("4096: outside", "4096: ''", "expect.yml:25: the meaning of a taint flag must be a text"),
        ("must_show: [4096]", "must_show: [x]", "expect.yml:26: 'x' is not a taint flag"),
        ("target: t\n", "target: t\n\ttab\n", "expect.yml:2: is not valid YAML"),
    ],
)
def test_a_mistake_is_named_by_file_and_line(tmp_path: pathlib.Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert said in str(caught.value)


def test_a_file_without_rules_is_refused(tmp_path: pathlib.Path) -> None:
    text = "target: t\nmodules_gone: [t]\nchecks: [c]\ncounts: []\ntaint: {means: m, may_add: {}, must_show: []}\n"
    with pytest.raises(InputError, match="no rule at all"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ("[]", "no check at all; name those that the exercise must print"),
        ("[two words]", "a check in 'checks' must be a word without blanks"),
        ("[3]", "a check in 'checks' must be a word without blanks"),
        ("done", "'checks' must be a list"),
    ],
)
def test_the_checks_that_an_exercise_must_make_are_named(tmp_path: pathlib.Path, checks: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load(tmp_path, GOOD.replace("checks: [done]", f"checks: {checks}"))
    assert "expect.yml:27: " in str(caught.value)


@pytest.mark.parametrize("name", ["none.yml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: pathlib.Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        expect.load_expect(str(tmp_path / name))


def test_bytes_that_are_no_text_are_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "expect.yml").write_bytes(b"target: \xff\n")
    with pytest.raises(InputError, match="is not UTF-8"):
        expect.load_expect(str(tmp_path / "expect.yml"))


@pytest.mark.parametrize(("number", "outcome"), [(0, "fail"), (1, "ok"), (2, "ok"), (3, "fail")])
def test_a_count_has_both_bounds(tmp_path: pathlib.Path, number: int, outcome: str) -> None:
    rule = load(tmp_path, GOOD).rules[0]
    fitting = ("called_a", {"x": 1, "y": 3, "z": 7})
    others = [
        ("called_a", {"x": 1, "y": 6, "z": 7}),
        ("called_a", {"x": 1, "y": 3, "z": 0}),
        ("called_a", {"x": 2, "y": 3, "z": 7}),
        ("called_b", {"x": 1, "y": 3, "z": 7}),
    ]
    found, text = answer(rule, [fitting] * number + others)
    assert (found, text.split(" ")[0]) == (outcome, str(number))


@pytest.mark.parametrize("value", [None, "text"])
def test_a_value_that_is_no_number_meets_no_bound(tmp_path: pathlib.Path, value: Value) -> None:
    outcome, _text = answer(load(tmp_path, GOOD).rules[0], [("called_a", {"x": 1, "y": value, "z": 7})])
    assert outcome == ("missing" if value is None else "fail")


def a(value: int) -> tuple[str, dict[str, Value]]:
    return "called_a", {"p": value}


def f(value: int) -> tuple[str, dict[str, Value]]:
    return "called_f", {"p": value}


@pytest.mark.parametrize(
    ("records", "outcome"),
    [
        ([], "fail"),
        ([a(1), f(1)], "ok"),
        ([a(1), ("called_g", {"q": 1})], "ok"),
        ([a(1), f(1), a(1), f(1)], "ok"),
        ([f(1), a(1)], "fail"),
        ([a(1), a(1), f(1)], "fail"),
        ([a(1), f(2)], "fail"),
        ([a(1), f(1), f(1), f(0)], "ok"),
    ],
)
def test_a_pair_needs_the_same_value_later(tmp_path: pathlib.Path, records: list, outcome: str) -> None:
    assert answer(load(tmp_path, GOOD).rules[1], records)[0] == outcome


@given(st.lists(st.integers(0, 3), max_size=30))
def test_a_pair_agrees_with_a_simple_count(tmp_path_factory: pytest.TempPathFactory, values: list[int]) -> None:
    rule = load(tmp_path_factory.mktemp("e"), GOOD).rules[1]
    records = [a(value) if index % 2 else f(value) for index, value in enumerate(values)]
    held: set[int] = set()
    good = any(index % 2 for index in range(len(values)))
    for index, value in enumerate(values):
        if index % 2:
            good = good and value not in held
            held.add(value)
        else:
            held.discard(value)
    assert answer(rule, records)[0] == ("ok" if good and not held else "fail")


def test_a_pair_names_the_lines_of_what_is_lost(tmp_path: pathlib.Path) -> None:
    _outcome, text = answer(load(tmp_path, GOOD).rules[1], [a(1), a(2), f(1)])
    assert "1 do not, recorded in trace.txt line 2" in text


def test_a_balance_is_held_for_each_value(tmp_path: pathlib.Path) -> None:
    rule = load(tmp_path, GOOD).rules[2]
    up, down, other = ("called_u", {"s": 1}), ("called_d", {"s": 1, "r": 0}), ("called_e", {"s": 2})
    assert answer(rule, [up, down])[0] == "ok"
    assert answer(rule, [up, down, ("called_d", {"s": 1, "r": -4})])[0] == "ok"
    assert answer(rule, [up, other])[0] == "fail"
    assert answer(rule, [up, up, down])[0] == "fail"
    assert answer(rule, [])[0] == "fail"
    assert answer(rule, [up, ("called_d", {"s": None, "r": 0})])[0] == "missing"
