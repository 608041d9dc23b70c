# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of special functions: that it is in order, and what it says of well-known names."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.payload import special
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.data_texts import load_payload

ROOT = Path(paths.ROOT)
TABLE = tomllib.loads((ROOT / "data" / "special.toml").read_text(encoding="utf-8"))
SHIPPED = [
    (path.stem, function)
    for path in sorted((ROOT / "data").rglob("*.data"))
    for function in load_payload(str(path)).functions
]


def test_every_name_is_there_once_and_none_is_denied_and_never_returns() -> None:
    names = TABLE["noreturn"]["names"]
    patterns = [one for entry in TABLE["denied"] for one in entry["patterns"]]
    assert names == sorted(set(names))
    assert len(patterns) == len(set(patterns))
    assert [name for name in names if special.denied(name)] == []


@pytest.mark.parametrize("entry", TABLE["denied"], ids=lambda entry: entry["patterns"][0])
def test_each_reason_is_a_sentence_that_a_message_can_end_with(entry: dict[str, object]) -> None:
    assert set(entry) == {"reason", "patterns"}
    assert str(entry["reason"]).startswith(("it is ", "it takes ", "its callers ", "the "))
    assert not str(entry["reason"]).endswith(".")


@pytest.mark.parametrize(("module", "function"), SHIPPED, ids=lambda one: getattr(one, "name", one))
def test_shipped_descriptions_record_what_gives_something_away_before_the_call(module: str, function) -> None:
    assert function.moment == ("before" if special.gives_away(function.name) else "after"), module
    assert not special.denied(function.name)
    assert not special.never_returns(function.name)


@pytest.mark.parametrize(
    "name",
    "__get_user_pages_fast __put_user_ns __x86_set_memory_region copy_from_user _copy_to_user memcpy memset kmalloc "
    "csum_partial copy_page clear_page_dirty_for_io preempt_schedule __static_call_update".split(),
)
def test_ordinary_functions_with_such_names_can_be_replaced(name: str) -> None:
    assert special.denied(name) == ""
