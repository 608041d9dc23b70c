# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports of a run, each counted and compared through the tool that it is for.

The pages are real ones, from a Debian 13 guest (``tests/unit/data/host``), with the text that the kernel printed
of them.  trace-cmd reads trace.dat; Perfetto's own schema reads its files; the merged records are put in order again.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.files import whole_file
from ansible_collections.kedr.lab.plugins.plugin_utils.cli.main import main
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import host_records
from ansible_collections.kedr.lab.plugins.plugin_utils.export import merged as export_merged
from ansible_collections.kedr.lab.plugins.plugin_utils.export import perfetto
from ansible_collections.kedr.lab.plugins.plugin_utils.export.formats import FORMATS
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks, collected, dataset, pages
from hypothesis import given
from hypothesis import strategies as st
from moments import moment, order
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from ..host_dir import seal

ROOT = Path(paths.ROOT)
COLLECTED = ROOT / "tests" / "unit" / "data" / "host"
COUNT = 783
"""Records that the kernel printed."""
PAGE = 4096
DAY = 1_795_435_517_128_967_447
BEGIN, END = 31_000_000_000, 32_000_000_000
ERROR_NS = 1_000_000
LINE = re.compile(r"\s*(.{1,16})-(\d+)\s+\[(\d+)\] (?:\S+ )?\s*(?:(\d+)\.(\d{6}|\d{9})|(\d+)): (\w+):\s+(.*)")


def write_clocks(directory: Path, shift: int, boot_id: str = "", error_ns: int | None = ERROR_NS) -> None:
    """Two pairs around the records; the offset grows by a microsecond between them."""
    lines = [
        f"clocks begin boot timers {BEGIN} {DAY + shift} 0",
        f"clocks end boot timers {END} {DAY + shift + 1000} 0",
    ]
    objects = clocks.take(lines + ([f"clocks boot_id {boot_id}"] if boot_id else []))
    if error_ns is not None:
        objects.append({"chrony": {"error_ns": error_ns}})
    (directory / "clocks.jsonl").write_text(clocks.dump(objects))


