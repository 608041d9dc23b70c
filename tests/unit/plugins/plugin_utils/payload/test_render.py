# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated sources: what every payload module must hold, whatever the description says."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.functions import load_functions
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.render import render
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.resolve import resolve
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.data_texts import load_payload, parse_payload

ROOT = paths.ROOT
TEMPLATES = os.path.join(ROOT, "kernel", "templates")

TEXT = r"""module.name = my-mod
module.author = A "quoted" \name
module.license = GPL v2
header = #include <linux/slab.h>
[group]
function.name = alloc
returnType = void *
arg.type = const char __user *
arg.name = entry
arg.type = unsigned long
arg.name = n
trace.param.type = const char __user *
trace.param.name = entry
trace.param.type = const char *
trace.param.name = text
trace.param.type = void * const
trace.param.name = returnValue
trace.formatString = "alloc(%p, %s): %p 100%% (??!)"
prologue =>>
    const char *text = "x";
    int i = 0;

    if (n) {
#ifdef X
        i = 1;
#endif
    }
<<
middleCode = i++;
epilogue = i--;
[group]
function.name = tick
returnsVoid = yes
trace.formatString = tick()
"""


def sources(text: str = TEXT, functions: str = "", path: str = "dir/my.data") -> dict[str, str]:
    payload = parse_payload(text.encode(), path)
    db = load_functions(functions) if functions else {}
    exports = {function.name for function in payload.functions} | {"alloc_x"}
    return render(resolve(payload, db, exports, set(), "1.0"), TEMPLATES)


def shipped(path: str) -> tuple[list[str], dict[str, str]]:
    """(functions, sources) of a shipped description on a kernel of today."""
    payload = load_payload(path)
    db = load_functions(os.path.join(ROOT, "data", "functions.yml"))
    names = [function.name for function in payload.functions]
    exports = {"__kmalloc_noprof", "kmem_cache_alloc_noprof", "_copy_from_user", "_copy_to_user", *names}
    return names, render(resolve(payload, db, exports, set(), "6.12"), TEMPLATES)


def body(source: str, function: str) -> str:
    """The replacement of a function, from its first to its last brace."""
    match = re.search(rf"kedr_repl_{function}\([^)]*\)\n#line[^\n]*\n(\{{.*?^\}})", source, re.DOTALL | re.MULTILINE)
    assert match is not None
    return match.group(1)


SHIPPED = sorted(glob.glob(os.path.join(ROOT, "data", "*.data")))


@pytest.mark.parametrize("path", SHIPPED)
def test_each_function_has_one_event_and_one_replacement(path: str) -> None:
    names, files = shipped(path)
    assert re.findall(r"^TRACE_EVENT\(called_(\w+), ", files["trace_payload.h"], re.MULTILINE) == names
    for name in names:
        assert files["payload.c"].count(f"trace_called_{name}(") == 1
        assert files["payload.c"].count(f"(void *)&kedr_repl_{name},") == 1
        assert files["payload.c"].count(f"KEDR_CALLS(called_{name});") == 1


def test_events_keep_the_users_names_and_code_the_kernels_symbols() -> None:
    _names, files = shipped(os.path.join(ROOT, "data", "my_payload2.data"))
    assert "TRACE_EVENT(called_copy_from_user," in files["trace_payload.h"]
    assert "static typeof(_copy_from_user) kedr_repl_copy_from_user;" in files["payload.c"]
    assert "returnValue = (_copy_from_user)(to, from, n);" in files["payload.c"]
    assert '\t"_copy_from_user",' in files["payload.c"]


def test_allocators_record_whether_the_target_is_in_its_init() -> None:
    _names, files = shipped(os.path.join(ROOT, "data", "my_payload1.data"))
    for name in ("__kmalloc", "kmem_cache_alloc"):
        text = body(files["payload.c"], name)
        assert text.index("kedr_target_module_in_init()") < text.index("returnValue = (")
        assert ", in_init, returnValue);" in text


def test_the_trace_text_is_that_of_the_description() -> None:
    _names, files = shipped(os.path.join(ROOT, "data", "my_payload1.data"))
    assert '"__kmalloc(%zu, %x), in init: %d, result: %p"' in files["trace_payload.h"]
    assert '"kfree(%p)"' in files["trace_payload.h"]


