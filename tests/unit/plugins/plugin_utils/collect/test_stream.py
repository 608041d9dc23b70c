# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes from many hosts is kept, packet by packet; a host that misbehaves harms nobody but itself."""

from __future__ import annotations

import hashlib
import pathlib
import random
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import sums
from ansible_collections.kedr.lab.plugins.plugin_utils.base.bounded import MAX_PREAMBLE
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import rounds
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.protocol import Packet, Parser, Word
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.rounds import Limits
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream, Streams
from hypothesis import given
from hypothesis import strategies as st

from ..stream_host import BEHAVIOURS, PAGE, packet

PROGRAM = pathlib.Path(__file__).parents[1] / "stream_host.py"
GOOD = ("good", "good-gzip", "good-zstd", "slow-start", "stumbling", "loud")
LIMITS = Limits(start=20.0, silence=9.0, packet=12.0, end=15.0, attempts=1, bytes=20 << 20)
HOSTILE = {
    "silent": "it did not stream within 20 s",
    "gone": "the connection ended before the trace did (ssh: connect to host gone: \\x1b[1mConnection refused)",
    "chatter": f"{MAX_PREAMBLE} bytes came from the host, and no answer began",
    "failing": "no �� trace \\x1b[2J\\x1b]0;title\\x07 here",
    "stubborn": "a line from the host cannot be understood: nonsense",
    "endless-lines": "a line from the host cannot be understood: xyz",
    "endless-line": f"the host sent a line of more than {MAX_PREAMBLE} bytes",
    "endless-beats": "the host sent more than 100000 lines and no packet between them",
    "endless-end": "no packet came for 12 s after the end",
    "endless-texts": "the host sent more than 32 packets without a number",
    "endless-drain": "it did not end within 15 s",
    "endless-pages": "the host sent more than 20971520 bytes of trace",
    "invalid-utf8": "a line from the host cannot be understood: ��� \\x1b[2J",
    "wrong-sum": "a packet of cpu0:1 was damaged on the way: its checksum differs",
    "wrong-number": "packet 7 came where 1 was expected",
    "no-number": "pages of 'cpu0:1' came without a number",
    "path": "the heading of a packet cannot be understood: packet pages ../../../../tmp/x:1 1 4096",
    "path-cpu": "a packet names pages that it does not hold: cpu0-x:1",
    "too-few": "a packet names pages that it does not hold: cpu0:2",
    "too-many": "a packet holds more than it names: cpu0:1",
    "twice": "a packet names pages that it does not hold: cpu0:1,cpu0:1",
    "nonsense-pages": "the trace that came cannot be read: page 0 claims ",
    "huge-packet": "the heading of a packet cannot be understood: packet pages cpu0:1 1 999999999 999999999 -",
    "unfinished": "nothing came for 9 s",
    "early": "a packet of pages came where none was expected",
    "bomb-gzip": "a packet does not hold the 4096 bytes that were announced",
    "bomb-zstd": "a packet does not hold the 4096 bytes that were announced",
    "no-gzip": "a packet cannot be unpacked: error",
    "liar": "the host says it sent 5 packets, 0 came",
    "mute": "the host ended and did not say how much it had sent",
}
MAX_MEMORY = 200 << 20
"""Bytes that the control process may take more with all these hosts at once."""


def host(name: str, place: pathlib.Path, behaviour: str = "") -> HostStream:
    directory = place / name
    directory.mkdir(exist_ok=True)
    words = [sys.executable, str(PROGRAM), behaviour or name, str(place / f"{name}.started")]
    return HostStream(name, lambda command: [*words, command], str(directory), "kedr", ["a/b"])


def peak() -> int:
    """Bytes that this process had at most since ``forget_peak``."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) << 10


def forget_peak() -> int:
    """Let the peak begin anew, since what other tests needed would hide any growth; returns what there is now."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return peak()


