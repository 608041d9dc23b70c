# SPDX-License-Identifier: GPL-3.0-or-later
"""What a data file may say of trace records and their text, and what the plan says of them."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.render import plan
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.resolve import resolve
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.data_texts import (
    GLOBALS,
    GOOD,
    VOID,
    changed,
    complaints,
    only,
    parse_payload,
    read,
)

BEFORE = changed("returnType = char *\n", "returnType = char *\nrecord = before\n")


def test_quotes_around_a_format_are_not_part_of_it() -> None:
    assert read(changed('"kstrdup(%x): %p"', "kstrdup(%x): %p")) == read(GOOD)


@pytest.mark.parametrize(("text", "what"), [(r"\"b\" %x", "quote"), (r"a \\ %x", "backslash"), ('"%x', "quote")])
def test_what_the_kernel_would_show_without_its_escapes_stays_out_of_a_format(text: str, what: str) -> None:
    found = only(changed("kstrdup(%x)", text))
    assert "15: trace.formatString: a " in found
    assert "no program could read the trace; leave it out or use '" in found
    assert what in found or text.startswith("\\")


def test_a_trace_parameter_may_be_a_variable_of_the_prologue() -> None:
    text = changed("trace.param.name = gfp", "trace.param.name = mine") + "prologue = gfp_t mine = gfp;\n"
    assert read(text).functions[0].own.params[0].name == "mine"


def test_trace_parameters_are_paired_too() -> None:
    text = changed("trace.param.type = const void *\n", "")
    assert "trace parameter 2 ('returnValue') has no trace.param.type" in complaints(text)[0]


def test_a_trace_parameter_must_name_a_value() -> None:
    assert only(changed("trace.param.name = gfp", "trace.param.name = flags")) == (
        "12: trace parameter 'flags' is not a known value; allowed are gfp, s, returnValue and variables declared in "
        "the prologue"
    )


def test_names_in_comments_declare_nothing() -> None:
    text = changed("trace.param.name = gfp", "trace.param.name = flags") + "prologue = /* flags */\n"
    assert "is not a known value" in only(text)


@pytest.mark.parametrize("name", ["ent", "__data", "common_pid"])
def test_names_of_the_trace_record_are_taken(name: str) -> None:
    text = changed("trace.param.name = gfp", f"trace.param.name = {name}")
    assert "is taken by the trace record" in only(text)


@pytest.mark.parametrize("value", ["struct list_head", "void"])
def test_what_cannot_be_recorded_is_reported(value: str) -> None:
    assert "integers, pointers and strings can be recorded" in only(
        changed("trace.param.type = gfp_t", f"trace.param.type = {value}")
    )


def test_more_trace_parameters_than_the_kernel_counts_are_reported() -> None:
    def params(count: int) -> str:
        lines = [f"{kind}.type = int\n{kind}.name = a{n}\n" for n in range(count) for kind in ("arg", "trace.param")]
        return GLOBALS + VOID.replace("kfree()", "%d," * count) + "".join(lines)

    assert len(read(params(12)).functions[0].own.params) == 12
    assert "13 trace parameters; at most 12" in only(params(13))


def test_return_value_has_no_place_in_a_void_function() -> None:
    text = GLOBALS + VOID.replace("kfree()", "%d") + "trace.param.type = int\ntrace.param.name = returnValue\n"
    assert only(text).startswith("9: 'returnValue' is traced but the function returns nothing")


def test_a_result_cannot_be_recorded_before_the_call() -> None:
    assert only(BEFORE) == (
        "15: trace parameter 'returnValue' has no value before the call: the result is not known then; "
        "remove it, or 'record = before'"
    )


def test_what_only_the_middle_code_declares_cannot_be_recorded_before_the_call() -> None:
    traced = "trace.param.type = int\ntrace.param.name = late\n"
    text = GLOBALS + VOID.replace("kfree()", "%d") + traced + "middleCode = int late = 1;\n"
    assert read(text).functions[0].own.params[0].name == "late"
    assert only(text + "record = before\n") == (
        "9: trace parameter 'late' has no value before the call: middleCode runs after the call; "
        "remove it, or 'record = before'"
    )
    assert read(text + "prologue = int late = 0;\nrecord = before\n").functions[0].moment == "before"


@pytest.mark.parametrize(("text", "count"), [("none", 0), ("%x", 1), ("%x %p %d", 3), ("%% %x", 1)])
def test_conversions_are_counted_against_trace_parameters(text: str, count: int) -> None:
    assert only(changed("kstrdup(%x): %p", text)).startswith(
        f"15: trace.formatString has {count} conversions for 2 trace parameters"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("%p %p", "'gfp' is an integer (gfp_t), '%p' needs a pointer; use %u or %x"),
        ("%x %d", "'returnValue' is a pointer (const void *), '%d' needs an integer; use %p"),
        ("%x %s", "'returnValue' is a pointer (const void *), '%s' needs a char *; use %p"),
        ("%lx %p", "'gfp' is an integer (gfp_t), '%lx' does not have the size of gfp_t; use %u or %x"),
    ],
)
def test_conversions_must_fit_their_parameters(text: str, fault: str) -> None:
    assert only(changed("kstrdup(%x): %p", text)) == f"15: trace.formatString: {fault}"


@pytest.mark.parametrize("text", ["%x %q", "%x %", "%x %pI4", "%jx %p"])
def test_conversions_that_the_kernel_has_not_are_reported(text: str) -> None:
    assert only(changed("kstrdup(%x): %p", text)).startswith("15: trace.formatString: ")


@pytest.mark.parametrize("text", [r"%x\n%p", r"%x\0%p", '%x"%p', "%xé%p", "%x\t%p", "%x%p\\"])
def test_what_cannot_be_in_the_literal_of_a_format_is_reported(text: str) -> None:
    found = only(changed("kstrdup(%x): %p", text))
    assert found.startswith("15: trace.formatString: ")


def test_the_plan_says_when_calls_are_recorded_and_which_values_are_texts() -> None:
    lines = "".join(f"{kind}.type = char *\n{kind}.name = s\n" for kind in ("arg", "trace.param"))
    module = "module.name = pay\nmodule.author = A\nmodule.license = GPL\n"
    group = f"[group]\nfunction.name = put\nreturnsVoid = yes\nrecord = before\n{lines}trace.formatString = %.7s\n"
    found = parse_payload((module + group).encode(), "pay.data")
    (event,) = plan(resolve(found, {}, {"put"}, set(), "1.0"))["events"]
    assert (event["moment"], event["strings"], event["replacement"]) == ("before", ["s"], "kedr_repl_put")
