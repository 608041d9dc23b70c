# SPDX-License-Identifier: GPL-3.0-or-later
"""The stream of one host, and the files that it becomes.

The host runs ``sh/stream.sh`` behind a command of its own (usually ssh) whose standard output carries packets.
A packet is checked and written to the host's directory, then acknowledged; the host keeps it until then, so that a
connection that was lost can be taken up again without a gap and without a record twice:

==================  ========================================================================
file                content
==================  ========================================================================
raw/cpuN.pages      pages of the ring buffer as the kernel handed them out
raw/trace_pipe.txt  instead of them, where the host cannot read pages: the kernel's text
raw/NAME.sums       length and SHA256 of each part of the file, from the moment when it came (``sums``)
raw/stream.state    what was acknowledged; gone when the stream is complete
header.txt          ``events/header_page``
formats.txt         format files of the events
stats.txt           counts of the ring buffer after the last page
comms.txt           ``saved_cmdlines``
==================  ========================================================================

A file of records is called ``.part`` until the host has said that it was the last packet, and all have come.  What a
host sends harms only its own stream: a packet has a limit, a number, a checksum and a place that only the name of a
CPU can choose.
"""

import contextlib
import errno
import json
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from ..base import sums
from ..base.errors import ForeignError, KedrError
from ..base.files import read_file, read_json, write_file
from ..host import shell
from ..trace import pages
from .link import Link
from .protocol import PACKET, Packet, Word

PAUSE = 0.5
"""Seconds between two looks of a host at its empty buffers."""

_PAGES = re.compile(r"(cpu\d{1,5}):(\d{1,6})")
_TEXTS = {"header": "header.txt", "formats": "formats.txt", "stats": "stats.txt", "comms": "comms.txt"}
_HEAD = re.compile(rb"^[^\n]{0,16}-\d{1,10} +(?:\( *(?:\d+|-+)\) +)?\[\d{3,5}\] ", re.MULTILINE)
"""How the last line of the head of a printed record begins; a thread's name may hold line feeds."""


