# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of evaluation, held against a small model that follows them value by value.

The model works on templates made here, not on their text, and shares no code with the generator.
"""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from typing import NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils.mist.generate import generate
from ansible_collections.kedr.lab.plugins.plugin_utils.mist.template import MistError
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from .conftest import write_files

MULTI_VALUED = "Error: the main template is multi-valued, which is not allowed here"


class Value(NamedTuple):
    """`<$name$>` or `<$name : join(separator)$>`."""

    name: str
    separator: str | None


class Choice(NamedTuple):
    """`<$if name$>yes<$else$>no<$endif$>`, or `if concat(name)`."""

    name: str
    whole: bool
    yes: Template
    no: Template


Template = list["str | Value | Choice"]
Lists = dict[str, list[str]]


class UndefinedError(Exception):
    """A condition on a template that is being evaluated: the rules say nothing about it."""


class Model:
    """One evaluation of a set of templates."""

    def __init__(self, templates: dict[str, Template], values: Lists) -> None:
        self.templates = templates
        self.values = values
        self.results: Lists = {}
        self.evaluations: list[str] = []

    def named(self, name: str) -> list[str]:
        """The list that a name stands for."""
        if name not in self.templates:
            return self.values.get(name) or [""]
        if name not in self.results:
            self.evaluations.append(name)
            self.results[name] = []
            self.results[name] = self.template(self.templates[name])
        return self.results[name]

    def template(self, items: Template) -> list[str]:
        """Zip the items' lists; a shorter list repeats its last value."""
        columns: list[list[str]] = []
        height = 1
        for item in items:
            if isinstance(item, str):
                columns.append([item])
                continue
            column = self.choice(item) if isinstance(item, Choice) else self.named(item.name)
            if isinstance(item, Value) and item.separator is not None:
                columns.append([item.separator.join(column)])
                continue
            columns.append(column)
            height = max(height, len(column))
        return ["".join(at(column, row) for column in columns) for row in range(height)]

    def choice(self, item: Choice) -> list[str]:
        """Each value of the condition chooses the branch for its position."""
        tests = self.named(item.name)
        if item.whole:
            return self.template(item.yes if any(tests) else item.no)
        if not tests:
            raise UndefinedError
        branches: dict[bool, list[str]] = {}
        for test in tests:
            if bool(test) not in branches:
                branches[bool(test)] = self.template(item.yes if test else item.no)
        height = max(len(tests), *map(len, branches.values()))
        return [at(branches[bool(at(tests, row))], row) for row in range(height)]


def at(column: list[str], row: int) -> str:
    """The value in a row; nothing at all for an empty list."""
    return column[min(row, len(column) - 1)] if column else ""


def spelled(items: Template) -> str:
    """A template as its author would write it."""
    text = ""
    for item in items:
        if isinstance(item, str):
            text += item
        elif isinstance(item, Value):
            text += f"<${item.name}" + ("" if item.separator is None else f" : join({item.separator})") + "$>"
        else:
            test = f"concat( {item.name} )" if item.whole else item.name
            text += f"<$if {test}$>{spelled(item.yes)}<$ else $>{spelled(item.no)}<$endif$>"
    return text


PARAMETERS = ["a", "b", "c d"]
TEMPLATES = ["t", "u", "v"]

names = st.sampled_from([*PARAMETERS, *PARAMETERS, *TEMPLATES, "undefined", "main"])
texts = st.sampled_from(["x", "-", " \n", "y" * 2000])
values = st.builds(Value, names, st.sampled_from([None, None, None, "", ", "]))
Items = st.SearchStrategy[str | Value | Choice]


def choices(inner: Items) -> Items:
    """Conditions whose branches hold the given items."""
    branch = st.lists(inner, max_size=3)
    return st.builds(Choice, names, st.booleans(), branch, branch)


items = st.lists(texts | values | choices(texts | values | choices(values)), min_size=1, max_size=4)


def template_set(main: str) -> st.SearchStrategy[dict[str, Template]]:
    """Random templates, and a main one that joins them in some order, or sometimes is random, too."""
    orders = st.permutations(TEMPLATES)
    joined: st.SearchStrategy[Template] = orders.map(lambda order: [Value(name, "/") for name in order])
    sets = st.fixed_dictionaries(
        {main: st.one_of(joined, joined, joined, items), **dict.fromkeys(TEMPLATES, items)}
    )
    return sets.map(lambda made: {name: renamed(made[name], main) for name in made})


def renamed(template: Template, main: str) -> Template:
    """The template with the main one's name in place of "main"."""
    found: Template = []
    for item in template:
        if isinstance(item, Choice):
            item = item._replace(yes=renamed(item.yes, main), no=renamed(item.no, main))
        if not isinstance(item, str) and item.name == "main":
            item = item._replace(name=main)
        found.append(item)
    return found


data_values = st.sampled_from(["", "1", "22", "a b", "z" * 1500])
groups = st.lists(
    st.fixed_dictionaries(dict.fromkeys(PARAMETERS, st.lists(data_values, max_size=4))),
    min_size=1,
    max_size=5,
)


