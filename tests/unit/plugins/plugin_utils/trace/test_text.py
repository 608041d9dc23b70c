# SPDX-License-Identifier: GPL-3.0-or-later
"""Trace text is read into typed records, and what cannot be read is counted."""

from __future__ import annotations

import io
import re

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.formats import (
    Value,
    parse_formats,
)
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import (
    MAX_KEPT,
    NAME_WIDTH,
    Record,
    TraceReader,
    _Lines,
    read_lines,
)
from hypothesis import given
from hypothesis import strategies as st

COMMON = """\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;
"""


def form(event: str, fields: str, printed: str, system: str = "my_payload1") -> str:
    return f"== {system}/{event}\nname: {event}\nID: 1800\nformat:\n{COMMON}\n{fields}\nprint fmt: {printed}\n\n"


KMALLOC = form(
    "called___kmalloc",
    "\tfield:size_t size;\toffset:8;\tsize:8;\tsigned:0;\n"
    "\tfield:gfp_t flags;\toffset:16;\tsize:4;\tsigned:0;\n"
    "\tfield:int in_init;\toffset:20;\tsize:4;\tsigned:1;\n"
    "\tfield:const void * returnValue;\toffset:24;\tsize:8;\tsigned:0;\n",
    '"__kmalloc(%zu, %x), in init: %d, result: %p", REC->size, REC->flags, REC->in_init, REC->returnValue',
)
KFREE = form("called_kfree", "\tfield:const void * p;\toffset:8;\tsize:8;\tsigned:0;\n", '"kfree(%p)", REC->p')
NAMED = form(
    "called_named",
    "\tfield:__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:0;\n"
    "\tfield:long error;\toffset:16;\tsize:8;\tsigned:1;\n"
    "\tfield:unsigned char byte;\toffset:24;\tsize:1;\tsigned:0;\n",
    '"name="%s", 100%% %ld %-4u|%#lx", __get_str(name), (long)REC->error, REC->byte, REC->error',
)
FORMATS = parse_formats(KMALLOC + KFREE + NAMED)


def read(text: bytes, formats: dict | None = None) -> tuple[TraceReader, list[Record]]:
    reader = TraceReader(read_lines(io.BytesIO(text)), FORMATS if formats is None else formats)
    return reader, list(reader)


def line(
    event: str,
    text: str,
    comm: bytes = b"insmod",
    pid: int = 3588,
    cpu: int = 0,
    flags: str = "..... ",
    time: str = "5169.188503",
) -> bytes:
    head = comm.rjust(16) + f"-{pid:<7d} [{cpu:03d}] {flags}{time:>12}: {event}: ".encode()
    return head + text.encode("utf-8", "surrogateescape") + b"\n"


def test_a_record_has_typed_fields() -> None:
    reader, (record,) = read(line("called___kmalloc", "__kmalloc(184, d0), in init: 1, result: 00000000da01e900"))
    assert record == Record(
        1,
        "insmod",
        3588,
        0,
        ".....",
        5169188503000,
        "my_payload1",
        "called___kmalloc",
        {"size": 184, "flags": 0xD0, "in_init": 1, "returnValue": 0xDA01E900},
    )
    assert reader.malformed_count == 0
    assert reader.per_cpu == {0: 1}


def test_records_of_kernels_without_flags_and_with_thread_group_are_read() -> None:
    old = b"           rmmod-3633  [000]  5368.109582: called_kfree: kfree((null))\n"
    grouped = b"              dd-533     (    533) [001] d..1.   12.000001: called_kfree: kfree(0000000000000000)\n"
    ungrouped = b"          <idle>-0       (-------) [001] dNh1.   12.000001: called_kfree: kfree(ffff888003a1c0d0)\n"
    reader, records = read(old + grouped + ungrouped)
    assert [(record.comm, record.fields["p"]) for record in records] == [
        ("rmmod", 0),
        ("dd", 0),
        ("<idle>", 0xFFFF888003A1C0D0),
    ]
    assert reader.malformed_count == 0