def collect(run: Path, host: str, shift: int = 0, **about: Any) -> Path:
    """A host whose files are the collected ones, and its table."""
    directory = run / host
    shutil.copytree(COLLECTED, directory)
    write_clocks(directory, shift, **about)
    rows = host_records.find(str(directory), host).batches()
    assert dataset.write(str(run / "records"), run.name, "Debian 13", host, rows) == COUNT
    return directory


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with one host."""
    collect(tmp_path / "run1", "alpha")
    return tmp_path / "run1"


def call(*arguments: object) -> int:
    return main(["export", *map(str, arguments)])


def kernel_lines() -> list[re.Match[str]]:
    """The records as the kernel printed them."""
    lines = (COLLECTED / "trace.txt").read_text().splitlines()
    found = [LINE.fullmatch(line) for line in lines if not line.startswith("#")]
    assert len(found) == COUNT
    return [line for line in found if line is not None]


# -- trace.dat ---------------------------------------------------------------------------------------


def report(path: Path, *options: str) -> list[re.Match[str]]:
    """The records that trace-cmd finds in a file."""
    run = subprocess.run(
        ["trace-cmd", "report", "-N", *options, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "DROPPED" not in run.stdout
    lines = [LINE.fullmatch(line) for line in run.stdout.splitlines() if not line.startswith("cpus=")]
    assert None not in lines
    return [line for line in lines if line is not None]


def nanoseconds(line: re.Match[str]) -> int:
    return int(line[6]) if line[6] else int(line[4]) * 10**9 + int(line[5].ljust(9, "0"))


def test_trace_cmd_reads_the_records_that_the_kernel_printed(run: Path, tmp_path: Path) -> None:
    assert call("trace-dat", run / "alpha", "-o", tmp_path / "trace.dat") == 0
    found, kernel = report(tmp_path / "trace.dat", "-t"), kernel_lines()
    assert [(line[1].strip(), line[2], line[3], line[7]) for line in found] == [
        (line[1].strip(), line[2], line[3], line[7]) for line in kernel
    ]
    assert max(abs(nanoseconds(one) - nanoseconds(two)) for one, two in zip(found, kernel, strict=True)) <= 500
    printed = [(one[8], two[8]) for one, two in zip(found, kernel, strict=True) if one[7] == "sched_process_exec"]
    assert printed == [("filename=/usr/bin/ls pid=186 old_pid=186",) * 2]


def test_a_name_with_a_line_end_is_spelled_out_for_trace_cmd(run: Path, tmp_path: Path) -> None:
    names = (run / "alpha" / "comms.txt").read_bytes()
    assert re.search(rb"^186 \w+$", names, re.MULTILINE)
    (run / "alpha" / "comms.txt").write_bytes(re.sub(rb"(?m)^186 .*$", b"186 a\n\x1b[2J\r", names))
    assert call("trace-dat", run / "alpha", "-o", tmp_path / "trace.dat") == 0
    assert {line[1].strip() for line in report(tmp_path / "trace.dat") if line[2] == "186"} == {"a\\n\\x1b[2J\\r"}


@pytest.mark.parametrize("form", FORMATS)
def test_damage_is_told_and_stops_no_export(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    seal(run / "alpha")
    pages = run / "alpha" / "raw" / "cpu0.pages"
    spoiled = bytearray(pages.read_bytes())
    spoiled[PAGE - 1] ^= 1  # behind the last record of the page
    pages.write_bytes(spoiled)
    assert call(form, run if form == "merged" else run / "alpha", "-o", tmp_path / "out") == 0
    said = "".join(capsys.readouterr())
    assert f"raw/cpu0.pages: bytes 0 to {len(spoiled)} are not those that were received" in said


def test_trace_cmd_counts_each_cpu(run: Path, tmp_path: Path) -> None:
    """CPU 2 has the first three pages of CPU 0 and half a page more; of CPU 1 nothing came."""
    pages = (COLLECTED / "raw" / "cpu0.pages").read_bytes()
    (run / "alpha" / "raw" / "cpu2.pages.part").write_bytes(pages[: 3 * PAGE + PAGE // 2])
    assert call("trace-dat", run / "alpha", "-o", tmp_path / "trace.dat") == 0
    found = Counter((line[3], line[7]) for line in report(tmp_path / "trace.dat"))
    counted = collected.read(str(run / "alpha"))
    counted.count()
    assert {cpu: sum(n for (number, _event), n in found.items() if int(number) == cpu) for cpu in (0, 1, 2)} == {
        0: COUNT,
        1: 0,
        2: counted.cpus[2].decoded,
    }
    kernel = Counter(line[7] for line in kernel_lines())
    assert {event: n for (number, event), n in found.items() if number == "000"} == kernel


def test_trace_cmd_shows_what_the_kernel_counted_and_which_it_was(run: Path, tmp_path: Path) -> None:
    assert call("trace-dat", run / "alpha", "-o", tmp_path / "trace.dat") == 0
    shown = [
        subprocess.run(
            ["trace-cmd", "report", option, str(tmp_path / "trace.dat")], capture_output=True, text=True, check=True
        ).stdout
        for option in ("--stat", "--uname")
    ]
    assert "CPU: 0\nentries: 0" in shown[0] and f"read events: {COUNT}" in shown[0]
    assert "Linux alpha 6.12.117+deb13-amd64" in shown[1]


def lose(directory: Path) -> None:
    """Records are lost before pages 3 and 1, as the kernel tells it: a mark, and how many where there is room."""
    pages = bytearray((COLLECTED / "raw" / "cpu0.pages").read_bytes())
    for page, lost in ((3, 4711), (1, 0)):
        start = page * PAGE
        [used] = struct.unpack_from("<Q", pages, start + 8)
        struct.pack_into("<Q", pages, start + 8, used | 1 << 31 | (1 << 30 if lost else 0))
        if lost:
            struct.pack_into("<Q", pages, start + 16 + used, lost)
    (directory / "raw" / "cpu0.pages").write_bytes(pages)
    stats = (directory / "stats.txt").read_text()
    (directory / "stats.txt").write_text(stats.replace("\noverrun: 0", "\noverrun: 4712"))


def test_trace_cmd_shows_where_records_were_lost(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lose(run / "alpha")
    assert call("trace-dat", run / "alpha", "-o", tmp_path / "trace.dat") == 0
    assert "lost on the host: CPU 0: 4712" in capsys.readouterr().out
    shown = subprocess.run(
        ["trace-cmd", "report", "-N", str(tmp_path / "trace.dat")], capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"CPU:0 \[(.*)EVENTS DROPPED\]", shown) == ["", "4711 "]


def test_without_pages_no_trace_dat_is_made(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "alpha" / "raw")
    assert call("trace-dat", run / "alpha", "-o", tmp_path / "trace.dat") == 2
    assert "alpha: no raw pages were collected" in capsys.readouterr().err
    assert not (tmp_path / "trace.dat").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("header.txt", None, "header.txt is missing"),
        ("header.txt", "nothing", "header_page does not name timestamp"),
        ("formats.txt", "format: x\n", "stands before the first"),
        ("formats.txt", "== kmem/k\0free\nID: 1\n", "line 1: 'kmem/k\\x00free' does not name an event"),
        ("facts.json", "{", "facts.json: is not valid JSON"),
        ("clocks.jsonl", "{", "line 1: not a reading of clocks"),
    ],
)
def test_a_damaged_description_is_named_and_a_good_file_stays(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, reason: str
) -> None:
    (tmp_path / "trace.dat").write_bytes(b"good")
    if content is None:
        (run / "alpha" / name).unlink()
    else:
        (run / "alpha" / name).write_text(content)
    assert call("trace-dat", run / "alpha", "-o", tmp_path / "trace.dat") == 2
    assert reason in capsys.readouterr().err
    assert (tmp_path / "trace.dat").read_bytes() == b"good"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


# -- Perfetto ----------------------------------------------------------------------------------------


def read_perfetto(path: Path) -> Any:
    """A file, read by Perfetto's own schema; nothing in it is unknown to the schema."""
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString(path.read_bytes())
    size = trace.ByteSize()
    trace.DiscardUnknownFields()
    assert trace.ByteSize() == size
    return trace