@dataclass
class HostStream:
    """The stream of one host: how it is reached, where its files go, what came.

    ``argv`` makes the command line that runs a command on the host; ``events`` are ``system/event``; ``packers`` are
    what the host may pack with, best first.  A stream that was paused goes on when its state is found in ``directory``.
    ``texts`` has the SHA256 of each file beside ``raw`` that was written.
    """

    name: str
    argv: Callable[[str], Sequence[str]]
    directory: str
    instance: str
    events: Sequence[str]
    packers: Sequence[str] = ("zstd", "gzip")
    boot: str = ""
    form: str = ""
    packing: str = ""
    live: bool = False
    streamed: bool = False
    done: bool = False
    complete: bool = False
    error: str = ""
    received: int = 0
    written: int = 0
    kept: int = 0
    lost_connections: int = 0
    damage: str = ""
    link: Link | None = None
    again_at: float = 0.0
    texts: dict[str, str] = field(default_factory=dict)
    _session: str = ""
    _layout: pages.PageLayout | None = None
    _records: Counter[str] = field(default_factory=Counter)
    _counted: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> Counter[str]:
        """How many records came so far: ``cpuN`` (or ``trace_pipe``) -> number.

        What is new in the files is counted when somebody asks, not while it comes.  Pages that make no sense end the
        count, and stand in ``damage``.
        """
        if not self.damage:
            try:
                for name in self._files():
                    self._count(name)
            except (OSError, ForeignError) as error:
                self.damage = f"the trace that came cannot be read: {error}"
        return self._records

    def _files(self) -> list[str]:
        """The files of records, complete or not."""
        raw = os.path.join(self.directory, "raw")
        return sorted(name for name in os.listdir(raw) if sums.RECORDS.match(name)) if os.path.isdir(raw) else []

    def _count(self, name: str) -> None:
        """Count what is new in one file, a packet's length at a time."""
        key = name.removesuffix(".part")
        with open(os.path.join(self.directory, "raw", name), "rb") as stream:
            stream.seek(self._counted[key])
            while data := stream.read(PACKET):
                if key.endswith(".txt"):
                    data = data[: data.rfind(b"\n") + 1] or data
                    count = sum(1 for _head in _HEAD.finditer(data))
                else:
                    count = pages.count(data, self._page_layout())
                self._records[key.partition(".")[0]] += count
                self._counted[key] += len(data)
                stream.seek(self._counted[key])

    def _page_layout(self) -> pages.PageLayout:
        if self._layout is None:
            header = read_file(os.path.join(self.directory, _TEXTS["header"]))
            self._layout = pages.parse_header_page(header.decode("ascii", "replace"))
        return self._layout

    def prepare(self) -> None:
        """Make the directories, and read how far the round before came.  Raises OSError or ForeignError."""
        os.makedirs(os.path.join(self.directory, "raw"), mode=0o700, exist_ok=True)
        if os.path.exists(self._state_file()):
            self._read_state()
        self._session = self._session or secrets.token_hex(12)

    def _read_state(self) -> None:
        try:
            state = read_json(self._state_file())
            self._session, self.kept = state["session"], state["kept"]
            self.received, self.written = state["received"], state["written"]
            self._records, self._counted = Counter(state["records"]), Counter(state["counted"])
        except (KedrError, ValueError, KeyError, TypeError):
            raise ForeignError(f"{self._state_file()} cannot be read: start a new run") from None

    def connect(self) -> Link:
        """Start the host's program, and return the connection to it.  Raises OSError."""
        values: dict[str, str | int | Iterable[str]] = {
            "k_instance": self.instance, "k_events": self.events, "k_bytes": PACKET, "k_pause": str(PAUSE),
            "k_packers": " ".join(one for one in self.packers if one != "zstd" or find_spec("zstandard")),
            "k_session": self._session, "k_kept": self.kept,
        }  # fmt: skip
        call = shell.frame(shell.load_script("tracefs", "stream"), values)
        self.live = False
        self.link = Link(self.argv(call.command), call)
        return self.link

    def take(self, link: Link, data: bytes, last_word: str) -> None:
        """Take some bytes that came from the host.  Raises ForeignError, or OSError for the control node.

        ``last_word`` is said as soon as the host streams, when there is one.
        """
        link.heard = time.monotonic()
        self.received += len(data)
        for item in link.parser.feed(data):
            if isinstance(item, Packet):
                link.came = link.heard
                self._keep(link, item)
            else:
                self._hear(link, item, last_word)
        if link.parser.ended:
            self._finish(link)

    def _hear(self, link: Link, word: Word, last_word: str) -> None:
        if word.key == "boot":
            self.boot = word.value
        elif word.key == "form":
            self.form = word.value
        elif word.key == "packing":
            self.packing = word.value
        elif word.key == "live":
            self.live = self.streamed = True
            if last_word:
                link.tell(f"{last_word}\n")
        elif word.key == "failed":
            link.hang_up()
        elif word.key == "sent":
            if word.value != str(self.kept):
                raise ForeignError(f"the host says it sent {word.value} packets, {self.kept} came")
            link.counted = True
            link.hang_up()

    def _keep(self, link: Link, packet: Packet) -> None:
        if packet.number == 0:
            self._keep_text(packet)
            return
        if packet.number != self.kept + 1:
            raise ForeignError(f"packet {packet.number} came where {self.kept + 1} was expected")
        parts = self._parts(packet)
        self._append(parts, packet.digest if len(parts) == 1 else "")
        self.kept = packet.number
        link.tell(f"ack {self.kept}\n")

    def _keep_text(self, packet: Packet) -> None:
        if packet.kind not in _TEXTS:
            raise ForeignError(f"{packet.kind} of '{packet.name}' came without a number")
        if packet.kind == "header":
            self._layout = pages.parse_header_page(packet.raw.decode("ascii", "replace"))
        name, summed = _TEXTS[packet.kind], sums.line(packet.raw, packet.digest)
        write_file(os.path.join(self.directory, name), packet.raw)
        write_file(sums.path(self.directory, name), summed)
        self.texts[name] = summed.split()[1].decode()

    def _parts(self, packet: Packet) -> dict[str, bytes]:
        """The files that a packet goes to, each with what it gets."""
        if packet.kind == "text" and packet.name == "trace_pipe":
            return {"trace_pipe.txt": packet.raw}
        if packet.kind != "pages" or self._layout is None:
            raise ForeignError(f"a packet of {packet.kind} came where none was expected")
        parts: dict[str, bytes] = {}
        begin = 0
        for one in packet.name.split(","):
            found = _PAGES.fullmatch(one)
            end = begin + int(found[2]) * self._layout.size if found else 0
            if found is None or not begin < end <= len(packet.raw) or f"{found[1]}.pages" in parts:
                raise ForeignError(f"a packet names pages that it does not hold: {packet.name[:100]}")
            parts[f"{found[1]}.pages"] = packet.raw[begin:end]
            begin = end
        if begin != len(packet.raw):
            raise ForeignError(f"a packet holds more than it names: {packet.name[:100]}")
        return parts

    def _append(self, parts: Mapping[str, bytes], digest: str) -> None:
        """Write all parts and their checksums, or nothing.  ``digest`` is that of the only part, where it is known."""
        done: list[tuple[str, int]] = []
        try:
            for name, raw in parts.items():
                self._add(os.path.join(self.directory, "raw", f"{name}.part"), raw, done)
                self._add(sums.path(self.directory, name), sums.line(raw, digest), done)
        except OSError:
            for path, size in done:
                os.truncate(path, size)
            raise
        self.written += sum(map(len, parts.values()))

    @staticmethod
    def _add(path: str, raw: bytes, done: list[tuple[str, int]]) -> None:
        """Append to a file; ``done`` gets how long it was before."""
        with open(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab", buffering=0) as stream:
            done.append((path, os.fstat(stream.fileno()).st_size))
            if stream.write(raw) != len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _finish(self, link: Link) -> None:
        """The host has ended well, or has said why it cannot go on."""
        if link.parser.failure:
            raise ForeignError(link.parser.failure.strip() or "the host failed and did not say why")
        if not link.counted:
            raise ForeignError("the host ended and did not say how much it had sent")
        self.done = True

    def finish_files(self) -> None:
        """All was sent and all came: the files get their names.  Raises OSError."""
        raw = os.path.join(self.directory, "raw")
        for name in self._files():
            if name.endswith(".part"):
                os.replace(os.path.join(raw, name), os.path.join(raw, name.removesuffix(".part")))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._state_file())
        self.complete = True

    def save_state(self) -> None:
        """Write down how far the stream came.  Raises OSError."""
        state = {
            "session": self._session, "kept": self.kept, "received": self.received, "written": self.written,
            "records": self._records, "counted": self._counted,
        }  # fmt: skip
        write_file(self._state_file(), json.dumps(state).encode())

    def _state_file(self) -> str:
        return os.path.join(self.directory, "raw", "stream.state")

    def safe(self) -> str:
        """What was acknowledged and is on disk, in words."""
        records = "" if self.damage else f"{sum(self.records.values())} records in "
        return f"{records}{self.kept} packets were acknowledged and are safe in {self.directory}"


Streams = Mapping[str, HostStream]
"""The streams of some hosts, by the names of these."""
