# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol that functions.yml chooses for a function on one kernel, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.functions import load_functions
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import Extra, FunctionDb, Payload, PayloadError
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.render import plan
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.replacement import passed
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.resolve import (
    needed,
    resolve,
    resolve_all,
)
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.data_texts import load_payload, parse_payload

DATA = paths.data()

# What four kernels export of the functions that the shipped payloads name.
SEMAPHORES = {"down", "down_interruptible", "down_killable", "down_trylock", "down_timeout", "up"}
OLD = {"__kmalloc", "kfree", "kmem_cache_alloc", "kmem_cache_free", "_copy_from_user", "_copy_to_user"} | SEMAPHORES
NEW = (OLD - {"__kmalloc", "kmem_cache_alloc"}) | {"__kmalloc_noprof", "kmem_cache_alloc_noprof"}
FIRST = (OLD - {"_copy_from_user", "_copy_to_user"}) | {"copy_from_user", "copy_to_user"}


def shipped() -> FunctionDb:
    return load_functions(os.path.join(DATA, "functions.yml"))


def db(tmp_path: Path, text: str) -> FunctionDb:
    path = tmp_path / "functions.yml"
    path.write_text(text, encoding="utf-8")
    return load_functions(str(path))


def payload(*functions: str, arguments: str = "", name: str = "pay") -> Payload:
    groups = "".join(
        f"[group]\nfunction.name = {function}\nreturnsVoid = yes\n{arguments}trace.formatString = x\n"
        for function in functions
    )
    text = f"module.name = {name}\nmodule.author = A\nmodule.license = GPL\n{groups}"
    return parse_payload(text.encode(), f"{name}.data")


def symbols(file: str, exports: set[str], config: frozenset[str] = frozenset()) -> dict[str, str]:
    found = resolve(load_payload(os.path.join(DATA, file)), shipped(), exports, config, "1.0")
    return {one.function.name: one.symbol for one in found.functions}


@pytest.mark.parametrize(
    ("exports", "expected"),
    [(OLD, ("__kmalloc", "kmem_cache_alloc")), (NEW, ("__kmalloc_noprof", "kmem_cache_alloc_noprof"))],
)
def test_allocators_follow_what_the_kernel_exports(exports: set[str], expected: tuple[str, str]) -> None:
    found = symbols("my_payload1.data", exports)
    assert (found["__kmalloc"], found["kmem_cache_alloc"]) == expected
    assert (found["kfree"], found["kmem_cache_free"]) == ("kfree", "kmem_cache_free")


@pytest.mark.parametrize(("exports", "prefix"), [(OLD, "_"), (FIRST, "")])
def test_copies_follow_what_the_kernel_exports(exports: set[str], prefix: str) -> None:
    assert symbols("my_payload2.data", exports) == {name: prefix + name for name in ("copy_from_user", "copy_to_user")}


def test_a_function_that_is_not_listed_stands_for_itself() -> None:
    assert symbols("my_payload3.data", NEW) == {name: name for name in SEMAPHORES}
    assert needed([payload("never_heard_of")], {}) == ({"never_heard_of"}, set())


def test_every_symbol_and_option_that_must_be_looked_up_is_known() -> None:
    payloads = [payload("__kmalloc"), payload("down", name="other")]
    symbols, options = needed(payloads, shipped())
    assert symbols == {"__kmalloc", "__kmalloc_noprof", "down"}
    assert options == {"CONFIG_KMALLOC_PARTITION_CACHES"}


NODE = """
alloc:
  - symbol: alloc_noprof
    config: [CONFIG_A, CONFIG_B]
    arguments: [1, "struct a *extra", 2]
  - symbol: alloc_noprof
  - symbol: alloc
"""


@pytest.mark.parametrize(
    ("exports", "config", "symbol", "extra"),
    [
        ({"alloc_noprof", "alloc"}, {"CONFIG_A", "CONFIG_B"}, "alloc_noprof", True),
        ({"alloc_noprof", "alloc"}, {"CONFIG_A"}, "alloc_noprof", False),
        ({"alloc"}, {"CONFIG_A", "CONFIG_B"}, "alloc", False),
    ],
)
def test_the_first_candidate_whose_options_are_on_wins(
    tmp_path: Path, exports: set[str], config: set[str], symbol: str, extra: bool
) -> None:
    two = "arg.type = int\narg.name = a\narg.type = int\narg.name = b\n"
    (one,) = resolve(payload("alloc", arguments=two), db(tmp_path, NODE), exports, config, "1.0").functions
    assert one.symbol == symbol
    assert any(isinstance(argument, Extra) for argument in one.candidate.arguments or ()) is extra


