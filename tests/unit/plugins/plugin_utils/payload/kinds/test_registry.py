# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of payloads: what each must have, and that a new one needs its file, its templates and its name in the list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.kinds.registry import KINDS, kind_of
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import Code, Function, ResolvedFunction
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.read import GLOBALS, GROUP
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.render import TEMPLATES, plan, render
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.replacement import replacement
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.resolve import resolve
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.values import Values
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils import data_texts

COUNTED = data_texts.GLOBALS + "[group]\nfunction.name = kfree\nreturnsVoid = yes\ncount.step = 2\n"  # lines 1 to 7


class Counting:
    """A kind that counts calls, by a step that the data file gives."""

    PARAMETERS = {"count.step": False}  # noqa: RUF012
    FILES = ("payload.c",)

    def read(self, values: Values, function: Function, headers: tuple[Code, ...]) -> int:
        text = values.need("count.step", "1")
        if text and not text.value.isdigit():
            values.complain(text.line, f"count.step {text.value!r} is not a number; write for example '1'")
        return int(text.value) if text and text.value.isdigit() else 0

    def view(self, one: ResolvedFunction) -> dict[str, Any]:
        return {**replacement(one), "step": one.function.own}

    def plan(self, one: ResolvedFunction) -> dict[str, Any]:
        return {"step": one.function.own}


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "count", Counting())


def test_each_file_of_a_kind_has_a_template() -> None:
    for name, kind in KINDS.items():
        assert {f"{file}.j2" for file in kind.FILES} == {path.name for path in Path(TEMPLATES, name).iterdir()}
    assert sorted(KINDS) == sorted(path.name for path in Path(TEMPLATES).iterdir())


def test_no_parameter_has_two_meanings() -> None:
    names = [*GLOBALS, *GROUP, *(name for kind in KINDS.values() for name in kind.PARAMETERS)]
    assert len(names) == len(set(names))


def test_a_file_is_of_the_kind_whose_parameters_it_has_else_it_traces(counting: None) -> None:
    assert kind_of(["function.name", "trace.formatString"]) == "trace"
    assert kind_of(["function.name", "count.step"]) == "count"
    assert kind_of(["function.name"]) == kind_of([]) == "trace"
    assert data_texts.read(data_texts.GOOD).kind == "trace"


def test_a_new_kind_is_read_planned_and_rendered_by_its_own_templates(counting: None, tmp_path: Path) -> None:
    payload = data_texts.read(COUNTED)
    assert (payload.kind, payload.functions[0].own) == ("count", 2)
    (tmp_path / "count").mkdir()
    template = "{% for one in functions %}{{ one.head }} += {{ one.step }}{% endfor %}"
    (tmp_path / "count" / "payload.c.j2").write_text(template)
    resolved = resolve(payload, {}, {"kfree"}, set(), "1.0")
    assert render(resolved, str(tmp_path)) == {"payload.c": "void kedr_repl_kfree += 2"}
    assert plan(resolved, str(tmp_path))["events"] == [{"function": "kfree", "symbol": "kfree", "step": 2}]


def test_the_mistakes_that_a_new_kind_finds_are_told_with_the_others(counting: None) -> None:
    assert data_texts.complaints(COUNTED.replace("= 2", "= two").replace("GPL", "mine", 1)) == [
        "3: module.license 'mine' may not use the kernel's GPL-only functions; allowed are 'GPL', 'GPL v2', "
        "'GPL and additional rights', 'Dual BSD/GPL', 'Dual MIT/GPL', 'Dual MPL/GPL'",
        "7: count.step 'two' is not a number; write for example '1'",
    ]


def test_the_parameters_of_two_kinds_do_not_stand_in_one_file(counting: None) -> None:
    assert data_texts.only(data_texts.GOOD + "count.step = 1\n").startswith(
        "16: unknown parameter 'count.step' in a [group]; allowed here: arg.name, "
    )