def test_parts_come_in_the_order_of_a_call() -> None:
    text = body(sources()["payload.c"], "alloc")
    parts = [
        "*returnValue;", "kedr_calls_count(called_alloc);", "int i = 0;", "= (alloc)(entry, n);", "i++;",
        "trace_called_alloc(", "i--;", "return ",
    ]
    assert in_order(text, parts)


def in_order(text: str, parts: list[str]) -> bool:
    """Does each part stand in a text once, behind the one before it?"""
    places = [text.index(part) for part in parts]
    return places == sorted(places) and all(text.count(part) == 1 for part in parts)


def test_a_call_that_is_recorded_before_it_is_counted_first_and_ends_with_the_epilogue() -> None:
    moved = TEXT.replace("returnType = void *", "returnType = void *\nrecord = before").replace("returnValue", "entry2")
    moved = moved.replace('const char *text = "x";', 'const char *text = "x"; void *entry2 = 0;')
    text = body(sources(moved)["payload.c"], "alloc")
    copied = "__kedr_text_copy(kedr_text_text, sizeof(kedr_text_text), kedr_from);"
    assert in_order(
        text,
        [
            "*returnValue;", "kedr_calls_count(called_alloc);", "int i = 0;", copied, "trace_called_alloc(",
            "= (alloc)(entry, n);", "i++;", "i--;", "return returnValue;",
        ],
    )


STRINGS = """module.name = texts
module.author = A
module.license = GPL
[group]
function.name = rename
returnType = char *
arg.type = const char *
arg.name = old
arg.type = char *
arg.name = other
trace.param.type = const char *
trace.param.name = old
trace.param.type = const char *
trace.param.name = other
trace.param.type = const char *
trace.param.name = ready
trace.param.type = const char *
trace.param.name = made
trace.param.type = char *
trace.param.name = returnValue
trace.formatString = "rename(%.16s, %p, %s, %.20s): '%s'"
prologue = const char *ready = old; const char *made = "";
middleCode = made = other + old[0];
"""


def test_texts_are_copied_before_the_call_unless_it_makes_them() -> None:
    text = body(sources(STRINGS)["payload.c"], "rename")
    assert in_order(
        text,
        [
            "char kedr_text_old[17];", "char kedr_text_ready[128];", "char kedr_text_made[21];",
            "char kedr_text_returnValue[128];", "= old;\n#line", "= ready;", "= (rename)(old, other);",
            "made = other + old[0];", "= made;", "= returnValue;",
            "trace_called_rename(kedr_text_old, other, kedr_text_ready, kedr_text_made, kedr_text_returnValue);",
        ],
    )


def test_the_type_of_a_copied_text_is_checked_in_its_line() -> None:
    text = sources(STRINGS)["payload.c"]
    assert '\n#line 11 "my.data"\n\t\tconst char *kedr_from = old;\n#line ' in text
    assert '\n#line 19 "my.data"\n\t\tchar *kedr_from = returnValue;\n#line ' in text


def test_a_function_that_returns_nothing_has_no_result() -> None:
    text = re.sub('#line .*', '#line N "F"', body(sources()["payload.c"], "tick"))
    counted = "\tkedr_calls_count(called_tick);\n"
    assert text == f'{{\n{counted}\t(tick)();\n#line N "F"\n\ttrace_called_tick(0);\n#line N "F"\n}}'


@pytest.mark.parametrize(
    ("line", "code"),
    [(4, "#include <linux/slab.h>"), (20, '\tconst char *text = "x";'), (29, "\ti++;"), (30, "\ti--;")],
)
def test_code_of_the_user_knows_its_line(line: int, code: str) -> None:
    assert f'\n#line {line} "my.data"\n{code}\n' in sources()["payload.c"]


def test_a_wrong_prototype_is_blamed_on_the_description() -> None:
    assert (
        '#line 6 "my.data"\nstatic typeof(alloc) kedr_repl_alloc;\n'
        '#line 6 "my.data"\nstatic void *kedr_repl_alloc(const char __user *entry, unsigned long n)\n'
    ) in sources()["payload.c"]