class Outcome:
    """What a stream of all these hosts led to."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place, self.lines, self.live_at = place, [], 0.0
        self.hosts = {name: host(name, place) for name in BEHAVIOURS if name != "full"}
        begun = time.monotonic()
        before = forget_peak()

        def on_live(hosts: Streams) -> None:
            assert not self.live_at
            self.live_at = time.monotonic() - begun

        def until(hosts: Streams) -> bool:
            counts = {name: each.records.total() for name, each in hosts.items()}  # as a condition on records does
            came = counts["stumbling"] == 4 and all(counts[name] == 6 for name in GOOD if name.startswith("good"))
            return bool(came and self.live_at) or time.monotonic() - begun > 90

        rounds.collect(list(self.hosts.values()), until, self.lines.append, final=True, on_live=on_live, limits=LIMITS)
        self.memory = peak() - before


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    yield Outcome(tmp_path_factory.mktemp("streams"))


def test_every_behaviour_is_judged() -> None:
    assert set(BEHAVIOURS) == {*GOOD, *HOSTILE, "full"}


@pytest.mark.parametrize("name", [name for name in GOOD if name not in ("loud", "stumbling")])
def test_a_good_host_among_hostile_ones_is_complete(outcome: Outcome, name: str) -> None:
    good = outcome.hosts[name]
    assert (good.error, good.done, good.complete) == ("", True, True)
    assert good.records == {"cpu0": 2, "cpu3": 4}
    raw = outcome.place / name / "raw"
    assert {path.name: path.read_bytes() for path in raw.glob("*.pages")} == {
        "cpu0.pages": PAGE,
        "cpu3.pages": PAGE * 2,
    }
    assert sums.damage(str(outcome.place / name)) == {}
    assert (outcome.place / name / "stats.txt").read_text() == "== cpu0\nread events: 2\n"
    assert (outcome.place / name / "comms.txt").read_text() == "1 init\n"


def test_files_are_private(outcome: Outcome) -> None:
    for path in (outcome.place / "good").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_lost_connection_is_taken_up_again_and_told(outcome: Outcome) -> None:
    stumbling = outcome.hosts["stumbling"]
    assert (stumbling.error, stumbling.complete, stumbling.lost_connections) == ("", True, 1)
    assert (outcome.place / "stumbling" / "raw" / "cpu0.pages").read_bytes() == PAGE * 2  # nothing twice
    assert sums.damage(str(outcome.place / "stumbling")) == {}
    (line,) = (line for line in outcome.lines if "connecting again" in line and "stumbling" in line)
    assert "the connection ended before the trace did (the cable was pulled); connecting again" in line


def test_a_host_that_floods_standard_error_is_complete(outcome: Outcome) -> None:
    assert outcome.hosts["loud"].complete


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_host_ends_alone_and_its_reason_is_told(outcome: Outcome, name: str) -> None:
    error = outcome.hosts[name].error
    assert error.startswith(HOSTILE[name])
    assert "acknowledged and are safe in" in error
    assert not outcome.hosts[name].complete
    assert error.isprintable()
    assert not list((outcome.place / name).glob("raw/*.pages"))  # no final name without an end


def test_all_that_was_acknowledged_stays(outcome: Outcome) -> None:
    flood = outcome.place / "endless-pages" / "raw" / "cpu0.pages.part"
    assert flood.stat().st_size == 21 * 256 * 4096  # the first packet above the limit was the last
    assert "10752 records in 21 packets were acknowledged" in outcome.hosts["endless-pages"].error


def test_no_host_writes_outside_its_directory(outcome: Outcome) -> None:
    names = {"raw", "header.txt", "formats.txt", "stats.txt", "comms.txt"}
    assert {path.name for path in outcome.place.glob("*/*")} <= names
    assert {path.name.removesuffix(".started") for path in outcome.place.iterdir()} == set(outcome.hosts)


def test_the_watched_command_starts_once_when_all_that_can_stream(outcome: Outcome) -> None:
    assert outcome.live_at > LIMITS.start  # the silent host was waited for as long as it may take


def test_growth_of_memory_is_seen() -> None:
    before = forget_peak()
    held = bytearray(b"x") * MAX_MEMORY
    assert peak() - before > len(held) * 0.9


def test_memory_is_bounded(outcome: Outcome) -> None:
    assert outcome.memory < MAX_MEMORY


def test_a_paused_stream_goes_on_in_the_same_files(tmp_path: pathlib.Path) -> None:
    first = host("good", tmp_path)
    rounds.collect([first], lambda hosts: hosts["good"].records.total() == 6, [].append, final=False)
    raw = tmp_path / "good" / "raw"
    assert {path.name for path in raw.iterdir() if path.suffix != ".sums"} == {
        "cpu0.pages.part", "cpu3.pages.part", "stream.state"
    }  # fmt: skip
    assert sums.damage(str(tmp_path / "good")) == {}
    assert (first.done, first.complete, first.error) == (True, False, "")
    second = host("good", tmp_path)
    rounds.collect([second], lambda hosts: hosts["good"].records.total() == 12, [].append, final=True)
    assert {path.name: path.read_bytes() for path in raw.glob("*.pages")} == {
        "cpu0.pages": PAGE * 2, "cpu3.pages": PAGE * 4
    }  # fmt: skip
    assert (raw / "cpu3.pages.sums").read_bytes() == sums.line(PAGE * 2) * 2
    assert sums.damage(str(tmp_path / "good")) == {}
    assert second.records == {"cpu0": 4, "cpu3": 8}
    assert second.written == 6 * len(PAGE)


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory of a host from which all came, in two rounds."""
    place = tmp_path_factory.mktemp("received")
    for final in (False, True):
        rounds.collect([host("good", place)], lambda hosts: hosts["good"].live, [].append, final=final)
    return place / "good"