def interned(trace: Any) -> tuple[dict[int, str], dict[int, str]]:
    """Names of events and of annotations."""
    every = [packet.interned_data for packet in trace.packet]
    return (
        {one.iid: one.name for data in every for one in data.event_names},
        {one.iid: one.name for data in every for one in data.debug_annotation_names},
    )


def test_perfetto_has_every_record_with_its_time_to_the_nanosecond(run: Path, tmp_path: Path) -> None:
    assert call("perfetto", run / "alpha", "-o", tmp_path / "alpha.pftrace") == 0
    trace = read_perfetto(tmp_path / "alpha.pftrace")
    events, _names = interned(trace)
    found = [packet for packet in trace.packet if packet.HasField("track_event")]
    counted = Counter(events[packet.track_event.name_iid] for packet in found)
    assert counted == Counter(line[7] for line in kernel_lines())
    layout = pages.parse_header_page((COLLECTED / "header.txt").read_text())
    walk = pages.walk((COLLECTED / "raw" / "cpu0.pages").read_bytes(), layout)
    assert sorted(packet.timestamp for packet in found) == walk.time.tolist()
    tracks = {p.track_descriptor.uuid: p.track_descriptor for p in trace.packet if p.HasField("track_descriptor")}
    assert {tracks[packet.track_event.track_uuid].name for packet in found} == {"CPU 0"}
    assert {tracks[track.parent_uuid].name for track in tracks.values() if track.parent_uuid} == {"alpha"}


