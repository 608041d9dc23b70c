# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of C that a description may write: identifiers, types, literals, balanced code."""

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes import cdecl
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.cdecl import TypeKind
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("name", ["a", "_x9", "kfree", "__kmalloc"])
def test_identifiers_are_accepted(name: str) -> None:
    assert cdecl.is_identifier(name)


@pytest.mark.parametrize("name", ["", "9a", "a-b", "a b", "a\n", "ä", "a;", "int", "NULL", "linux", "a*"])
def test_what_is_no_identifier_is_refused(name: str) -> None:
    assert not cdecl.is_identifier(name)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("int", "int"),
        ("  unsigned   long ", "unsigned long"),
        ("void*", "void *"),
        ("const void __user*", "const void __user *"),
        ("struct semaphore *", "struct semaphore *"),
        ("char * const * restrict_t", None),
        ("void * *", "void **"),
        ("char *const *", "char * const *"),
        ("enum zone_type", "enum zone_type"),
        ("gfp_t", "gfp_t"),
        ("unsigned long long int", "unsigned long long int"),
    ],
)
def test_types_are_written_in_one_spelling(text: str, written: str | None) -> None:
    if written is None:
        with pytest.raises(InputError, match="after"):
            cdecl.parse_type(text)
    else:
        assert cdecl.parse_type(text).text == written


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "int;", "int x", "int[4]", "void (*)(int)", "int{", 'int "a"', "#define", "int\n#x", "...",
        "struct", "struct 9", "struct a b", "static int", "typeof(x)", "unsigned size_t", "long char", "*",
        "const", "float", "return", "int * x", "struct {int a}", "a\\b", "int,int", "// int", "double *",
    ],
)  # fmt: skip
def test_what_is_no_simple_type_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r".+"):
        cdecl.parse_type(text)


@given(st.text())
def test_an_accepted_type_holds_only_names_and_stars(text: str) -> None:
    try:
        written = cdecl.parse_type(text).text
    except InputError:
        return
    assert re.fullmatch(r"[A-Za-z0-9_ *]+", written)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int", TypeKind.INTEGER),
        ("enum x", TypeKind.INTEGER),
        ("const char *", TypeKind.STRING),
        ("char", TypeKind.INTEGER),
        ("char __user *", TypeKind.POINTER),
        ("char **", TypeKind.POINTER),
        ("unsigned char *", TypeKind.STRING),
        ("void", TypeKind.VOID),
        ("void *", TypeKind.POINTER),
        ("struct x", TypeKind.STRUCT),
        ("union x", TypeKind.STRUCT),
        ("struct x *", TypeKind.POINTER),
        ("some_typedef", TypeKind.UNKNOWN),
        ("some_typedef *", TypeKind.POINTER),
    ],
)
def test_a_type_has_its_kind(text: str, kind: TypeKind) -> None:
    assert cdecl.parse_type(text).kind is kind


@pytest.mark.parametrize(
    ("text", "field", "cast"),
    [
        ("const void __user *", "const void *", "(__force const void *)"),
        ("const int", "int", ""),
        ("void * const", "void *", ""),
        ("const char *", "const char *", ""),
    ],
)
def test_a_stored_copy_can_be_assigned_and_has_no_address_space(text: str, field: str, cast: str) -> None:
    ctype = cdecl.parse_type(text)
    assert (ctype.field, ctype.cast) == (field, cast)


def test_a_declaration_is_split_into_type_and_name() -> None:
    ctype, name = cdecl.parse_declaration("const char *name")
    assert (ctype.text, name) == ("const char *", "name")


@pytest.mark.parametrize("text", ["", "name", "int", "int 9", "int a;", "int a, int b", "int (*f)(void)"])
def test_what_is_no_declaration_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r".+"):
        cdecl.parse_declaration(text)


@given(st.text())
def test_an_escaped_text_cannot_leave_its_literal(text: str) -> None:
    escaped = cdecl.escape(text)
    assert escaped.isascii()
    assert escaped.isprintable() or not escaped
    assert re.fullmatch(r'(?:[^"\\]|\\[\\"]|\\[0-7]{3})*', escaped)
    assert "??" not in escaped


@pytest.mark.parametrize(
    "code",
    [
        "", "int x = (1 + a[2]);", "if (x) { y(); }", 'f("({[");', "f('{');", "/* ({ */", "// don't (",
        "#ifdef X\nif (a) {\n#else\nif (b) {\n#endif\n}", '"a\\"b{"',
    ],
)  # fmt: skip
def test_balanced_code_is_accepted(code: str) -> None:
    assert cdecl.unbalanced(code) is None


@pytest.mark.parametrize(
    ("code", "line", "what"),
    [
        ("f(\n1;", 0, "'(' is not closed"),
        ("a\nb)\n", 1, "')' closes nothing"),
        ("if (x) {\n}\n}", 2, "'}' closes nothing"),
        ("f(a];", 0, "']' closes nothing"),
        ("a\n/* b", 1, "the comment has no end"),
        ('a\n"b\n"', 1, 'the " has no end on its line'),
        ("#if X\n/* b", 1, "the comment has no end"),
    ],
)
def test_unbalanced_code_is_found_with_its_line(code: str, line: int, what: str) -> None:
    assert cdecl.unbalanced(code) == (line, what)


@pytest.mark.parametrize(
    ("code", "found"),
    [("x = returnValue;", True), ("/* returnValue */", False), ('"returnValue"', False), ("myreturnValue", False)],
)
def test_a_word_is_found_in_code_alone(code: str, found: bool) -> None:
    assert cdecl.has_word(code, "returnValue") is found


def test_a_long_code_part_is_checked_in_time_that_grows_with_it() -> None:
    code = "f();\n" * 200_000
    started = time.process_time()
    assert cdecl.unbalanced(code) is None
    assert cdecl.unbalanced(code + "}") == (200_000, "'}' closes nothing")
    assert time.process_time() - started < 10  # many minutes if each bracket counts its lines


def test_the_text_of_an_error_directive_is_no_code() -> None:
    code = "#if A\n# error don't {\n#warning it isn't \\\n so it's\n#endif\n"
    assert cdecl.unbalanced(code) is None
    assert not cdecl.has_word(code, "don")
    assert cdecl.unbalanced(code + "'") == (5, "the ' has no end on its line")