def test_every_bit_that_is_flipped_is_noticed(received: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.copytree(received, tmp_path, dirs_exist_ok=True)
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(files) == 12  # two files of pages, four of text, and the checksums of each
    assert sums.damage(str(tmp_path)) == {}
    chance = random.Random(11)
    for _flip in range(1000):
        path = chance.choice(files)
        whole = path.read_bytes()
        spoiled = bytearray(whole)
        spoiled[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(spoiled)
        assert list(sums.damage(str(tmp_path))) == [str(path.relative_to(tmp_path)).removesuffix(".sums")] or (
            path.suffix == ".sums" and len(sums.damage(str(tmp_path))) == 1
        ), path
        path.write_bytes(whole)


NO_SUMS = "it has no checksums, so nothing shows that it is what was received"
BAD_SUMS = "its checksums are damaged: line 1 of cpu3.pages.sums"
DAMAGE: list[tuple[str, Callable[[bytes], bytes | None], str]] = [
    ("cpu3.pages", lambda raw: raw[:-1], "it ends at byte 16383, and more was received"),
    ("cpu3.pages", lambda raw: raw + b"x", "what follows byte 16384 was never received, or has lost its checksum"),
    ("cpu3.pages", lambda raw: raw[:-1] + b"x", "bytes 8192 to 16384 are not those that were received"),
    ("cpu3.pages", lambda raw: None, "it was received and is not there"),
    ("cpu3.pages.sums", lambda raw: None, NO_SUMS),
    ("cpu3.pages.sums", lambda raw: b"x" + raw, BAD_SUMS),
    ("cpu3.pages.sums", lambda raw: b"9" * 9 + raw, BAD_SUMS),
    ("cpu3.pages.sums", bytes.upper, BAD_SUMS),
]


@pytest.mark.parametrize(("name", "change", "text"), DAMAGE)
def test_damage_is_told_with_its_place(
    received: pathlib.Path, tmp_path: pathlib.Path, name: str, change: Callable[[bytes], bytes | None], text: str
) -> None:
    shutil.copytree(received, tmp_path, dirs_exist_ok=True)
    changed = change((tmp_path / "raw" / name).read_bytes())
    if changed is None:
        (tmp_path / "raw" / name).unlink()
    else:
        (tmp_path / "raw" / name).write_bytes(changed)
    assert sums.damage(str(tmp_path)) == {"raw/cpu3.pages": text}


def test_a_packet_that_finds_no_room_leaves_neither_pages_nor_checksums(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, made = HostStream("h", list, str(tmp_path), "kedr", []), []
    place.prepare()
    place._append({"cpu0.pages": PAGE}, "")

    def line(raw: bytes, digest: str) -> bytes:
        made.append(raw)
        if len(made) > 1:
            raise OSError(28, "No space left on device")
        return f"{digest}\n".encode()

    monkeypatch.setattr(sums, "line", line)
    with pytest.raises(OSError, match="No space"):
        place._append({"cpu0.pages": PAGE, "cpu1.pages": PAGE}, "")
    assert len(made) == 2
    assert {path.name: path.stat().st_size for path in (tmp_path / "raw").iterdir()} == {
        "cpu0.pages.part": len(PAGE), "cpu0.pages.sums": 70, "cpu1.pages.part": 0
    }  # fmt: skip


def test_records_of_printed_traces_are_counted_whatever_the_names_of_threads(tmp_path: pathlib.Path) -> None:
    place = HostStream("h", list, str(tmp_path), "kedr", [])
    place.prepare()
    names = ["insmod", "a\nb", "\n" * 15, "x-1 [000]\n", "\n-1 [00"]
    text = "".join(f"{name:>16}-7 [001] ..... 1.000001: a: b\n" for name in names)
    place._append({"trace_pipe.txt": text.encode() + b"CPU:1 [LOST 3 EVENTS]\n"}, "")
    assert place.records == {"trace_pipe": len(names)}


def test_a_state_that_cannot_be_read_is_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "good" / "raw").mkdir(parents=True)
    (tmp_path / "good" / "raw" / "stream.state").write_text("{")
    broken = host("good", tmp_path)
    rounds.collect([broken], lambda hosts: True, [].append, final=True)
    assert "stream.state cannot be read: start a new run" in broken.error


def test_an_ssh_that_is_not_there_is_told(tmp_path: pathlib.Path) -> None:
    missing = HostStream("missing", lambda command: ["/nowhere/ssh", command], str(tmp_path), "kedr", [])
    rounds.collect([missing], lambda hosts: False, [].append, final=True)
    assert "No such file or directory" in missing.error


@given(st.lists(st.integers(1, 5000), max_size=20), st.sampled_from(["none", "gzip", "zstd"]))
def test_packets_come_out_whole_however_the_bytes_are_cut(cuts: list[int], packing: str) -> None:
    data = b"hello\nkedr-begin abc\nv form pages\nv packing " + packing.encode() + b"\n"
    data += packet("header", "page", 0, b"x" * 300, packing) + packet("pages", "cpu0:1", 1, PAGE, packing)
    data += b"v sent 1\nkedr-end abc\n"
    parser = Parser("abc")
    found: list[Packet | Word] = []
    for size in [*cuts, len(data)]:
        found += parser.feed(data[:size])
        data = data[size:]
    assert parser.ended
    assert found == [
        ("form", "pages"), ("packing", packing),
        ("header", "page", 0, b"x" * 300, hashlib.sha256(b"x" * 300).hexdigest()),
        ("pages", "cpu0:1", 1, PAGE, hashlib.sha256(PAGE).hexdigest()), ("sent", "1"),
    ]  # fmt: skip


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_taken_or_refused(data: bytes, begun: bool) -> None:
    parser = Parser("abc", begun=begun)
    try:
        list(parser.feed(data + b"\n"))
    except ForeignError as error:
        assert printable(str(error)) == str(error)
