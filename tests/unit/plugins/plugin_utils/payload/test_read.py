# SPDX-License-Identifier: GPL-3.0-or-later
"""Payload descriptions: what is read from a good one, and every mistake of a bad one with its line."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.kinds import trace
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import PayloadError
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.data_texts import (
    GLOBALS,
    GOOD,
    GROUP,
    VOID,
    changed,
    complaints,
    load_payload,
    only,
    parse_payload,
    read,
)
from hypothesis import given
from hypothesis import strategies as st

DATA = paths.data()

# what is read


def test_a_good_description_is_read_whole() -> None:
    payload = read(GOOD)
    assert (payload.module, payload.author, payload.license) == ("my_pay", "Some Author", "GPL")
    assert payload.basename == "a.data"
    (function,) = payload.functions
    assert (function.name, function.line, trace.event(function)) == ("kstrdup", 5, "called_kstrdup")
    assert function.returns is not None
    assert function.returns.text == "char *"
    assert [(one.ctype.text, one.name, one.line) for one in function.arguments] == [
        ("const char *", "s", 8),
        ("gfp_t", "gfp", 10),
    ]
    assert [one.name for one in function.own.params] == ["gfp", "returnValue"]
    assert function.own.format == "kstrdup(%x): %p"
    assert [one.letter for one in function.own.conversions] == ["x", "p"]
    assert not function.optional


@pytest.mark.parametrize("path", sorted(glob.glob(os.path.join(DATA, "*.data"))))
def test_the_shipped_descriptions_have_no_mistake(path: str) -> None:
    payload = load_payload(path)
    assert payload.module == os.path.basename(path).removesuffix(".data")
    assert payload.functions


def test_a_dash_in_a_module_name_is_an_underscore() -> None:
    assert read(changed("my_pay", "my-pay")).module == "my_pay"


def test_types_may_stand_before_all_names() -> None:
    grouped = changed(
        "arg.type = const char *\narg.name = s\narg.type = gfp_t\narg.name = gfp\n",
        "arg.type = const char *\narg.type = gfp_t\narg.name = s\narg.name = gfp\n",
    )
    assert [(one.ctype.text, one.name) for one in read(grouped).functions[0].arguments] == [
        ("const char *", "s"),
        ("gfp_t", "gfp"),
    ]


def test_code_parts_know_their_first_line() -> None:
    payload = read(GOOD + "prologue =>>\n\n\tint a;\n\ta = 1;\n<<\nmiddleCode = a = 2;\nepilogue = a = 3;\n")
    function = payload.functions[0]
    assert function.prologue is not None
    assert function.middle is not None
    assert function.epilogue is not None
    assert (function.prologue.text, function.prologue.line) == ("\tint a;\n\ta = 1;", 18)
    assert (function.middle.text, function.middle.line) == ("a = 2;", 21)
    assert function.epilogue.line == 22


def test_headers_are_kept_in_order() -> None:
    payload = read("header = #include <a.h>\nheader = #include <b.h>\n" + GOOD)
    assert [code.text for code in payload.headers] == ["#include <a.h>", "#include <b.h>"]


def test_blank_code_parts_are_as_good_as_none() -> None:
    payload = read("header =\n" + GOOD + "prologue =\n")
    assert payload.headers == ()
    assert payload.functions[0].prologue is None


def test_carriage_returns_are_not_part_of_code() -> None:
    payload = read((GOOD + "prologue =>>\nint a;\nint b;\n<<\n").replace("\n", "\r\n"))
    assert payload.functions[0].prologue is not None
    assert payload.functions[0].prologue.text == "int a;\nint b;"


def test_a_function_may_be_optional() -> None:
    assert read(GOOD + "function.optional = yes\n").functions[0].optional
    assert not read(GOOD + "function.optional = no\n").functions[0].optional


def test_returns_void_no_is_as_good_as_none() -> None:
    assert read(GOOD + "returnsVoid = no\n") == read(GOOD)


def test_a_function_without_arguments_and_trace_parameters_is_accepted() -> None:
    function = read(GLOBALS + VOID).functions[0]
    assert (function.returns, function.arguments, function.own.params) == (None, (), ())


# mistakes in lines and names


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PayloadError, match="cannot be read: No such file"):
        load_payload(str(tmp_path / "none.data"))
    with pytest.raises(PayloadError, match="cannot be read: Is a directory"):
        load_payload(str(tmp_path))


def test_a_misspelt_parameter_of_a_group_is_named_with_its_neighbour_and_what_is_allowed() -> None:
    text = only(GOOD + "midleCode = x;\n")
    assert text.startswith("16: unknown parameter 'midleCode' in a [group], did you mean 'middleCode'?; allowed here: ")
    assert "trace.formatString" in text


def test_a_misspelt_global_is_named_with_its_neighbour() -> None:
    assert "2: unknown parameter 'Header' before the first [group], did you mean 'header'?" in only(
        changed("module.author", "Header = x;\nmodule.author")
    )


def test_an_unknown_parameter_like_no_other_has_no_suggestion() -> None:
    assert "did you mean" not in only(GOOD + "zzz = 1\n")


def test_a_name_of_odd_bytes_is_shown() -> None:
    assert r"unknown parameter '\\xff'" in only(GOOD.encode() + b"\xff = 1\n")


def test_a_parameter_of_a_group_does_not_belong_before_it() -> None:
    assert only("prologue = x;\n" + GOOD).startswith(
        "1: parameter 'prologue' does not belong before the first [group]; it stands after a [group] line"
    )


def test_a_global_does_not_belong_in_a_group() -> None:
    assert "it stands before the first [group]" in only(GOOD + "header = x\n")


def test_a_malformed_line_is_named_with_what_is_allowed() -> None:
    assert only(GOOD + "junk\n") == (
        "16: '=' is missing; allowed are 'name = value', 'name =>>', '[group]' and lines starting with '#'"
    )


def test_every_malformed_line_is_reported_with_the_other_mistakes() -> None:
    text = changed("GPL", "mine", GOOD) + "junk\n= x\n[group] x\n" + VOID.removeprefix("[group]\n") + "a =>> b\n"
    assert [one.split(";")[0] for one in complaints(text)] == [
        "3: module.license 'mine' may not use the kernel's GPL-only functions",
        "16: '=' is missing",
        "17: name is missing",
        '18: only whitespace characters are allowed after "[group]"',
        '22: only whitespace characters are allowed after "=>>"',
    ]


def test_a_value_without_its_end_is_reported() -> None:
    assert '"<<" is missing' in only(GOOD + "prologue =>>\nx\n")


def test_text_that_is_no_utf8_is_reported() -> None:
    assert only(GOOD.replace("Some", "S\xe4me").encode("latin-1")).startswith("2: the value of 'module.author' is not")


def test_a_nul_byte_is_reported() -> None:
    assert only(changed("Some", "S\0me")).startswith("2: the value of 'module.author' holds a NUL byte")


def test_a_parameter_that_is_given_twice_names_both_lines() -> None:
    assert only(GOOD + "returnType = int\n") == "16: 'returnType' is given again (first in line 6); give it once"


# globals


@pytest.mark.parametrize("name", ["module.name", "module.author", "module.license"])
def test_missing_and_empty_globals_are_reported(name: str) -> None:
    kept = "".join(line for line in GOOD.splitlines(True) if not line.startswith(name))
    assert f"1: '{name}' is missing before the first [group]; write for example '{name} = " in only(kept)
    assert f"1: '{name}' is empty" in only(f"{name} =\n{kept}")


@pytest.mark.parametrize("name", ["a b", "9a", "a;", "ä", 'a"', "../x", "int"])
def test_a_module_name_that_is_none_is_reported(name: str) -> None:
    assert "is not a valid name of a module" in only(changed("my_pay", name))


def test_a_module_name_is_not_longer_than_the_kernel_takes() -> None:
    assert read(changed("my_pay", "a" * 55)).module == "a" * 55
    assert "at most 55" in only(changed("my_pay", "a" * 56))


@pytest.mark.parametrize("name", ["payload", "cp-controller", "cp_target"])
def test_a_module_name_of_the_build_is_taken(name: str) -> None:
    assert "is taken by the build" in only(changed("my_pay", name))


def test_a_file_without_a_group_is_reported() -> None:
    assert "there is no [group]" in only(GLOBALS)


def test_an_empty_file_misses_everything() -> None:
    assert len(complaints("")) == 4


# a group


def test_an_empty_group_says_what_it_misses() -> None:
    assert [one.split(" is missing")[0].split(" is given")[0] for one in complaints(GOOD + "[group]\n")] == [
        "16: 'function.name'",
        "16: 'trace.formatString'",
        "16: neither 'returnType' nor 'returnsVoid'",
    ]


@pytest.mark.parametrize("name", ["9x", "a-b", "kfree;", "for", "ä"])
def test_names_are_c_identifiers(name: str) -> None:
    assert f"5: function.name '{name}' is" in only(changed("kstrdup", name))
    assert f"8: arg.name '{name}' is" in only(changed("arg.name = s", f"arg.name = {name}"))
    found = complaints(changed("trace.param.name = gfp", f"trace.param.name = {name}"))
    assert f"12: trace.param.name '{name}' is" in found[0]


def test_names_of_the_generated_code_are_reserved() -> None:
    assert "is reserved; names starting with kedr_" in only(changed("arg.name = s", "arg.name = kedr_s"))


def test_return_value_names_the_result_alone() -> None:
    assert "8: arg.name 'returnValue' is reserved" in only(changed("arg.name = s", "arg.name = returnValue"))


def test_both_kinds_of_result_are_too_many() -> None:
    assert "6: both 'returnType' and 'returnsVoid = yes'" in complaints(GOOD + "returnsVoid = yes\n")[0]


def test_neither_kind_of_result_is_too_few() -> None:
    text = "4: neither 'returnType' nor 'returnsVoid'"
    assert text in only(changed("returnType = char *\n", ""))
    assert text in only(changed("returnType = char *\n", "returnsVoid = no\n"))


def test_a_result_that_is_void_is_reported() -> None:
    assert "write 'returnsVoid = yes' instead" in only(changed("returnType = char *", "returnType = void"))


@pytest.mark.parametrize("name", ["returnsVoid", "function.optional"])
def test_flags_are_yes_or_no(name: str) -> None:
    assert f"16: '{name}' is 'maybe'; allowed are yes and no" in only(GOOD + f"{name} = maybe\n")


@pytest.mark.parametrize("kind", ["returnType = char *", "arg.type = gfp_t", "trace.param.type = gfp_t"])
@pytest.mark.parametrize("value", ["int; x", "int /*", 'int"', "struct", "int a[3]", "void (*)(void)", "#x", ""])
def test_a_type_that_is_none_is_reported_with_what_is_allowed(kind: str, value: str) -> None:
    name = kind.split(" = ")[0]
    text = only(changed(kind, f"{name} = {value}"))
    assert f"{name} '{value}': " in text
    assert "a type is one name" in text


def test_two_arguments_with_one_type_are_named() -> None:
    assert only(changed("arg.type = gfp_t\narg.name = gfp", "arg.name = gfp")).startswith(
        "9: argument 2 ('gfp') has no arg.type: 1 arg.type and 2 arg.name are given"
    )


def test_an_argument_without_a_name_is_named() -> None:
    assert only(changed("arg.name = s\n", "")).startswith("7: argument 1 (type 'const char *') has no arg.name")


def test_the_last_argument_without_a_name_is_named() -> None:
    text = changed("arg.name = gfp\n", "")
    assert complaints(text)[0].startswith("9: argument 2 (type 'gfp_t') has no arg.name")


def test_counts_are_compared_when_types_stand_before_names() -> None:
    text = GLOBALS + VOID + "arg.type = int\narg.type = int\narg.name = a\narg.name = b\narg.name = c\n"
    assert only(text).startswith("12: argument 3 ('c') has no arg.type")


def test_a_repeated_name_is_reported_with_both_lines() -> None:
    assert only(changed("arg.name = gfp", "arg.name = s", changed("arg.type = gfp_t", "arg.type = gfp_t"))
                .replace("trace.param.name = gfp", "trace.param.name = s")) == (
        "10: argument 's' is given again (first in line 8); give each its own name"
    )  # fmt: skip
    text = only(changed("trace.param.name = gfp", "trace.param.name = returnValue"))
    assert text.startswith("14: trace parameter 'returnValue' is given again (first in line 12)")


def test_a_void_argument_is_reported() -> None:
    assert "8: argument 's' is void" in only(changed("arg.type = const char *", "arg.type = void"))


@pytest.mark.parametrize("part", ["prologue", "middleCode", "epilogue"])
def test_return_value_has_no_place_in_the_code_of_a_void_function(part: str) -> None:
    assert f"8: '{part}' uses 'returnValue'" in only(GLOBALS + VOID + f"{part} = use(returnValue);\n")
    assert read(GLOBALS + VOID + f"{part} = /* returnValue */ f();\n").functions


@pytest.mark.parametrize("part", ["prologue", "middleCode", "epilogue"])
def test_unbalanced_code_is_reported_at_its_line(part: str) -> None:
    assert only(GOOD + f"{part} =>>\n\n\tx();\n\tif (x) {{\n<<\n").startswith(f"19: in '{part}': '{{' is not closed")


def test_an_unbalanced_header_is_reported() -> None:
    assert "1: in 'header': ')' closes nothing" in only("header = f());\n" + GOOD)


def test_a_function_given_twice_names_both_lines() -> None:
    assert only(GOOD + GROUP).startswith("17: function 'kstrdup' is given again (first in line 5)")


# the moment of a record


def test_a_call_is_recorded_after_it_unless_said_otherwise() -> None:
    assert read(GOOD).functions[0].moment == "after"
    assert read(GOOD + "record = after\n").functions[0].moment == "after"
    assert read(GLOBALS + VOID + "record = before\n").functions[0].moment == "before"


@pytest.mark.parametrize(("value", "hint"), [("befor", ", did you mean 'before'?"), ("", ""), ("yes", "")])
def test_a_moment_that_is_none_is_reported(value: str, hint: str) -> None:
    text = f"16: 'record' is {value!r}{hint}; allowed are before and after the call"
    assert only(f"{GOOD}record = {value}\n") == text


# special functions


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("__get_user_4", "registers of its own; describe copy_from_user"),
        ("__put_user_nocheck_8", "registers of its own"),
        ("__fentry__", "in front of every function"),
        ("__x86_indirect_thunk_rax", "it is a thunk"),
        ("__SCT__might_resched", "trampoline of a static call"),
        ("rep_movs_alternative", "registers that a function in C changes"),
        ("__asan_load8", "the compiler calls it"),
    ],
)
def test_a_function_that_cannot_be_replaced_is_refused_with_the_reason(name: str, reason: str) -> None:
    found = only(changed("kstrdup\n", f"{name}\n"))
    assert found.startswith(f"5: function '{name}' cannot be replaced: ")
    assert reason in found


def test_a_function_that_never_returns_is_recorded_before_the_call_or_not_at_all() -> None:
    text = GLOBALS + VOID.replace("= kfree\n", "= kthread_exit\n")
    assert only(text) == (
        "5: function 'kthread_exit' never returns, so a call cannot be recorded after it; write 'record = before'"
    )
    assert read(text + "record = before\n").functions[0].moment == "before"
    assert only(text.replace("returnsVoid = yes", "returnType = int") + "record = before\n") == (
        "6: returnType: kthread_exit never returns; write 'returnsVoid = yes' instead"
    )


# whatever comes


def test_all_mistakes_come_at_once_sorted_by_line() -> None:
    text = changed("GPL", "none", changed("gfp_t", "gfp t", changed("%x", "%y")))
    found = complaints(text)
    assert [int(one.split(":")[0]) for one in found] == [3, 9, 15]


@given(st.binary() | st.text(alphabet="[group]=><\\\n #a.tyen%d*\"{}'\0").map(str.encode))
def test_any_bytes_give_a_payload_or_a_list_of_problems(data: bytes) -> None:
    for text in (data, GOOD.encode() + data):
        try:
            payload = parse_payload(text, "a.data")
        except PayloadError as error:
            assert error.problems
            assert list(error.problems) == sorted(error.problems)
        else:
            assert payload.functions


# the documentation


def documented() -> list[str]:
    """The fenced blocks of docs/writing-a-payload.md."""
    with open(os.path.join(DATA, "..", "docs", "writing-a-payload.md"), encoding="utf-8") as file:
        return [block.split("\n", 1)[1] for block in file.read().split("```")[1::2]]


def test_the_documented_description_has_no_mistake() -> None:
    assert [one.name for one in read(documented()[0]).functions] == ["vmalloc", "vfree"]