def test_a_trace_parameter_of_a_wrong_type_is_blamed_on_the_description() -> None:
    assert '\n#line 6 "my.data"\n\ttrace_called_alloc(' in sources()["payload.c"]


@pytest.mark.parametrize("name", ["payload.c", "trace_payload.h"])
@pytest.mark.parametrize("path", SHIPPED)
def test_generated_code_after_the_users_knows_its_own_line(path: str, name: str) -> None:
    for text in (shipped(path)[1][name], sources()[name], sources(STRINGS)[name]):
        lines = text.split("\n")
        marks = [(n, line) for n, line in enumerate(lines, 1) if line.endswith(f'"{name}"') and "#line" in line]
        assert marks
        assert all(line == f'#line {number + 1} "{name}"' for number, line in marks)


def test_each_event_and_each_type_of_it_stands_in_one_line_of_the_description() -> None:
    text = sources(STRINGS)["trace_payload.h"]
    assert '\n#line 11 "my.data"\ntypedef const char *kedr_called_rename_old_t;\n#line ' in text
    assert '\n#line 13 "my.data"\ntypedef const char *kedr_called_rename_other_t;\n#line ' in text
    events = re.findall(r'\n#line (\d+) "my.data"\nTRACE_EVENT\((\w+), .*\)\);\n#line ', text)
    assert events == [("5", "called_rename")]


def test_types_are_declared_once_though_the_header_is_read_often() -> None:
    text = sources(STRINGS)["trace_payload.h"]
    declared = text[text.index("#ifndef TRACE_HEADER_MULTI_READ") : text.index("#endif")]
    assert declared.count("typedef") == text.count("typedef") == 5


def test_code_is_indented_with_tabs_and_keeps_its_lines() -> None:
    text = sources()["payload.c"]
    assert '\tconst char *text = "x";\n\tint i = 0;\n\n\tif (n) {\n#ifdef X\n\t    i = 1;\n#endif\n\t}\n' in text


def test_continued_lines_of_code_are_left_alone() -> None:
    text = TEXT.replace("    int i = 0;", "    int i = \\\n0;")
    assert "    int i = \\\n0;\n" in sources(text)["payload.c"]


def test_an_argument_that_only_the_symbol_has_is_passed_through(tmp_path: Path) -> None:
    functions = tmp_path / "functions.yml"
    functions.write_text("alloc:\n  - symbol: alloc_x\n    arguments: [2, 'struct b *b', 1]\n", encoding="utf-8")
    text = sources(functions=str(functions))["payload.c"]
    assert "kedr_repl_alloc(unsigned long n, struct b *kedr_b, const char __user *entry)" in text
    assert "returnValue = (alloc_x)(n, kedr_b, entry);" in text


def test_names_of_parameters_cannot_meet_those_of_the_kernels_macros() -> None:
    text = sources()["trace_payload.h"]
    types = "kedr_called_alloc_entry_t kedr_entry, const char *kedr_text, kedr_called_alloc_returnValue_t"
    assert f"TP_PROTO({types} kedr_returnValue)," in text
    assert "typedef const char __user *kedr_called_alloc_entry_t;" in text
    assert "typedef void * const kedr_called_alloc_returnValue_t;" in text
    assert "TP_ARGS(kedr_entry, kedr_text, kedr_returnValue)," in text


def test_records_hold_plain_values_and_copies_of_strings() -> None:
    text = sources()["trace_payload.h"]
    assert "__field(const char *, entry)" in text
    assert "__entry->entry = (__force const char *)kedr_entry;" in text
    assert "__dynamic_array(char, text, __kedr_text_size(kedr_text, 128))" in text
    assert "__kedr_text_copy(__get_dynamic_array(text), __kedr_text_size(kedr_text, 128), kedr_text);" in text
    assert ", __entry->entry, __get_str(text), __entry->returnValue)" in text
    assert "__field(void *, returnValue)" in text


def test_a_format_has_no_trigraphs() -> None:
    text = sources()["trace_payload.h"]
    assert r'TP_printk("alloc(%p, %s): %p 100%% (?\?!)"' in text