def test_a_counter_clock_gives_ticks() -> None:
    _reader, (record,) = read(line("called_kfree", "kfree(1)", time="123456789"))
    assert record.time_ns == 123456789


@pytest.mark.parametrize(
    "comm", [b"a b", b"x-1 [000]", b"<...>", b"kworker/0:1-ev", b"[1] 1.1: a: b", b"-", b"\xff\xfe"]
)
def test_a_command_name_may_hold_anything(comm: bytes) -> None:
    reader, (record,) = read(line("called_kfree", "kfree(1)", comm=comm))
    assert record.comm == comm.decode("utf-8", "surrogateescape")
    assert (record.pid, reader.malformed_count) == (3588, 0)


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("(null)", 0),
        ("          (null)", 0),
        ("0000000000000000", 0),
        ("(____ptrval____)", None),
        ("(efault)", None),
        ("0xffffffffc0401000", 0xFFFFFFFFC0401000),
        ("f7d0e000", 0xF7D0E000),
    ],
)
def test_pointers_are_numbers_and_null_is_zero(shown: str, value: int | None) -> None:
    _reader, (record,) = read(line("called_kfree", f"kfree({shown})"))
    assert record.fields == {"p": value}


def test_values_have_the_sign_of_their_field() -> None:
    _reader, (record,) = read(line("called_named", 'name="a, "b"", 100% -12 255 |0xfffffffffffffff4'))
    assert record.fields == {"name": 'a, "b"', "error": -12, "byte": 255, "error#4": -12}


HEADING = b"# tracer: nop\n#\n# entries-in-buffer/entries-written: 1/7   #P:2\n#\n\n##### CPU 1 buffer started ####\n"


def test_headings_are_not_records_and_the_promised_number_is_kept() -> None:
    reader, records = read(HEADING + line("called_kfree", "kfree(1)"))
    assert (len(records), reader.entries, reader.written, reader.malformed_count) == (1, 1, 7, 0)


@pytest.mark.parametrize("text", [b"# entries-in-buffer/entries-written: 9/9\n", b"#\n", b"\n"])
def test_a_heading_stands_above_all_records(text: bytes) -> None:
    reader, _records = read(HEADING + line("called_kfree", "kfree(1)") + text)
    assert (reader.entries, reader.malformed_count, reader.malformed[0].line) == (1, 1, 8)


def test_a_time_before_that_of_the_record_above_on_its_cpu_is_counted() -> None:
    steps = [(0, "5.000001"), (1, "4.000000"), (0, "5.000001"), (0, "5.000000"), (1, "4.000001"), (1, "3.999999")]
    reader, records = read(b"".join(line("called_kfree", "kfree(1)", cpu=cpu, time=time) for cpu, time in steps))
    assert (len(records), reader.backwards, reader.first_backwards) == (6, 2, 4)


def test_lost_records_that_the_text_tells_of_are_counted() -> None:
    reader, _records = read(b"CPU:0 [LOST 12 EVENTS]\nCPU:1 [LOST EVENTS]\n")
    assert (reader.lost, reader.malformed_count) == (13, 0)
    assert reader.holes == {0: [12], 1: [0]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (line("called_kfree", "kfree(1)")[:-1], "cut off"),
        (line("called_kfree", "kfree(1")[:-1] + b"\n", "does not fit"),
        (line("called_kfree", "kfree(1) and more"), "does not fit"),
        (line("called_unknown", "x"), "no format file"),
        (b"rubbish\n", "not a trace record"),
        (b"\x00\xff\n", "not a trace record"),
        (b" " * 9000 + b"\n", "cut off"),
    ],
)
def test_an_unreadable_line_is_counted_with_its_number(text: bytes, reason: str) -> None:
    reader, records = read(line("called_kfree", "kfree(1)") + text)
    assert len(records) == 1
    assert reader.malformed_count >= 1
    assert reader.malformed[0].line == 2
    assert reason in reader.malformed[0].reason


