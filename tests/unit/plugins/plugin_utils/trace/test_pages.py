# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of the ring buffer are read as the kernel wrote them."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.pages import count, parse_header_page, walk
from hypothesis import given
from hypothesis import strategies as st

from ..ring_pages import HEADER, SIZE, Page

LAYOUT = parse_header_page(HEADER)


def test_the_layout_of_a_page_is_read_from_the_kernels_description() -> None:
    assert LAYOUT == (8, 8, 16, 4096)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("timestamp", "stamp"), "does not name timestamp"),
        (("size:4080", "size:4079"), "cannot be the size of a page"),
        (("size:4080", "size:1520"), "cannot be the size of a page"),
        (("size:4080", "size:2147483632"), "cannot be the size of a page"),
        (("offset:16", "offset:80"), "of an unknown kind"),
    ],
)
def test_a_page_of_another_shape_is_refused(change: tuple[str, str], reason: str) -> None:
    with pytest.raises(ForeignError, match=reason):
        parse_header_page(HEADER.replace(*change))


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 1 << 40)), max_size=12), max_size=4),
    st.integers(0, 1 << 58),
)
def test_every_record_of_every_page_comes_back_with_its_time(pages: list[list[tuple[int, int]]], start: int) -> None:
    data, wanted = b"", []
    for number, records in enumerate(pages):
        page = Page(start)
        for words, delta in records:
            content = bytes([number + 1]) * (4 * words)
            page.record(content, delta)
            wanted.append((content, page.time))
        data += page.bytes()
    found = walk(data, LAYOUT)
    flat = found.data.tobytes()
    got = [
        (flat[at : at + size], int(time))
        for at, size, time in zip(found.at.tolist(), found.length.tolist(), found.time, strict=True)
    ]
    assert got == wanted


def test_records_that_were_taken_back_are_left_out() -> None:
    page = Page(100).record(b"aaaa", 5).padding(20).record(b"bbbb", 7)
    assert walk(page.bytes(), LAYOUT).time.tolist() == [105, 113]  # their time passed all the same


def test_an_absolute_time_replaces_the_time_and_keeps_its_uppermost_bits() -> None:
    start = (3 << 59) + 1000
    page = Page(start).stamp((3 << 59) + (1 << 40)).record(b"aaaa", 2)
    assert walk(page.bytes(), LAYOUT).time.tolist() == [(3 << 59) + (1 << 40) + 2]


def test_the_number_of_lost_records_stands_behind_the_last_record() -> None:
    pages = [Page(1).record(b"aaaa"), Page(2, lost=17).record(b"aaaa"), Page(3, lost=-1).record(b"aaaa")]
    assert walk(b"".join(page.bytes() for page in pages), LAYOUT).missed.tolist() == [0, 17, -1]


@pytest.mark.parametrize("cut", [1, SIZE - 1])
def test_half_a_page_is_refused(cut: int) -> None:
    with pytest.raises(ForeignError, match="not whole pages"):
        walk(Page(1).bytes()[:cut], LAYOUT)


def test_an_entry_that_is_longer_than_its_page_is_refused() -> None:
    page = Page(1)
    page.word(0, 0)
    page.body += (5000).to_bytes(4, "little")
    with pytest.raises(ForeignError, match="does not fit"):
        walk(page.bytes(), LAYOUT)


@given(st.binary(max_size=600), st.integers(0, 255))
def test_random_bytes_are_read_or_refused_and_nothing_else(front: bytes, rest: int) -> None:
    data = front + bytes([rest]) * (SIZE - len(front))
    try:
        found = walk(data, LAYOUT)
    except ForeignError:
        return
    assert all(at >= 0 and at + size <= SIZE for at, size in zip(found.at.tolist(), found.length.tolist(), strict=True))


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 1 << 40)), max_size=12),
    st.lists(st.tuples(st.integers(16, 400), st.integers(0, 255)), max_size=3),
)
def test_counting_finds_as_many_records_as_reading_and_refuses_the_same_pages(
    records: list[tuple[int, int]], damage: list[tuple[int, int]]
) -> None:
    page = Page(5).stamp(9).padding(20)
    for words, delta in records:
        page.record(bytes(4 * words), delta)
    data = bytearray(page.bytes())
    for place, value in damage:
        data[place] = value
    try:
        wanted = len(walk(bytes(data), LAYOUT).at)
    except ForeignError:
        with pytest.raises(ForeignError):
            count(bytes(data), LAYOUT)
    else:
        assert count(bytes(data), LAYOUT) == wanted


HEADER32 = HEADER.replace("local_t commit;\toffset:8;\tsize:8", "local_t commit;\toffset:8;\tsize:4").replace(
    "offset:16;\tsize:4080", "offset:12;\tsize:4084"
)


def page32(page: Page, flags: int = 0, tail: bytes = b"") -> bytes:
    """The same page as a kernel of 32 bits hands it out: its counts are as long as its words."""
    data = struct.pack("<QI", page.start, len(page.body) | flags) + bytes(page.body) + tail
    return data + bytes(SIZE - len(data))


def test_pages_of_a_kernel_of_32_bits_are_read() -> None:
    layout = parse_header_page(HEADER32)
    assert layout == (8, 4, 12, 4096)
    pages = [Page(100).record(b"aaaa", 5), Page(200).record(b"b" * 200, 1 << 30)]
    missed = struct.pack("<I", 17) + b"\xff"
    found = walk(page32(pages[0]) + page32(pages[1], 3 << 30, missed), layout)
    assert found.time.tolist() == [105, 200 + (1 << 30)]
    assert found.length.tolist() == [4, 200]
    assert found.missed.tolist() == [0, 17]


def test_an_absolute_time_whose_lowest_bits_began_anew_is_later() -> None:
    start = (3 << 59) + (1 << 59) - 5
    page = Page(start).stamp(7).record(b"aaaa", 1)
    assert walk(page.bytes(), LAYOUT).time.tolist() == [(4 << 59) + 8]
