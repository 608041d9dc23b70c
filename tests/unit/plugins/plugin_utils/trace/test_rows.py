# SPDX-License-Identifier: GPL-3.0-or-later
"""Records become rows of one table, whichever kernel wrote them, binary or printed."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import pages, rows
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.formats import TraceError, parse_formats
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.layouts import parse_layouts
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import TraceReader
from hypothesis import given
from hypothesis import strategies as st

from ..ring_pages import HEADER, SIZE, Page

LAYOUT = pages.parse_header_page(HEADER)
ORIGIN = rows.Origin("web1", "6.12.117")
COMMON = [
    "unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;",
    "unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;",
    "unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;",
    "int common_pid;\toffset:4;\tsize:4;\tsigned:1;",
]


def form(number: int, event: str, *fields: str, printed: str = '""') -> str:
    lines = "\n".join(f"\tfield:{one}" for one in (*COMMON, "", *fields) if one)
    return f"== my_payload/{event}\nname: {event}\nID: {number}\nformat:\n{lines}\n\nprint fmt: {printed}\n"


def without_signs(text: str) -> str:
    """A format as 2.6.31 writes it: it says of no field whether it has a sign."""
    return text.replace("\tsigned:0;", "").replace("\tsigned:1;", "")


KMALLOC = form(
    7,
    "called_kmalloc",
    "size_t size;\toffset:8;\tsize:8;\tsigned:0;",
    "gfp_t flags;\toffset:16;\tsize:4;\tsigned:0;",
    "int in_init;\toffset:20;\tsize:4;\tsigned:1;",
    "const void * returnValue;\toffset:24;\tsize:8;\tsigned:0;",
    printed='"kmalloc(%zu, %x), in init: %d, result: %p", REC->size, REC->flags, REC->in_init, REC->returnValue',
)
KFREE = form(8, "called_kfree", "const void * p;\toffset:8;\tsize:8;\tsigned:0;", printed='"kfree(%p)", REC->p')


def content(number: int, pid: int, body: bytes) -> bytes:
    """A record: the common fields and its own, with the bytes that make its length a multiple of four."""
    data = struct.pack("<HBBi", number, 0, 0, pid) + body
    return data + bytes(-len(data) % 4)


def table(page: Page, formats: str, comms: dict[int, str] | None = None, origin: Any = ORIGIN) -> list[dict[str, Any]]:
    walked = pages.walk(page.bytes(), LAYOUT)
    batch = rows.batch(walked, 3, parse_layouts(formats), comms or {}, origin)
    batch.validate(full=True)
    return batch.to_pylist(maps_as_pydicts="strict")


def one(formats: str, body: bytes) -> dict[str, Any]:
    (row,) = table(Page(100).record(content(7, 1, body)), formats)
    return row


def test_a_record_is_a_row_of_typed_columns() -> None:
    page = Page(1000).record(content(7, 42, struct.pack("<QIiQ", 96, 0xDC0, 1, 0xFFFF888012345678)), 5)
    origin = ORIGIN._replace(sites={"called_kmalloc": "ext4:core+0x10"}, moments={"called_kmalloc": "after"})
    assert table(page, KMALLOC, {42: "modprobe"}, origin) == [
        {
            "host": "web1",
            "kernel": "6.12.117",
            "cpu": 3,
            "pid": 42,
            "comm": "modprobe",
            "time_ns": 1005,
            "event": "called_kmalloc",
            "in_init": True,
            "ints": {"size": 96, "flags": 0xDC0},
            "texts": {},
            "result": 0xFFFF888012345678 - (1 << 64),
            "site": "ext4:core+0x10",
            "moment": "after",
        }
    ]


def test_rows_of_different_events_stay_in_the_order_of_their_time() -> None:
    page = Page(10)
    for step in range(6):
        body = struct.pack("<QIiQ", step, 0, 0, step) if step % 2 else struct.pack("<Q", step)
        page.record(content(7 if step % 2 else 8, step, body), 1)
    found = table(page, KMALLOC + KFREE, {1: "a", 2: "b"})
    assert [row["time_ns"] for row in found] == [11, 12, 13, 14, 15, 16]
    assert [row["event"] for row in found] == ["called_kfree", "called_kmalloc"] * 3
    assert [row["ints"].get("p", row["ints"].get("size")) for row in found] == [0, 1, 2, 3, 4, 5]
    assert [row["comm"] for row in found] == ["<idle>", "a", "b", None, None, None]
    assert [row["in_init"] for row in found] == [None, False] * 3
    assert [row["result"] for row in found] == [None, 1, None, 3, None, 5]


@pytest.mark.parametrize(
    ("field", "packed", "value"),
    [
        ("int n;\toffset:8;\tsize:4;\tsigned:1;", struct.pack("<i", -14), -14),
        ("u32 n;\toffset:8;\tsize:4;\tsigned:0;", struct.pack("<i", -14), (1 << 32) - 14),
        ("s8 n;\toffset:8;\tsize:1;\tsigned:1;", b"\xff", -1),
        ("bool n;\toffset:8;\tsize:1;\tsigned:0;", b"\x01", 1),
        ("short n;\toffset:9;\tsize:2;\tsigned:1;", b"\0" + struct.pack("<h", -2), -2),
        ("u64 n;\toffset:8;\tsize:8;\tsigned:0;", b"\xff" * 8, -1),
        ("long n;\toffset:8;\tsize:8;\tsigned:1;", struct.pack("<q", -(1 << 63)), -(1 << 63)),
        ("void * n;\toffset:8;\tsize:4;\tsigned:1;", b"\xf0\xff\xff\xff", 0xFFFFFFF0),
        ("u64 n;\toffset:12;\tsize:8;\tsigned:0;", b"\0\0\0\0" + struct.pack("<Q", 5), 5),
    ],
)
def test_numbers_have_the_size_and_the_sign_of_their_field(field: str, packed: bytes, value: int) -> None:
    assert one(form(7, "called_f", field), packed)["ints"] == {"n": value}


@pytest.mark.parametrize(
    ("ctype", "packed", "value"),
    [
        ("long", struct.pack("<q", -12), -12),
        ("int", struct.pack("<i", -12), -12),
        ("void *", struct.pack("<q", -12), -12),
        ("void *", struct.pack("<i", -12), -12),  # of a kernel of 32 bits
        ("void *", struct.pack("<I", 0xC1C2B000), 0xC1C2B000),
        ("unsigned long", struct.pack("<I", 0xFFFFFFFF), 0xFFFFFFFF),
        ("bool", b"\1", 1),
    ],
)
def test_results_that_are_errors_are_negative(ctype: str, packed: bytes, value: int) -> None:
    signed = int(ctype in ("long", "int"))
    field = f"{ctype} returnValue;\toffset:8;\tsize:{len(packed)};\tsigned:{signed};"
    row = one(form(7, "called_f", field), packed)
    assert (row["result"], row["ints"]) == (value, {})


@pytest.mark.parametrize("ctype", ["int", "long", "pid_t", "const int"])
def test_where_a_format_says_nothing_of_signs_the_type_does(ctype: str) -> None:
    field = f"{ctype} n;\toffset:8;\tsize:4;\tsigned:1;"
    assert one(without_signs(form(7, "called_f", field)), struct.pack("<i", -14))["ints"] == {"n": -14}


def test_an_array_of_characters_ends_at_its_first_nul() -> None:
    text = form(
        7, "called_f", "char name[8];\toffset:8;\tsize:8;\tsigned:1;", "char to[4];\toffset:16;\tsize:4;\tsigned:1;"
    )
    assert one(text, b"sh\0trash" + b"full")["texts"] == {"name": "sh", "to": "full"}
    assert one(text, b"\0" * 12)["texts"] == {"name": "", "to": ""}


def test_a_located_text_is_read_where_the_record_says() -> None:
    text = form(
        7,
        "called_f",
        "__data_loc char[] a;\toffset:8;\tsize:4;\tsigned:1;",
        "__rel_loc char[] b;\toffset:12;\tsize:4;\tsigned:1;",
    )
    body = struct.pack("<II", 16 | 4 << 16, 4 | 3 << 16) + b"abc\0de\0x"
    assert one(text, body)["texts"] == {"a": "abc", "b": "de"}


def test_a_located_text_of_2_6_31_has_no_length_and_ends_at_its_nul() -> None:
    text = without_signs(form(7, "called_f", "__data_loc char[] a;\toffset:8;\tsize:4;\tsigned:1;"))
    assert one(text, struct.pack("<I", 12) + b"abcdef\0x")["texts"] == {"a": "abcdef"}


@pytest.mark.parametrize("word", [0xFFFF | 0xFFFF << 16, 0 | 0xFFFF << 16, 0xFFFF, 16 | 0xFFFF << 16])
def test_a_located_text_does_not_leave_its_record(word: int) -> None:
    text = form(7, "called_f", "__data_loc char[] a;\toffset:8;\tsize:4;\tsigned:1;")
    page = Page(1).record(content(7, 1, struct.pack("<I", word) + b"mine")).record(content(7, 1, b"\0" * 4 + b"next"))
    assert table(page, text)[0]["texts"]["a"] in ("", "mine", "\x07")


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    text = form(7, "called_f", "char a[4];\toffset:8;\tsize:4;\tsigned:1;")
    page = Page(1).record(content(7, 1, b"\xc3\xa9\xff\0")).record(content(7, 1, b"ab\0\0"))
    assert [row["texts"]["a"] for row in table(page, text)] == ["é\ufffd", "ab"]


@pytest.mark.parametrize(
    ("field", "body", "digits"),
    [
        ("u8 a[6];\toffset:8;\tsize:6;\tsigned:0;", b"\1\2\3\4\5\xff", "0102030405ff"),
        ("unsigned long a[2];\toffset:8;\tsize:16;\tsigned:0;", bytes(15) + b"\1", "00" * 15 + "01"),
        (
            "__data_loc unsigned long[] a;\toffset:8;\tsize:4;\tsigned:0;",
            struct.pack("<I", 12 | 2 << 16) + b"\1\2",
            "0102",
        ),
        ("struct in6_addr a;\toffset:8;\tsize:16;\tsigned:0;", b"\x20" + bytes(15), "20" + "00" * 15),
    ],
)
def test_what_is_neither_number_nor_text_is_kept_as_digits(field: str, body: bytes, digits: str) -> None:
    assert one(form(7, "called_f", field), body)["texts"] == {"a": digits}


def test_common_fields_of_other_kernels_are_no_arguments() -> None:
    text = form(
        7, "called_f", "int common_lock_depth;\toffset:8;\tsize:4;\tsigned:1;", "int n;\toffset:12;\tsize:4;\tsigned:1;"
    )
    assert one(text, struct.pack("<ii", -1, 5))["ints"] == {"n": 5}


def test_a_record_of_an_unknown_event_is_a_row_with_its_bytes() -> None:
    page = Page(1).record(content(99, 5, b"abcd")).record(content(8, 5, struct.pack("<Q", 1)))
    unknown, known = table(page, KFREE)
    assert (unknown["event"], unknown["pid"], unknown["ints"]) == ("unknown", 5, {"number": 99})
    assert unknown["texts"] == {"bytes": content(99, 5, b"abcd").hex()}
    assert (known["event"], known["ints"]) == ("called_kfree", {"p": 1})


def test_a_record_that_is_longer_than_small_ones_is_read_like_them() -> None:
    text = form(
        7, "called_f", "char a[2000];\toffset:8;\tsize:2000;\tsigned:1;", "int n;\toffset:2008;\tsize:4;\tsigned:1;"
    )
    assert one(text, b"x" * 2000 + struct.pack("<i", -3))["texts"]["a"] == "x" * 2000


def test_a_record_that_is_too_short_is_refused() -> None:
    with pytest.raises(ForeignError, match="cpu3: a record of called_kfree is shorter than its 16 bytes"):
        table(Page(1).record(content(8, 1, b"abcd")), KFREE)
    with pytest.raises(ForeignError, match="the common fields alone have 8"):
        table(Page(1).record(b"\7\0\0\0"), KFREE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("ID: 8", "ID: x"), "no number"),
        (("int common_pid", "int common_tgid"), "no common_pid"),
        (("offset:8", "offset:99999"), "end at byte 100007; at most 128 fields"),
        (
            ("\tfield:const void * p;", "\tfield:int q;\toffset:8;\tsize:4;\n" * 200 + "\tfield:const void * p;"),
            "201 fields",
        ),
    ],
)
def test_a_format_that_does_not_describe_records_is_refused(change: tuple[str, str], reason: str) -> None:
    with pytest.raises(ForeignError, match=f"called_kfree.*{reason}"):
        parse_layouts(KFREE.replace(*change))


def test_an_empty_page_makes_an_empty_table() -> None:
    assert table(Page(1), KFREE) == []


@given(
    st.lists(
        st.tuples(
            st.integers(-(1 << 31), (1 << 31) - 1),
            st.integers(0, (1 << 64) - 1),
            st.integers(-(1 << 31), (1 << 31) - 1),
            st.integers(0, 1 << 30),
        ),
        max_size=40,
    )
)
def test_every_number_comes_back(calls: list[tuple[int, int, int, int]]) -> None:
    page, wanted = Page(0), []
    for pid, size, flag, delta in calls:
        page.record(content(7, pid, struct.pack("<QIiQ", size, 1, flag, size)), delta)
        whole = size - (1 << 64) if size >> 63 else size
        wanted.append((pid, whole, flag != 0, whole, page.time))
    found = [
        (row["pid"], row["ints"]["size"], row["in_init"], row["result"], row["time_ns"]) for row in table(page, KMALLOC)
    ]
    assert found == wanted


@given(st.binary(max_size=400), st.integers(0, 255))
def test_random_pages_make_rows_or_are_refused(front: bytes, rest: int) -> None:
    start = struct.pack("<QQ", 1, 512)
    data = start + front + bytes([rest]) * (SIZE - len(start) - len(front))
    layouts = parse_layouts(
        KMALLOC + KFREE + form(0, "any", "__data_loc char[] a;\toffset:8;\tsize:4;\tsigned:1;")
    )
    try:
        walked = pages.walk(data, LAYOUT)
        batch = rows.batch(walked, 0, layouts, {}, ORIGIN)
    except ForeignError:
        return
    batch.validate(full=True)
    assert batch.num_rows == len(walked.at)
    assert all(len(text) <= SIZE for row in batch.to_pylist() for _name, text in row["texts"])


@given(st.text(max_size=300), st.integers(0, 400))
def test_random_formats_are_read_or_refused(text: str, place: int) -> None:
    changed = KMALLOC[:place] + text + KMALLOC[place + len(text) // 2 :]
    try:
        layouts = parse_layouts(changed)
    except (ForeignError, TraceError) as error:
        assert str(error)
        return
    assert all(0 <= layout.size <= 1 << 16 for layout in layouts.values())


# -- printed records ---------------------------------------------------------------------------------


def printed(formats: str, *lines: str) -> list[dict[str, Any]]:
    known = parse_formats(formats)
    reader = TraceReader(
        io.BytesIO("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")), known
    )
    found = []
    for batch in rows.text_batches(reader, known, ORIGIN):
        batch.validate(full=True)
        assert batch.schema == rows.schema()
        found += batch.to_pylist(maps_as_pydicts="strict")
    return found


def test_a_printed_record_makes_the_same_row_as_a_binary_one() -> None:
    (row,) = printed(
        KMALLOC,
        "        modprobe-42      [003] ..... 5169.188503: called_kmalloc: "
        "kmalloc(96, dc0), in init: 1, result: ffff888012345678",
    )
    page = Page(5169188503000).record(content(7, 42, struct.pack("<QIiQ", 96, 0xDC0, 1, 0xFFFF888012345678)))
    assert [row] == table(page, KMALLOC, {42: "modprobe"})


def test_a_printed_error_of_32_bits_is_negative_too() -> None:
    text = KMALLOC.replace("offset:24;\tsize:8", "offset:24;\tsize:4")
    line = "              sh-1       [000] ..... 1.000000: called_kmalloc: kmalloc(1, 1), in init: 0, result: {}"
    found = printed(text, line.format("fffffff4"), line.format("c1c2b000"))
    assert [row["result"] for row in found] == [-12, 0xC1C2B000]


def test_what_the_kernel_hides_or_forgot_is_null() -> None:
    (row,) = printed(
        KMALLOC,
        "           <...>-42      [003] ..... 1.000000: called_kmalloc: "
        "kmalloc(96, 1), in init: 0, result: (____ptrval____)",
    )
    assert (row["comm"], row["result"], row["in_init"]) == (None, None, False)