def test_only_some_unreadable_lines_are_kept_and_all_are_counted() -> None:
    reader, _records = read(b"rubbish\n" * 1000)
    assert (reader.malformed_count, len(reader.malformed)) == (1000, MAX_KEPT)


def test_two_systems_may_have_an_event_of_one_name() -> None:
    other = form("called_kfree", "\tfield:int n;\toffset:8;\tsize:4;\tsigned:1;\n", '"freed %d"', "other")
    other = other.replace('"freed %d"', '"freed %d", REC->n')
    _reader, records = read(
        line("called_kfree", "freed 3") + line("called_kfree", "kfree(3)"), parse_formats(KFREE + other)
    )
    assert [(record.system, record.fields) for record in records] == [("other", {"n": 3}), ("my_payload1", {"p": 3})]


# -- what is printed is read back --------------------------------------------------------------------

NASTY = b"\n\r\t\v\f\x1c\x1d\x1e\x85#-[]: 019.aCPU"
comms = st.one_of(
    st.lists(st.sampled_from(NASTY), min_size=1, max_size=15).map(bytes),
    st.binary(min_size=1, max_size=15).filter(lambda raw: 0 not in raw),
    st.sampled_from(
        [b"\n" * 15, b"a\n", b"\na", b"\n#", b"# tracer: nop\n#", b"\nCPU:0 [LOST 1", b"-1 [000] 1.1: a", b"<idle>"]
    ),
).filter(lambda raw: not raw.startswith(b" "))
"""Names of threads.  Blanks at their beginning cannot be told from those that the kernel prints before them."""


@given(
    comm=comms,
    pid=st.integers(0, 1 << 22),
    cpu=st.integers(0, 4095),
    micro=st.integers(0, 10**13),
    size=st.integers(0, (1 << 64) - 1),
    flags=st.integers(0, (1 << 32) - 1),
    in_init=st.integers(-(1 << 31), (1 << 31) - 1),
    pointer=st.integers(0, (1 << 64) - 1),
)
def test_a_printed_record_is_read_back(
    comm: bytes, pid: int, cpu: int, micro: int, size: int, flags: int, in_init: int, pointer: int
) -> None:
    text = f"__kmalloc({size}, {flags:x}), in init: {in_init}, result: {pointer:016x}"
    seconds = f"{micro // 10**6:5d}.{micro % 10**6:06d}"
    reader, records = read(line("called___kmalloc", text, comm, pid, cpu, "d..1. ", seconds))
    assert reader.malformed_count == 0
    fields: dict[str, Value] = {
        "size": size,
        "flags": flags,
        "in_init": in_init,
        "returnValue": pointer,
    }
    name = comm.decode("utf-8", "surrogateescape")
    assert records == [
        Record(1, name, pid, cpu, "d..1.", micro * 1000, "my_payload1", "called___kmalloc", fields)
    ]


@given(
    name=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])),
    error=st.integers(-(1 << 63), (1 << 63) - 1),
    byte=st.integers(0, 255),
)
def test_printed_text_is_read_back(name: str, error: int, byte: int) -> None:
    text = f'name="{name}", 100% {error} {byte:<4d}|{error % (1 << 64):#x}'
    _reader, (record,) = read(line("called_named", text))
    assert record.fields == {"name": name, "error": error, "byte": byte, "error#4": error}


BETWEEN = st.sampled_from([b"", b"", b"", b"CPU:1 [LOST 3 EVENTS]\n", b"##### CPU 1 buffer started ####\n"])


