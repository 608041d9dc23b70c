# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of data files."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.mist import data as mist
from ansible_collections.kedr.lab.plugins.plugin_utils.mist.data import DataError, Group, Item, columns, parse
from hypothesis import given, settings
from hypothesis import strategies as st


def only_item(data: bytes) -> Item:
    """The one definition in the data's globals."""
    ((_line, (item,)),) = parse(data)
    return item


def test_empty_data_has_the_globals_alone() -> None:
    assert parse(b"") == [(0, [])]


def test_groups_know_the_line_of_their_marker() -> None:
    groups = parse(b"a = 1\n\n[group]\nb = 2\n  [group] \n")
    assert groups == [(0, [(b"a", b"1", 1, 1)]), (3, [(b"b", b"2", 4, 4)]), (5, [])]
    assert isinstance(groups[1], Group)
    assert (groups[1].line, groups[1].items[0].name) == (3, b"b")


def test_item_has_named_fields() -> None:
    item = only_item(b"\n  name=  value \n")
    assert (item.name, item.value, item.line, item.value_line) == (b"name", b"value", 2, 2)


@pytest.mark.parametrize(
    ("data", "value", "line", "value_line"),
    [
        (b"a = 1 \\\n 2\n", b"1 2", 1, 1),
        (b"a = \\\n\t1 \\\n 2\n", b"1 2", 1, 2),
        (b"\\\na\\\n=\\\n\\\n1", b"1", 1, 5),
        (b"a \\\n =\n", b"", 1, 2),
        (b"a = \\\n\\\n\nb", b"", 1, 1),
        (b"a =>>\nx\n<<\n", b"x", 1, 2),
        (b"a =>>\n\n\nx\n\n<<\n", b"x\n", 1, 4),
        (b"a =>>\n\n<<", b"", 1, 1),
        (b"a =>>\\\n\nx\n<<", b"x", 1, 3),
    ],
)
def test_item_knows_where_it_and_its_value_start(
    data: bytes, value: bytes, line: int, value_line: int
) -> None:
    if data.endswith(b"\nb"):
        data = data[:-1]
    assert only_item(data) == (b"a", value, line, value_line)


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"a = 1\nb\n", 2, "'=' is missing"),
        (b"a \\\nb", 2, "'=' is missing"),
        (b"\n = 1", 2, "name is missing"),
        (b"[group] x", 1, 'only whitespace characters are allowed after "[group]"'),
        (b"a =>> x", 1, 'only whitespace characters are allowed after "=>>"'),
        (b"a =>>\nx\n", 2, '"<<" is missing'),
        (b"a =>>\nx", 2, '"<<" is missing'),
        (b"a =>>", 1, '"<<" is missing'),
    ],
)
def test_mistake_has_a_line_and_a_reason(data: bytes, line: int, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        parse(data)
    assert (caught.value.line, caught.value.reason) == (line, reason)
    assert str(caught.value) == f"line {line}: {reason}"


def test_blanks_are_the_eight_of_the_format() -> None:
    item = only_item(b" \t\r\v\f\a\ba\xa0\x1c=\x85 x \x1c\xa0\a\b")
    assert (item.name, item.value) == (b"a\xa0\x1c", b"\x85 x \x1c\xa0")


ORDINARY = [
    b"a = 1",
    b"b=2",
    b" c d =\t3",
    b"",
    b"[group]",
    b"x =",
    b"f = y = z",
    b'g = "\\n"',
    b"\x07v\x0b=\x0c q",
]
UNUSUAL = [
    *[
        b"# x",
        b"  [group] \r",
        b"a=>>",
        b" m =>> ",
        b"<<",
        b"  << ",
        b"a =>>\\",
        b"x\\\\",
        b"\\",
        b"c = 3 \\",
    ],
    *[
        b"q = [group]",
        b"#c \\",
        b"a==>>",
        b"k = v #x",
        b"# =>>",
        b"y = [group] =>>",
        b"[group",
        b"n = \0",
        b"\0",
        b"\0=1",
    ],
    *[
        b"nope",
        b" = 4",
        b"[group] x",
        b"[group] =",
        b"[group]=",
        b"z[group]",
        b"a=>>b",
        b"= = =",
        b"a = b = c",
    ],
]
lines = st.sampled_from(ORDINARY * 4 + UNUSUAL)
files = st.builds(
    lambda parts, end: b"\n".join(parts) + end, st.lists(lines, max_size=14), st.sampled_from([b"", b"\n"])
)


def rows(data: bytes) -> object:
    """What `parse` makes of the data, in the way of `columns`; or the mistake."""
    try:
        return [
            ([item.name for item in group.items], [item.value for item in group.items])
            for group in parse(data)
        ]
    except DataError as error:
        return str(error)


@settings(max_examples=1000, deadline=None)
@given(files, st.sampled_from([1, 10, 1 << 14]))
def test_both_ways_of_reading_agree(data: bytes, stretch: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mist, "_STRETCH", stretch)
        try:
            result: object = list(columns(data))
        except DataError as error:
            result = str(error)
    assert result == rows(data)


def test_both_ways_of_reading_agree_on_a_long_file() -> None:
    group = (
        b"[group]\n\tname = f%d\n\n\tbody =>>\n\n\ta == b << c; // =>>\n\t[group]\n << \r\n\tlast = \\\n 1\n"
    )
    data = b"# comment\n" + b"".join(group % number for number in range(3000))
    result = list(columns(data))
    assert len(result) == 3001
    assert result == rows(data)
    assert result[-1] == ([b"name", b"body", b"last"], [b"f2999", b"\ta == b << c; // =>>\n\t[group]", b"1"])


@pytest.mark.parametrize("closed", [b"", b"z =>>\nq\n<<\n"])
@pytest.mark.parametrize("shifts", [b"", b"y = 1 << 2\n"])
def test_values_that_look_like_openings_cost_no_search_of_the_rest_each(
    closed: bytes, shifts: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Minutes or hours go by here if each of these lines is followed by a look at all the others.
    count = 100_000
    data = closed + b"x = \\\na =>>\n" * count + shifts * count
    searched = []
    search = mist._close_line

    def watched(text: bytes, pos: int) -> tuple[int, int]:
        found = search(text, pos)
        searched.append((len(text) if found[1] < 0 else found[1]) - pos)
        return found

    monkeypatch.setattr(mist, "_close_line", watched)
    result = list(columns(data))
    assert result == rows(data)
    assert len(result[0][0]) == bool(closed) + count + (count if shifts else 0)
    assert sum(searched) <= len(data)


def test_value_of_one_nul_is_kept_in_its_place() -> None:
    data = b"a =>>\n\0\n<<\nb =>>\nx\n<<\nc =>>\n\0\n<<\n"
    assert list(columns(data)) == [([b"a", b"b", b"c"], [b"\0", b"x", b"\0"])]