def test_perfetto_has_the_arguments(run: Path, tmp_path: Path) -> None:
    assert call("perfetto", run / "alpha", "-o", tmp_path / "alpha.pftrace") == 0
    trace = read_perfetto(tmp_path / "alpha.pftrace")
    events, names = interned(trace)
    [exec_event] = [p.track_event for p in trace.packet if events.get(p.track_event.name_iid) == "sched_process_exec"]
    values = {names[one.name_iid]: one for one in exec_event.debug_annotations}
    assert values["filename"].string_value == "/usr/bin/ls"
    assert (values["pid"].int_value, values["comm"].string_value) == (186, "ls")
    first = next(p.track_event for p in trace.packet if events.get(p.track_event.name_iid) == "kmalloc")
    values = {names[one.name_iid]: one for one in first.debug_annotations}
    assert values["bytes_req"].int_value == 72 and values["node"].int_value == -1
    assert values["ptr"].pointer_value >> 48 == 0xFFFF


def test_perfetto_relates_the_trace_clock_to_the_clock_of_day(run: Path, tmp_path: Path) -> None:
    assert call("perfetto", run / "alpha", "-o", tmp_path / "alpha.pftrace") == 0
    trace = read_perfetto(tmp_path / "alpha.pftrace")
    snapshots = [packet.clock_snapshot for packet in trace.packet if packet.HasField("clock_snapshot")]
    assert [{one.clock_id: one.timestamp for one in snapshot.clocks} for snapshot in snapshots] == [
        {perfetto_trace_pb2.BUILTIN_CLOCK_BOOTTIME: BEGIN, perfetto_trace_pb2.BUILTIN_CLOCK_REALTIME: BEGIN + DAY},
        {perfetto_trace_pb2.BUILTIN_CLOCK_BOOTTIME: END, perfetto_trace_pb2.BUILTIN_CLOCK_REALTIME: END + DAY + 1000},
    ]
    [defaults] = [p.trace_packet_defaults for p in trace.packet if p.HasField("trace_packet_defaults")]
    assert defaults.timestamp_clock_id == perfetto_trace_pb2.BUILTIN_CLOCK_BOOTTIME


def test_perfetto_draws_what_was_lost(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lose(run / "alpha")
    assert call("perfetto", run / "alpha", "-o", tmp_path / "alpha.pftrace") == 0
    assert "lost on the host: CPU 0: 4712" in capsys.readouterr().out
    trace = read_perfetto(tmp_path / "alpha.pftrace")
    [track] = [p.track_descriptor.uuid for p in trace.packet if p.track_descriptor.name == "CPU 0: lost"]
    drawn = [packet for packet in trace.packet if packet.track_event.track_uuid == track]
    kinds = perfetto_trace_pb2.TrackEvent
    assert [packet.track_event.type for packet in drawn] == [kinds.TYPE_SLICE_BEGIN, kinds.TYPE_SLICE_END] * 2
    assert [packet.track_event.name for packet in drawn][::2] == ["records lost", "4711 records lost"]
    for begin, end in (drawn[:2], drawn[2:]):
        assert begin.timestamp < end.timestamp
        inside = [p for p in trace.packet if p.track_event.name_iid and begin.timestamp < p.timestamp < end.timestamp]
        assert inside == []


def test_a_host_that_died_before_it_could_count_is_told_of(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "alpha" / "stats.txt").unlink()
    for form in FORMATS:
        assert call(form, run if form == "merged" else run / "alpha", "-o", tmp_path / form) == 0
        said = capsys.readouterr()
        assert "whether records were lost is not known: stats.txt is missing" in said.out + said.err


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.text(), st.booleans(), st.integers(0, 1 << 62), st.integers(0, 999))
def test_whatever_a_record_holds_survives(number: int, text: str, flag: bool, time: int, cpu: int) -> None:
    stream = io.BytesIO()
    writer = perfetto.Writer(stream, "host", clocks.Clock("tai", (clocks.ClockPair("begin", "tai", 5, 6, 7),)))
    row = {"cpu": cpu, "time_ns": time, "event": text, "in_init": flag, "result": number, "texts": [("t", text)]}
    writer.add({**row, "comm": None, "ints": [("n", number)]})
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString(stream.getvalue())
    events, names = interned(trace)
    packet = trace.packet[-1]
    values = {names[one.name_iid]: one for one in packet.track_event.debug_annotations}
    shown = text.encode("utf-8", "replace").decode()
    assert packet.timestamp == time and events[packet.track_event.name_iid] == shown
    assert values["t"].string_value == shown and values["in_init"].bool_value is flag and "comm" not in values
    for name in ("result", "n"):
        value = values[name]
        assert value.int_value == number or value.pointer_value == number + (1 << 64)