@given(st.lists(st.tuples(comms, st.sampled_from(["called_kfree", "called_named"]), BETWEEN), max_size=12))
def test_records_are_read_whatever_the_names_of_their_threads(steps: list[tuple[bytes, str, bytes]]) -> None:
    texts = {"called_kfree": "kfree(1)", "called_named": 'name="x", 100% 1 2   |0x1'}
    made = [line(event, texts[event], comm, number) + after for number, (comm, event, after) in enumerate(steps)]
    reader, records = read(HEADING + b"".join(made))
    assert [(one.comm, one.pid, one.event) for one in records] == [
        (comm.decode("utf-8", "surrogateescape"), number, event) for number, (comm, event, _after) in enumerate(steps)
    ]
    assert (reader.malformed_count, reader.entries) == (0, 1)
    assert reader.lost == 3 * sum(after.startswith(b"CPU") for _comm, _event, after in steps)


@given(st.lists(st.one_of(comms, st.sampled_from([b"", b" ", b"-1 [000] 1: called_kfree: kfree(1)"])), max_size=30))
def test_a_record_is_read_after_any_lines(lines: list[bytes]) -> None:
    """Lines that are not records are counted, and none takes a record with it."""
    garbage = b"".join(raw.replace(b"\n", b"") + b"\n" for raw in lines)
    _reader, records = read(
        line("called_named", 'name="x", 100% 1 2   |0x1') + garbage + line("called_kfree", "kfree(2)")
    )
    assert [record.event for record in records][-1] == "called_kfree"


@pytest.mark.parametrize("below", [b" \n", b"\n", b"x\n", b" " * 16 + b"\n"])
def test_unreadable_lines_take_time_in_proportion(monkeypatch: pytest.MonkeyPatch, below: bytes) -> None:
    """A line is looked at a bounded number of times, whatever stands above and below it."""
    looked, peek = [], _Lines.peek
    monkeypatch.setattr(_Lines, "peek", lambda lines, index: looked.append(index) or peek(lines, index))
    text = (line("called_named", 'name="') + below * 500) * 20
    reader, records = read(text)
    assert (records, reader.malformed_count) == ([], 20 * 501)
    assert len(looked) < 2 * (NAME_WIDTH + 1) * 20 * 501


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_a_printed_text_may_have_several_lines(values: list[str]) -> None:
    begins = re.compile(r"^(?: .{15}-|CPU:|#{4,5} CPU)", re.MULTILINE)
    values = [value for value in values if not begins.search(value) and "\n " not in value]
    reader, records = read(b"".join(line("called_named", f'name="{value}", 100% 1 2   |0x1') for value in values))
    assert [record.fields["name"] for record in records] == values
    assert reader.malformed_count == 0


OPEN = parse_formats(
    form("called_open", "\tfield:char name[9];\toffset:8;\tsize:9;\tsigned:0;\n", '"open %s", REC->name')
    + form("called_two", "\tfield:char name[9];\toffset:8;\tsize:9;\tsigned:0;\n", '"%s: %s", REC->name, REC->name')
    + form("called_flags", "\tfield:int f;\toffset:8;\tsize:4;\tsigned:1;\n", '"%s", REC->f ? "yes" : "no"')
)


@pytest.mark.parametrize(
    ("event", "text", "names", "bad"),
    [
        ("called_open", "open a\nrubbish", ["a"], 1),
        ("called_two", "a\nb: c", ["a\nb"], 0),
        ("called_flags", "yes\nrubbish", ["yes"], 1),
    ],
)
def test_a_text_at_the_end_takes_no_line_that_may_not_be_its_own(
    event: str, text: str, names: list[str], bad: int
) -> None:
    reader, records = read(line(event, text), OPEN)
    assert [next(iter(record.fields.values())) for record in records] == names
    assert reader.malformed_count == bad


@given(
    st.lists(st.binary(max_size=60).filter(lambda raw: b"\n" not in raw and raw[:1] not in (b"", b"#")), max_size=20)
)
def test_every_line_is_a_record_or_counted(lines: list[bytes]) -> None:
    reader, records = read(b"".join(raw + b"\n" for raw in lines))
    assert len(records) + reader.malformed_count == len(lines)
