# SPDX-License-Identifier: GPL-3.0-or-later
"""What others wrote, made safe to show: nothing steers a terminal, no cell is a formula."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import plain, printable, spreadsheet
from hypothesis import given
from hypothesis import strategies as st

STEERING = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x61C, *range(0x200B, 0x2010), *range(0x2028, 0x202F),
                             *range(0x2060, 0x2070), 0xFEFF, 0xAD, 0xDC80, 0xDFFF, 0xE0001]))


@given(st.text(st.characters() | st.sampled_from(STEERING)))
def test_plain_text_is_one_line_that_prints(text: str) -> None:
    assert plain(text).isprintable()


@given(st.text(st.characters() | st.sampled_from(STEERING)))
def test_printable_text_has_lines_and_tabs_and_else_only_what_prints(text: str) -> None:
    assert printable(text).replace("\n", "").replace("\t", "").isprintable()


@pytest.mark.parametrize("char", STEERING.replace("\n", "").replace("\t", ""))
def test_no_character_that_steers_a_terminal_or_turns_a_line_passes(char: str) -> None:
    for shown in (plain(f"a{char}b"), printable(f"a{char}b")):
        assert char not in shown
        assert shown.startswith("a\\")
        assert unicodedata.category(char) in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")


def test_what_prints_stays_as_it_is() -> None:
    assert plain("größer ✓ 漢字 …") == printable("größer ✓ 漢字 …") == "größer ✓ 漢字 …"


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "-a", "+", "-",
                                  "=", "-inf", "+-1", "- 1", "-.5+A1"])
def test_a_cell_that_begins_like_a_formula_is_text(text: str) -> None:
    assert spreadsheet(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-1", "+5", "-12.5", "-1e9", "0", "12", "", "kfree", "a=b", "x@y", "-0"])
def test_numbers_and_words_stay_what_they_are(text: str) -> None:
    assert spreadsheet(text) == text


@given(st.text())
def test_a_cell_survives_the_way_through_a_file(text: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerow([spreadsheet(plain(text))])
    (row,) = csv.reader(io.StringIO(out.getvalue()))
    assert row[0].removeprefix("'") == plain(text).removeprefix("'")