def test_the_manifest_names_each_machine_and_fits_its_schema(tmp_path: Path) -> None:
    run = tmp_path / "run1"
    collect(run, "alpha")
    collect(run, "beta", shift=5, error_ns=None)
    (run / "beta" / "clocks.jsonl").write_text("")
    assert call("perfetto", run, "-o", tmp_path / "out") == 0
    manifest = json.loads((tmp_path / "out" / "perfetto_manifest.json").read_text())
    jsonschema.validate(manifest, json.loads((ROOT / "schemas" / "perfetto_manifest.schema.json").read_text()))
    inner = manifest["perfetto_manifest"]
    assert {file["machine"]["name"]: (tmp_path / "out" / file["path"]).is_file() for file in inner["files"]} == {
        "alpha": True,
        "beta": True,
    }
    subprocess.run(["sh", "-c", "tar -cf ../fleet.tar *"], cwd=tmp_path / "out", check=True)
    with tarfile.open(tmp_path / "fleet.tar") as archive:
        assert set(archive.getnames()) == {"perfetto_manifest.json", *(file["path"] for file in inner["files"])}
    assert inner["attributes"] == {
        "kedr.run": "run1",
        "kedr.offset_ns.alpha": DAY,
        "kedr.bound_ns.alpha": clocks.TIMERS_NS + 1000,
        "kedr.error_ns.alpha": ERROR_NS,
        "kedr.offset_ns.beta": "unknown",
        "kedr.bound_ns.beta": "unknown",
        "kedr.error_ns.beta": "unknown",
    }
    assert inner["trace_time"] == {"clock": "REALTIME", "file": "alpha.pftrace"}
    assert not any(p.HasField("clock_snapshot") for p in read_perfetto(tmp_path / "out" / "beta.pftrace").packet)


@given(st.text(min_size=1, max_size=255))
def test_names_of_files_fit_into_an_archive_and_differ(host: str) -> None:
    host = host.encode("utf-8", "replace").decode()
    name = perfetto.file_name(host)
    assert re.fullmatch(r"[A-Za-z0-9._%~-]{1,99}", name)
    assert name != perfetto.file_name(host + "x")


# -- merged ------------------------------------------------------------------------------------------


def merged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_records_of_two_hosts_stand_in_the_order_of_the_clock_of_day(tmp_path: Path) -> None:
    """The second host's clock is 50 ms ahead: more than the error of both, less than the length of the trace."""
    run = tmp_path / "run1"
    hosts = {name: collect(run, name, shift=shift) for name, shift in (("alpha", 0), ("beta", 50_000_000))}
    assert call("merged", run, "-o", tmp_path / "merged.jsonl") == 0
    rows = merged(tmp_path / "merged.jsonl")
    assert Counter(row["host"] for row in rows) == {"alpha": COUNT, "beta": COUNT}
    assert [row["realtime_ns"] for row in rows] == sorted(row["realtime_ns"] for row in rows)
    known = {name: clocks.parse((path / "clocks.jsonl").read_text()) for name, path in hosts.items()}
    for row in rows:
        assert moment(known[row["host"]], row["time_ns"]) == (row["realtime_ns"], row["bound_ns"])
        assert row["error_ns"] == ERROR_NS
    for place, row in list(enumerate(rows))[::20]:
        before = [
            order(known[one["host"]], one["time_ns"], known[row["host"]], row["time_ns"])
            for one in rows[:place]
            if one["host"] != row["host"]
        ]
        assert (row["order"] == "certain") == all(word == "before" for word in before), place
    assert {row["order"] for row in rows} == {"certain", "uncertain"}