def test_an_argument_has_the_type_that_the_symbol_gives_it(tmp_path: Path) -> None:
    two = "arg.type = int\narg.name = a\narg.type = unsigned long\narg.name = n\n"
    typed = "alloc:\n  - symbol: alloc_noprof\n    types: {2: kedr_copy_size_t}\n    arguments: [int extra, 2, 1]\n"
    (one,) = resolve(payload("alloc", arguments=two), db(tmp_path, typed), {"alloc_noprof"}, set(), "1.0").functions
    assert passed(one) == [("int", "kedr_extra"), ("kedr_copy_size_t", "n"), ("int", "a")]


def test_what_cannot_be_resolved_names_function_kernel_and_names_tried(tmp_path: Path) -> None:
    with pytest.raises(PayloadError) as caught:
        resolve(payload("kfree", "alloc"), db(tmp_path, NODE), {"kfree"}, set(), "6.12.9-x")
    assert str(caught.value) == (
        "pay.data:9: function 'alloc': kernel 6.12.9-x exports none of alloc_noprof, alloc; add the kernel's name for "
        "it to functions.yml or write 'function.optional = yes'"
    )


def test_an_optional_function_that_cannot_be_resolved_is_listed(tmp_path: Path) -> None:
    text = payload("kfree", "gone", arguments="function.optional = yes\n")
    found = resolve(text, {}, {"kfree"}, set(), "1.0")
    assert plan(found, str(tmp_path)) == {
        "module": "pay",
        "events": [
            {"event": "called_kfree", "function": "kfree", "symbol": "kfree", "moment": "after", "strings": []}
        ],
        "unresolved": [{"function": "gone", "tried": ["gone"]}],
    }


def test_a_payload_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(PayloadError, match="exports none of the payload's functions"):
        resolve(payload("gone", arguments="function.optional = yes\n"), {}, set(), set(), "1.0")


def test_two_functions_for_one_symbol_are_refused_with_both_places() -> None:
    with pytest.raises(PayloadError) as caught:
        resolve(payload("copy_from_user", "_copy_from_user"), shipped(), OLD, set(), "1.0")
    assert str(caught.value) == (
        "pay.data:9: function '_copy_from_user' is _copy_from_user on kernel 1.0, and so is 'copy_from_user' "
        "(pay.data:5); a symbol is replaced once, remove one"
    )


def test_two_payloads_for_one_symbol_are_refused_with_both_places() -> None:
    one, two = payload("copy_from_user"), payload("_copy_from_user", name="two")
    assert [each.payload for each in resolve_all([one], shipped(), OLD, set(), "1.0")] == [one]
    with pytest.raises(PayloadError, match=r"two\.data:5: .* \(pay\.data:5\)"):
        resolve_all([one, two], shipped(), OLD, set(), "1.0")


@pytest.mark.parametrize("symbol", ["__put_user_4", "__SCT__might_resched"])
def test_a_symbol_that_cannot_be_replaced_is_refused_under_any_name(tmp_path: Path, symbol: str) -> None:
    table = db(tmp_path, f"put:\n  - symbol: {symbol}\n")
    with pytest.raises(PayloadError, match=f"pay.data:5: function 'put' is {symbol} here, which cannot be replaced"):
        resolve(payload("put"), table, {symbol}, set(), "1.0")


def test_a_symbol_that_never_returns_is_recorded_before_the_call_only(tmp_path: Path) -> None:
    table = db(tmp_path, "leave:\n  - symbol: kthread_exit\n")
    with pytest.raises(PayloadError, match=r"'kthread_exit' never returns.* write 'record = before'"):
        resolve(payload("leave"), table, {"kthread_exit"}, set(), "1.0")
    early = payload("leave", arguments="record = before\n")
    assert resolve(early, table, {"kthread_exit"}, set(), "1.0").functions[0].symbol == "kthread_exit"


def test_a_wrong_number_of_arguments_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        PayloadError, match=r"pay\.data:5: function 'alloc' has 0 arguments here; functions\.yml passes 2"
    ):
        resolve(payload("alloc"), db(tmp_path, NODE), {"alloc_noprof"}, {"CONFIG_A", "CONFIG_B"}, "1.0")
