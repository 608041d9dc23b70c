# SPDX-License-Identifier: GPL-3.0-or-later
"""functions.yml: what it may hold, and the symbol that it chooses on one kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.functions import Extra
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.render import passed
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.sources import (
    FunctionDb,
    Payload,
    PayloadError,
    candidate_config,
    candidate_symbols,
    check_resolved_together,
    load_functions,
    load_payload,
    parse_payload,
    plan,
    resolve,
)

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


def refused(tmp_path: Path, text: str) -> str:
    """The one complaint about a functions.yml, without its path."""
    with pytest.raises(InputError) as caught:
        db(tmp_path, text)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{tmp_path}/functions.yml:")
    return f"{problem.line}: {problem.text}"


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
    assert candidate_symbols([payload("never_heard_of")], {}) == {"never_heard_of"}


def test_every_symbol_and_option_that_must_be_looked_up_is_known() -> None:
    payloads = [payload("__kmalloc"), payload("down", name="other")]
    assert candidate_symbols(payloads, shipped()) == {"__kmalloc", "__kmalloc_noprof", "down"}
    assert candidate_config(payloads, shipped()) == {"CONFIG_KMALLOC_PARTITION_CACHES"}


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


@pytest.mark.parametrize(
    ("types", "reason"),
    [
        ("[1]", "types must map numbers of the function's arguments to C types"),
        ("{}", "types must map numbers of the function's arguments to C types"),
        ("{0: int}", "types must map numbers of the function's arguments to C types"),
        ("{true: int}", "types must map numbers of the function's arguments to C types"),
        ("{1: 'int)'}", "type 'int)': "),
    ],
)
def test_wrong_types_of_arguments_are_told(tmp_path: Path, types: str, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        db(tmp_path, f"alloc:\n  - symbol: alloc\n    types: {types}\n")
    assert f"functions.yml:3: {reason}" in str(caught.value)


def test_what_cannot_be_resolved_names_function_kernel_and_names_tried(tmp_path: Path) -> None:
    with pytest.raises(PayloadError) as caught:
        resolve(payload("kfree", "alloc"), db(tmp_path, NODE), {"kfree"}, set(), "6.12.9-x")
    assert str(caught.value) == (
        "pay.data:9: function 'alloc': kernel 6.12.9-x exports none of alloc_noprof, alloc; add the kernel's name for "
        "it to functions.yml or write 'function.optional = yes'"
    )


def test_an_optional_function_that_cannot_be_resolved_is_listed() -> None:
    text = payload("kfree", "gone", arguments="function.optional = yes\n")
    found = resolve(text, {}, {"kfree"}, set(), "1.0")
    assert plan(found, ours=False) == {
        "module": "pay",
        "events": [
            {"event": "called_kfree", "function": "kfree", "symbol": "kfree", "moment": "after", "strings": []}
        ],
        "unresolved": [{"function": "gone", "tried": ["gone"]}],
    }


def test_the_plan_says_when_calls_are_recorded_and_which_values_are_texts() -> None:
    lines = "".join(f"{kind}.type = char *\n{kind}.name = s\n" for kind in ("arg", "trace.param"))
    module = "module.name = pay\nmodule.author = A\nmodule.license = GPL\n"
    group = f"[group]\nfunction.name = put\nreturnsVoid = yes\nrecord = before\n{lines}trace.formatString = %.7s\n"
    found = parse_payload((module + group).encode(), "pay.data")
    (event,) = plan(resolve(found, {}, {"put"}, set(), "1.0"), ours=True)["events"]
    assert (event["moment"], event["strings"], event["replacement"]) == ("before", ["s"], "kedr_repl_put")


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
    one = resolve(payload("copy_from_user"), shipped(), OLD, set(), "1.0")
    two = resolve(payload("_copy_from_user", name="two"), shipped(), OLD, set(), "1.0")
    check_resolved_together([one])
    with pytest.raises(PayloadError, match=r"two\.data:5: .* \(pay\.data:5\)"):
        check_resolved_together([one, two])


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


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[a]", "1: a mapping of functions"),
        ("a b:\n  - symbol: x", "1: 'a b' cannot name a function"),
        ("a: x", "1: 'a' must be a list of candidates"),
        ("a: []", "1: 'a' must be a list of candidates"),
        ("a:\n  - x", "2: a candidate must have a key 'symbol'"),
        ("a:\n  - config: [CONFIG_X]", "2: a candidate must have a key 'symbol'"),
        ("a:\n  - symbol: 'x;y'", "2: symbol 'x;y' cannot name a function"),
        ("a:\n  - symbol: x\n    simbol: y", "3: unknown key 'simbol' of a candidate; allowed are symbol, config"),
        ("a:\n  - symbol: x\n    config: CONFIG_X", "3: config must be a list of options"),
        ("a:\n  - symbol: x\n    config: [x]", "3: config must be a list of options"),
        ("a:\n  - symbol: x\n    arguments: 1", "3: arguments must be a list"),
        ("a:\n  - symbol: x\n    arguments: [1, 1]", "3: arguments must hold each number"),
        ("a:\n  - symbol: x\n    arguments: [2]", "3: arguments must hold each number"),
        ("a:\n  - symbol: x\n    arguments:\n      - 'int x; int y'", "4: argument 'int x; int y': ';' cannot"),
        ("a:\n  - symbol: x\na:\n  - symbol: y", "3: 'a' is given twice"),
        ("a: [", "1: is not valid YAML"),
    ],
)
def test_a_mistake_in_functions_yml_is_named_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    assert refused(tmp_path, text).startswith(complaint)


def test_a_missing_functions_yml_is_named() -> None:
    with pytest.raises(InputError, match=r"no/functions\.yml: cannot be read: No such file"):
        load_functions("no/functions.yml")