def test_an_event_without_parameters_has_an_empty_field() -> None:
    text = sources()["trace_payload.h"]
    assert "TP_PROTO(int kedr_nothing)," in text
    assert 'TP_printk("tick()%s", ""));' in text


def test_texts_of_the_user_are_escaped() -> None:
    text = sources()["payload.c"]
    assert r'MODULE_AUTHOR("A \"quoted\" \\name");' in text
    assert 'MODULE_LICENSE("GPL v2");' in text


def test_a_strange_file_name_stays_in_comments_and_literals() -> None:
    files = sources(path='dir/a"*/\n#x.data')
    for text in files.values():
        assert 'a"*/\n' not in text
    assert '#line 4 "a\\"*' not in files["payload.c"]  # the name ends at the last slash
    assert '#line 4 "\\012#x.data"' in files["payload.c"]
    assert "generated from ??x.data" in files["Kbuild"]


def test_every_file_names_its_licence_and_its_origin() -> None:
    for text in sources().values():
        assert "SPDX-License-Identifier: GPL-2.0-only" in text.split("\n")[0]
        assert "generated from my.data" in text
        assert text.endswith("\n")
        assert not text.endswith("\n\n")


def test_the_trace_header_finds_itself_outside_of_the_kernel() -> None:
    files = sources()
    assert "#define TRACE_SYSTEM my_mod" in files["trace_payload.h"]
    assert "#define TRACE_INCLUDE_PATH ." in files["trace_payload.h"]
    assert "#define TRACE_INCLUDE_FILE trace_payload" in files["trace_payload.h"]
    assert " -I$(src) " in files["Kbuild"]


def test_kbuild_builds_the_module_under_its_name_with_warnings_as_errors() -> None:
    text = sources()["Kbuild"]
    assert "obj-m := my_mod.o\nmy_mod-y := payload.o\n" in text
    assert "-I$(src)/../include -I$(src)/../generated" in text
    assert "-Werror" in text


def test_a_replacement_calls_the_function_and_never_jumps_to_it() -> None:
    assert "ccflags-y += -fno-optimize-sibling-calls\n" in sources()["Kbuild"]


def test_the_module_registers_and_unregisters_itself() -> None:
    text = sources()["payload.c"]
    init = text[text.index("kedr_this_payload_init(void)") :]
    order = ["kedr_calls_init();", "kedr_payload_register(&", "kedr_calls_exit();", "kedr_payload_unregister(&"]
    places = [init.index(part) for part in order]
    assert places == sorted(places)
    assert init.rindex("kedr_calls_exit();") > places[-1], "the counters stay while a replacement may run"
    assert "kedr_payload_unregister(&kedr_this_payload);" in text
    assert ".mod\t\t= THIS_MODULE," in text


def test_unresolved_functions_leave_no_code() -> None:
    payload = parse_payload(TEXT.replace("= tick\n", "= tick\nfunction.optional = yes\n").encode(), "a.data")
    files = render(resolve(payload, {}, {"alloc"}, set(), "1.0"), TEMPLATES)
    assert not any("tick" in text for text in files.values())


@pytest.mark.parametrize("path", SHIPPED)
def test_rendering_twice_gives_the_same_bytes(path: str) -> None:
    assert shipped(path) == shipped(path)


def test_no_mark_of_a_template_is_left() -> None:
    for path in SHIPPED:
        for text in shipped(path)[1].values():
            assert not re.search(r"\{\{|\}\}|\{%|%\}|@here@", text)


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    payload = resolve(parse_payload(TEXT.encode(), "a.data"), {}, {"alloc", "tick"}, set(), "1.0")
    with pytest.raises(ForeignError, match=r"payload\.c\.j2 does not exist"):
        render(payload, str(tmp_path))


@pytest.mark.parametrize("template", ["{{ nonsense }}", "{% if %}"])
def test_a_broken_template_is_named(tmp_path: Path, template: str) -> None:
    (tmp_path / "payload.c.j2").write_text(template, encoding="utf-8")
    payload = resolve(parse_payload(TEXT.encode(), "a.data"), {}, {"alloc", "tick"}, set(), "1.0")
    with pytest.raises(ForeignError, match=r"payload\.c\.j2"):
        render(payload, str(tmp_path))