def test_hosts_of_one_kernel_need_no_bound(tmp_path: Path) -> None:
    run = tmp_path / "run1"
    boot_id = "7673e382-488d-4354-a96e-4e91ae62a48e"
    for name, shift in (("alpha", 0), ("beta", 7000)):
        collect(run, name, shift=shift, boot_id=boot_id, error_ns=None)
    assert call("merged", run, "-o", tmp_path / "merged.jsonl") == 0
    rows = merged(tmp_path / "merged.jsonl")
    assert {row["order"] for row in rows} == {"certain"} and len(rows) == 2 * COUNT
    assert [row["time_ns"] for row in rows] == sorted(row["time_ns"] for row in rows)


def test_a_host_that_cannot_be_placed_in_time_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run1"
    collect(run, "alpha")
    (collect(run, "beta") / "clocks.jsonl").unlink()
    shutil.copytree(COLLECTED, run / "gamma")
    assert call("merged", run, "-o", tmp_path / "merged.jsonl") == 1
    said = capsys.readouterr()
    assert "left out: beta: clocks.jsonl has no pair" in said.err and "left out: gamma: 0 tables" in said.err
    assert f"{COUNT} records of 1 hosts, 0 of uncertain order" in said.out


machine_rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 1000), st.one_of(st.none(), st.integers(0, 50))), max_size=30
)


@given(machine_rows, st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 50))))
def test_an_order_is_certain_only_when_no_earlier_record_of_another_machine_may_be_later(
    found: list[tuple[str, int, int | None]], errors: dict[str, int | None]
) -> None:
    rows = [
        {"host": host, "realtime_ns": time, "bound_ns": bound}
        for host, time, bound in sorted(found, key=lambda f: f[1])
    ]
    every = {host: errors.get(host) for host in "abc"}
    marked = list(export_merged.mark(rows, {host: host for host in "abc"}, every))

    def spread(row: dict[str, Any]) -> int | None:
        error = every[row["host"]]
        return None if row["bound_ns"] is None or error is None else row["bound_ns"] + error

    for place, row in enumerate(marked):
        certain = True
        for earlier in marked[:place]:
            one, two = spread(earlier), spread(row)
            if earlier["host"] != row["host"]:
                gap = row["realtime_ns"] - earlier["realtime_ns"]
                certain = certain and one is not None and two is not None and gap > one + two
        assert row["order"] == ("certain" if certain else "uncertain")


# -- the command -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_made_is_for_the_owner_alone(run: Path, tmp_path: Path, form: str) -> None:
    assert call(form, run, "-o", tmp_path / "out") == 0
    made = [path for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")] if path.is_file()]
    assert made and {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}


def test_a_host_that_fails_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run1"
    collect(run, "alpha")
    (collect(run, "beta") / "header.txt").unlink()
    assert call("trace-dat", run, "-o", tmp_path / "out") == 1
    assert "left out: beta: header.txt is missing" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["alpha.dat"]


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_host_has_left_steers_no_terminal(
    run: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "alpha" / "formats.txt").write_text("== a/b\x1b[2Jevil\nname: x\nformat:\n")
    for name in ("header.txt", "stats.txt", "facts.json", "clocks.jsonl"):
        (run / "alpha" / name).write_text("\x1b[2J\n")
    assert main(["export", form, str(run), "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert "left out: " in told.err
    assert "\x1b" not in told.err + told.out


def test_a_place_where_nothing_was_collected_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("trace-dat", tmp_path, "-o", tmp_path / "out") == 2
    assert "nothing was collected here" in capsys.readouterr().err
    assert call("trace-dat", tmp_path / "no", "-o", tmp_path / "out") == 2
    assert "no such directory" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("trace-dat", run / "alpha", "-o", run / "no" / "out") == 2
    assert "out: No such file or directory" in capsys.readouterr().err


def test_a_file_that_could_not_be_finished_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"good")
    with pytest.raises(KeyboardInterrupt), whole_file(str(path)) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert [one.name for one in tmp_path.iterdir()] == ["out"] and path.read_bytes() == b"good"


def test_the_command_runs_without_a_playbook(run: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / "kedr", "export", "trace-dat", run / "alpha", "-o", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    size = (tmp_path / "out").stat().st_size
    assert size and done.stdout == f"{tmp_path}/out: pages of 1 CPUs, {size} bytes\n"