def model_of_blocks(block_set: dict[str, Template], data: list[Lists]) -> str:
    """The blocks of the groups, one after the other, or the message of a failure."""
    blocks = []
    for values in data:
        block = Model(block_set, values).named("block")
        if len(block) != 1:
            return MULTI_VALUED
        blocks += block
    return "|".join(blocks)


def generated(document_set: dict[str, str], block_set: dict[str, str], data: str) -> str:
    """What the generator makes of it, or its message."""
    files = {f"document/{name}.tpl": text for name, text in document_set.items()}
    files |= {f"block/{name}.tpl": text for name, text in block_set.items()}
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), {name: text.encode() for name, text in files.items()})
        try:
            return generate(folder.encode(), data.encode()).decode()
        except MistError as error:
            return str(error)


def as_data(groups: list[Lists]) -> str:
    """The groups as a data file."""
    lines = []
    for group in groups:
        lines.append("[group]")
        for name, values in group.items():
            lines += [f"{name} = {value}" for value in values]
    return "\n".join(lines)


@settings(max_examples=400, deadline=None)
@given(template_set("block"), groups)
def test_blocks_follow_the_model(block_set: dict[str, Template], data: list[Lists]) -> None:
    try:
        expected = model_of_blocks(block_set, data)
    except UndefinedError:
        reject()
    spelled_set = {name: spelled(items) for name, items in block_set.items()}
    assert generated({"document": "<$block : join(|)$>"}, spelled_set, as_data(data)) == expected


@settings(max_examples=200, deadline=None)
@given(template_set("block"), groups.map(lambda data: data[:1]))
def test_groups_of_one_shape_are_filled_like_the_first(made: dict[str, Template], data: list[Lists]) -> None:
    """From the second group of a shape on, a layout is filled; its blocks are no different."""
    block_set = {**made, "block": [Value("number", None), *made["block"]]}
    try:
        numbered = [{"number": [str(number)], **data[0]} for number in range(6)]
        expected = model_of_blocks(block_set, numbered)
    except UndefinedError:
        reject()
    spelled_set = {name: spelled(items) for name, items in block_set.items()}
    assert generated({"document": "<$block : join(|)$>"}, spelled_set, as_data(numbered)) == expected


@settings(max_examples=200, deadline=None)
@given(template_set("document"), groups)
def test_document_sees_the_values_of_all_groups(document_set: dict[str, Template], data: list[Lists]) -> None:
    lists: Lists = {"block": []}
    for group in data:
        for name, values in group.items():
            lists.setdefault(name, []).extend(values)
        lists["block"] += [",".join(group["a"])]
    try:
        result = Model(document_set, lists).named("document")
    except UndefinedError:
        reject()
    expected = result[0] if len(result) == 1 else MULTI_VALUED
    spelled_set = {name: spelled(items) for name, items in document_set.items()}
    assert generated(spelled_set, {"block": "<$a : join(,)$>"}, as_data(data)) == expected


def test_model_evaluates_each_template_once() -> None:
    model = Model({"block": [Value("t", ""), Value("t", ""), Value("u", "")], "t": ["x"], "u": []}, {})
    model.named("block")
    assert model.evaluations == ["block", "t", "u"]


def test_each_template_is_evaluated_once() -> None:
    """Without a memory, sixty templates that each use the next one twice would never end."""
    twice = "<$if concat({0})$>+<$endif$><$if concat({0})$><$endif$>"
    block_set = {f"t{number}": twice.format(f"t{number + 1}") for number in range(60)}
    block_set |= {"block": "<$t0$>", "t60": "<$a$>"}
    assert generated({"document": "<$block$>"}, block_set, "[group]\na = 1") == "+"


def test_condition_on_a_template_tells_groups_of_one_shape_apart() -> None:
    block_set = {"block": "<$if s$>full<$else$>void<$endif$>", "s": "<$a$>"}
    groups: list[Lists] = [{"a": [value]} for value in ("1", "2", "", "3", "", "")]
    expected = "full,full,void,full,void,void"
    assert generated({"document": "<$block : join(,)$>"}, block_set, as_data(groups)) == expected


def test_first_value_of_a_condition_decides_which_branch_is_evaluated_first() -> None:
    document_set = {
        "document": "<$chosen : join(,)$>",
        "chosen": "<$if a$><$t$><$else$><$u$><$endif$>",
        "t": "t<$u$>",
        "u": "u<$t$>",
    }
    assert generated(document_set, {"block": ""}, "a =\na = 1") == "ut,t"
    assert generated(document_set, {"block": ""}, "a = 1\na =") == "tu,u"


def test_empty_value_beside_a_long_one_is_false() -> None:
    document_set = {
        "document": "<$chosen : join(,)$>",
        "chosen": "<$if both$>yes<$else$>no<$endif$>",
        "both": "<$a$><$b$>",
    }
    data = as_data([{"a": ["long" * 1000, "", ""], "b": ["", "", "x"]}])
    assert generated(document_set, {"block": ""}, data) == "yes,no,yes"


def test_generating_leaves_the_garbage_collector_alone() -> None:
    generated({"document": ""}, {"block": ""}, "")
    assert gc.isenabled()
