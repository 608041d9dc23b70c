# SPDX-License-Identifier: GPL-3.0-or-later
"""Format files are understood as the kernel writes them, or refused with their line."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.formats import (
    EventFormat,
    TraceError,
    parse_format,
    parse_formats,
)
from hypothesis import given
from hypothesis import strategies as st

COMMON = """\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;
"""


@pytest.mark.parametrize(
    ("text", "line_number", "reason"),
    [
        ("hello\n", 1, "before the first"),
        ('== kfree\nprint fmt: "x"\n', 1, "does not name an event"),
        ("== a/b\nname: b\n", 1, "no 'print fmt:'"),
        ('== a/b\nprint fmt: "%d"\n', 2, "more conversions"),
        ('== a/b\nprint fmt: "x", REC->y\n', 2, "0 conversions for 1 arguments"),
        ('== a/b\nprint fmt: "%*d", REC->y\n', 2, "not supported"),
        ("== a/b\nprint fmt: REC->y\n", 2, "does not begin with a string"),
        ("== a/b\nfield:\n", 2, "does not describe a field"),
    ],
)
def test_a_format_file_that_cannot_be_understood_is_named_by_line(text: str, line_number: int, reason: str) -> None:
    with pytest.raises(TraceError) as caught:
        parse_formats(text)
    assert reason in caught.value.reason
    assert caught.value.line == line_number


def test_expressions_are_named_by_the_field_that_they_use() -> None:
    known = parse_format(
        COMMON
        + 'print fmt: "%s; %pS %d", __print_symbolic(REC->state, { 1, "a, b" }), (void *)REC->ip, REC->a ? 1 : 0',
        "s",
        "e",
    )
    assert known.names == ("state", "ip", "a")
    assert known.parse("a, b; func+0x1/0x2 1") == {"state": "a, b", "ip": "func+0x1/0x2", "a": 1}


ARGUMENTS = (
    "REC->a",
    "__get_str(name)",
    '__print_flags(REC->f, "|", { 1, "a\\"," }, { 2, "b" })',
    'REC->b ? "yes" : "no"',
    "(REC->x + REC->y)",
)


@given(
    st.lists(
        st.tuples(st.text(st.sampled_from('ab",;:= \\(){}\n\t')), st.sampled_from(ARGUMENTS)), min_size=1, max_size=5
    ),
    st.text(st.sampled_from('ab",;:= \\(){}\n\t')),
)
def test_any_text_of_a_format_is_read_as_the_kernel_writes_it(parts: list[tuple[str, str]], end: str) -> None:
    """The kernel writes the text without escapes: what is a quote there is a quote in what it prints."""
    text = "".join(f"{before}%s" for before, _argument in parts).replace("%s%s%s", "%s%s;%s") + end
    text = text.replace("%s%s", "%s;%s")
    written = COMMON + f'\nprint fmt: "{text}", ' + ", ".join(argument for _before, argument in parts) + "\n"
    known = parse_format(written, "s", "e")
    assert known.fmt == text.rstrip("\n")
    assert len(known.names) == len(parts)


def test_text_that_could_be_the_beginning_of_arguments_is_text() -> None:
    """It is in brackets of one kind that end in another, and leaves a backslash outside of strings."""
    argument = '__print_flags(REC->f, "|", { 1, "a\\"," }, { 2, "b" })'
    assert parse_format(COMMON + f'print fmt: "%s",((", {argument}\n', "s", "e").fmt == '%s",(('


def test_a_backslash_in_a_format_is_printed_as_one() -> None:
    written = COMMON + 'print fmt: "a\\nb\\x41 "%d"", REC->a\n'
    assert parse_format(written, "s", "e").parse('a\\nb\\x41 "7"') == {"a": 7}


@pytest.mark.parametrize(
    ("common", "system"), [(COMMON, "ftrace"), (COMMON.replace("\tsigned:1;", "").replace("\tsigned:0;", ""), "s")]
)
def test_formats_that_the_kernel_writes_as_in_c_are_read_so(common: str, system: str) -> None:
    written = common + 'print fmt: "a\\t" "\\"%d\\"\\x41", REC->a\n'
    assert parse_format(written, system, "e").parse('a\t"7"A') == {"a": 7}


@pytest.mark.parametrize(
    ("printed", "reason"),
    [('"%d", f(REC->a', "more conversions"), ('"' + '",' * 65, "65 places"), ('"%d', "more conversions")],
)
def test_a_format_whose_text_does_not_end_is_refused(printed: str, reason: str) -> None:
    with pytest.raises(TraceError, match=reason):
        parse_format(COMMON + f"print fmt: {printed}\n", "s", "e")


def printed(fmt: str, count: int) -> EventFormat:
    """A format with so many values, all of one field."""
    return parse_format(COMMON + f'print fmt: "{fmt}"' + ", REC->a" * count, "s", "e")


@pytest.mark.parametrize(
    ("fmt", "count", "text"),
    [
        ("%s," * 8 + "!", 8, "," * 4000),
        ("%-5d " * 30 + "!", 30, "1" + " " * 4000),
        ("%d1" * 20 + "!", 20, "1" * 400),
        ("%s%s," * 4 + "!", 8, "," * 400),
    ],
)
def test_a_line_that_fits_nearly_is_refused_before_the_end_of_days(fmt: str, count: int, text: str) -> None:
    """A host may send any format and any text; the time must not be a power of their lengths."""
    assert printed(fmt, count).parse(text) is None


def test_values_with_nothing_between_are_read_by_pairs_only() -> None:
    assert printed("%s%c|%d%%%d", 4).parse("ab|1%2") == {"a": "a", "a#2": "b", "a#3": 1, "a#4": 2}
    with pytest.raises(TraceError, match="three conversions follow each other"):
        printed("%s%s%s", 3)


def test_text_may_hold_what_stands_behind_it() -> None:
    assert printed("'%s', %d", 2).parse("'a', b', 3") == {"a": "a', b", "a#2": 3}


def test_a_format_file_longer_than_any_is_refused() -> None:
    with pytest.raises(TraceError, match="at most 65536 are read"):
        printed("%s" + "(" * (1 << 20), 1)
