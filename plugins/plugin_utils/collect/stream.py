# SPDX-License-Identifier: GPL-3.0-or-later
"""Traces of many hosts as they appear: one process, one selector, bounded memory.

Each host runs ``sh/stream.sh`` behind a command of its own (usually ssh) whose standard output carries packets.
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

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import selectors
import signal
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple, cast

from ..base import sums
from ..base.errors import ForeignError
from ..base.files import write_file
from ..base.foreign import printable
from ..host import shell
from ..trace import pages

try:
    import zstandard

    ZSTANDARD_ERROR = ""
except ImportError as import_error:  # pragma: no cover - the requirement is installed where tests run
    ZSTANDARD_ERROR = str(import_error)

READ_SIZE = 1 << 20
"""Bytes taken from a host at a time, and held by the pipe from its ssh, which with 64 KiB spends most of its processor
time on a pipe that is full (tests/bench/bench_transfer.py)."""
PACKET = 1 << 20
"""Bytes of pages in one packet at most."""
MAX_RAW = 2 << 20
"""Bytes of one packet after unpacking, at most: the limit of format files and of text; pages come in less."""
MAX_SENT = MAX_RAW + (64 << 10)
"""Bytes of one packet on the way: packing what cannot be packed adds a little."""
MAX_WORDS = 100_000
"""Lines between two packets at most: an idle host says one every five seconds."""
MAX_TEXTS = 32
"""Packets without a number in one connection at most: a host sends each of its four texts once."""
TICK = 0.25
"""Seconds between two looks at clocks and conditions at most."""
PAUSE = 0.5
"""Seconds between two looks of a host at its empty buffers."""
STDERR_KEPT = 2000
"""Bytes of what a host's command said on standard error that are kept: the last."""

_HEADING = re.compile(
    rb"packet (pages|text|header|formats|stats|comms) ([a-z0-9_:,-]{1,4096}) (\d{1,15}) (\d{1,9}) (\d{1,9}) "
    rb"([0-9a-f]{64}|-)"
)
_WORD = re.compile(r"v (boot|form|packing|live|beat|sent|failed) ([a-zA-Z0-9-]{1,36})")
_PAGES = re.compile(r"(cpu\d{1,5}):(\d{1,6})")
_TEXTS = {"header": "header.txt", "formats": "formats.txt", "stats": "stats.txt", "comms": "comms.txt"}
_HEAD = re.compile(rb"^[^\n]{0,16}-\d{1,10} +(?:\( *(?:\d+|-+)\) +)?\[\d{3,5}\] ", re.MULTILINE)
"""How the last line of the head of a printed record begins; a thread's name may hold line feeds."""


@dataclass(frozen=True)
class Limits:
    """What is borne from a host.  Times in seconds."""

    start: float = 120.0
    """Until it must have begun to stream."""
    silence: float = 30.0
    """Without a word (an idle host says one every five seconds) after which its connection counts as lost."""
    packet: float = 600.0
    """Without a packet after it was told to end."""
    end: float = 4 * 3600.0
    """Until it must have ended after it was told to, however much it still has."""
    attempts: int = 3
    """How often a lost connection is taken up again; with 1, 2, 4 ... seconds of rest before."""
    bytes: int = 64 << 30
    """What is written for one host at most."""


class Packet(NamedTuple):
    """One packet after unpacking and checking.  ``number`` is 0 for what may be sent again and again.

    ``digest`` is the SHA256 that the host sent with it and that was found to be right; empty without one.
    """

    kind: str
    name: str
    number: int
    raw: bytes
    digest: str = ""


class Word(NamedTuple):
    """One value that the host said between packets."""

    key: str
    value: str


def _shown(data: bytes) -> str:
    """Bytes of a host on one line, safe to show."""
    return " ".join(printable(data[:300]).split())


def unpack(data: bytes, packing: str, size: int) -> bytes:
    """Unpack the body of a packet that must give ``size`` bytes.  Raises ForeignError when it does not."""
    try:
        if packing == "gzip":
            machine = zlib.decompressobj(31)
            raw = machine.decompress(data, size + 1)
            whole = machine.eof and not machine.unused_data
        elif packing == "zstd":
            with zstandard.ZstdDecompressor(max_window_size=1 << 23).stream_reader(data) as stream:
                raw = stream.read(size + 1)
            whole = True
        else:
            raw, whole = data, True
    except Exception as error:
        raise ForeignError(f"a packet cannot be unpacked: {type(error).__name__}: {error}") from None
    if not whole or len(raw) != size:
        raise ForeignError(f"a packet does not hold the {size} bytes that were announced")
    return raw


@dataclass
class Parser:
    """Bytes of one host, in pieces of any size -> words and packets.  Holds no more than one packet."""

    nonce: str
    packing: str = "none"
    begun: bool = False
    ended: bool = False
    failure: str = ""
    _held: bytearray = field(default_factory=bytearray)
    _heading: re.Match[bytes] | None = None
    _skipped: int = 0
    _words: int = 0
    _texts: int = 0

    def feed(self, data: bytes) -> Iterator[Packet | Word]:
        """Take some bytes; yield the words and packets that are whole.  Raises ForeignError."""
        self._held += data
        while not self.ended:
            if self._heading is None:
                line = self._take_line()
                if line is None:
                    return
                if line.startswith(b"packet "):
                    self._heading = self._check(line)
                    continue
                word = self._line(line)
                if word:
                    yield word
                continue
            size = int(self._heading[5])
            if len(self._held) < size:
                return
            with memoryview(self._held) as view:
                body = bytes(view[:size])
            del self._held[:size]
            heading, self._heading = self._heading, None
            yield self._packet(heading, body)

    def _take_line(self) -> bytes | None:
        stop = self._held.find(b"\n", 0, shell.MAX_PREAMBLE)
        if stop < 0:
            if len(self._held) > shell.MAX_PREAMBLE:
                raise ForeignError("the host sent a line without end")
            return None
        line = bytes(self._held[:stop])
        del self._held[: stop + 1]
        return line

    def _check(self, line: bytes) -> re.Match[bytes]:
        heading = _HEADING.fullmatch(line)
        if not self.begun or heading is None or int(heading[4]) > MAX_RAW or int(heading[5]) > MAX_SENT:
            raise ForeignError(f"the host sent a packet that makes no sense: {_shown(line)}")
        return heading

    def _packet(self, heading: re.Match[bytes], body: bytes) -> Packet:
        self._words = 0
        self._texts += int(heading[3]) == 0
        if self._texts > MAX_TEXTS:
            raise ForeignError("the host sends its texts again and again")
        raw = unpack(body, self.packing, int(heading[4]))
        digest = heading[6].decode().removeprefix("-")
        if digest and digest != hashlib.sha256(raw).hexdigest():
            raise ForeignError(f"a packet of {heading[2].decode()} was damaged on the way: its checksum differs")
        return Packet(heading[1].decode(), heading[2].decode(), int(heading[3]), raw, digest)

    def _line(self, line: bytes) -> Word | None:
        """A line between packets: greetings, then words, then perhaps why the host failed."""
        if not self.begun:
            self.begun = line == b"kedr-begin " + self.nonce.encode()
            self._skipped += len(line) + 1
            if self._skipped > shell.MAX_PREAMBLE:
                raise ForeignError("the host does not answer, it only talks")
            return None
        self._words += 1
        if self._words > MAX_WORDS:
            raise ForeignError("the host only talks")
        if line == b"kedr-end " + self.nonce.encode():
            self.ended = True
            return None
        if self.failure and len(self.failure) < 4000 and (line in (b"", b".", b"text reason") or line[:1] == b"|"):
            self.failure += printable(line[1:], 500) + " " if line[:1] == b"|" else ""
            return None
        found = _WORD.fullmatch(line.decode("ascii", "replace"))
        if found is None:
            raise ForeignError(f"the host sent a line that means nothing: {_shown(line)}")
        if found[1] == "packing":
            self.packing = found[2]
        elif found[1] == "failed":
            self.failure = " "
        return Word(found[1], found[2])


class Link:
    """One connection to a host: a command, and the parser of what it says."""

    def __init__(self, argv: Sequence[str], call: shell.Call) -> None:
        """Start the command and hand it its program.  Raises OSError."""
        self.parser = Parser(call.nonce)
        self.begun = self.heard = self.came = time.monotonic()
        self.stderr = b""
        self._pending = bytearray(call.stdin)
        self._closing = False
        self.counted = False
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        pipes = (self.process.stdin, self.process.stdout, self.process.stderr)
        self.stdin, self.out, self.err = (cast(IO[bytes], pipe) for pipe in pipes)
        for pipe in (self.stdin, self.out, self.err):
            os.set_blocking(pipe.fileno(), False)
        with contextlib.suppress(OSError):  # the limit for others than root: /proc/sys/fs/pipe-user-pages-soft
            fcntl.fcntl(self.out.fileno(), fcntl.F_SETPIPE_SZ, READ_SIZE)
        self.flush()

    def tell(self, text: str) -> None:
        """Say something to the host, without waiting."""
        if not self.stdin.closed and not self._closing:
            self._pending += text.encode()
            self.flush()

    def hang_up(self) -> None:
        """Say that nothing more will be said."""
        self._closing = True
        self.flush()

    def flush(self) -> None:
        """Hand over as much as the pipe takes."""
        while self._pending and not self.stdin.closed:
            try:
                del self._pending[: os.write(self.stdin.fileno(), self._pending[:4096])]
            except BlockingIOError:
                return
            except OSError:  # its output says what happened
                self._pending.clear()
        if self._closing and not self.stdin.closed:
            self.stdin.close()

    def hear_stderr(self, data: bytes) -> bytes:
        """Keep the end of what was said on standard error."""
        self.stderr = (self.stderr + data)[-STDERR_KEPT:]
        return data

    def read_stderr(self) -> None:
        """Take what is there already."""
        with contextlib.suppress(OSError):
            self.hear_stderr(os.read(self.err.fileno(), 1 << 16))

    def last_words(self) -> str:
        """The last lines of standard error, to be put behind a reason."""
        text = _shown(self.stderr[-300:])
        return f" ({text})" if text else ""

    def end(self, number: int = signal.SIGTERM) -> None:
        """Close the pipes, and end the command and what it started."""
        for pipe in (self.stdin, self.out, self.err):
            with contextlib.suppress(OSError):
                pipe.close()
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


@dataclass
class Host:
    """One host of a collection: how it is reached, where its files go, what came.

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
            with open(os.path.join(self.directory, _TEXTS["header"]), encoding="ascii", errors="replace") as stream:
                self._layout = pages.parse_header_page(stream.read())
        return self._layout

    def prepare(self) -> None:
        """Make the directories, and read how far an earlier round came.  Raises OSError or ForeignError."""
        os.makedirs(os.path.join(self.directory, "raw"), mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError), open(self._state_file(), encoding="utf-8") as stream:
            try:
                state = json.load(stream)
                self._session, self.kept = state["session"], state["kept"]
                self.received, self.written = state["received"], state["written"]
                self._records, self._counted = Counter(state["records"]), Counter(state["counted"])
            except (ValueError, KeyError, TypeError):
                raise ForeignError(f"{self._state_file()} cannot be read: collect into a new run") from None
        self._session = self._session or secrets.token_hex(12)

    def connect(self) -> Link:
        """Start the host's program, and return the connection to it.  Raises OSError."""
        values: dict[str, str | int | Iterable[str]] = {
            "k_instance": self.instance, "k_events": self.events, "k_bytes": PACKET, "k_pause": str(PAUSE),
            "k_packers": " ".join(one for one in self.packers if one != "zstd" or not ZSTANDARD_ERROR),
            "k_session": self._session, "k_kept": self.kept,
        }  # fmt: skip
        call = shell.frame(shell.load_script("tracefs", "stream"), values)
        self.live = False
        self.link = Link(self.argv(call.command), call)
        return self.link

    def take(self, link: Link, data: bytes, last_word: str) -> None:
        """Take some bytes that came from the host.  Raises ForeignError, ForeignError, or OSError for the control node.

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


Hosts = Mapping[str, Host]
Until = Callable[[Hosts], bool]
"""Asked again and again: is it time to stop?"""


def collect(
    hosts: Sequence[Host],
    until: Until,
    say: Callable[[str], None],
    *,
    final: bool,
    on_live: Callable[[Hosts], None] | None = None,
    limits: Limits | None = None,
) -> None:
    """Stream from all hosts until ``until`` says so.

    ``final``: tracing is turned off then, what the buffers still hold and the counts are taken, the files get their
    names.  Else tracing stays on, the files stay ``.part``, and a later call goes on with them.  ``on_live`` is called
    once, when every host streams or has failed, unless all have failed.  A host's trouble ends that host's stream and
    stands in its ``error``; the others go on.
    """
    with selectors.DefaultSelector() as selector:
        turn = _Round({host.name: host for host in hosts}, selector, say, final, limits or Limits())
        try:
            turn.run(until, on_live)
        finally:
            turn.close()


class _Round:
    """One call of ``collect``."""

    def __init__(
        self, hosts: Hosts, selector: selectors.BaseSelector, say: Callable[[str], None], final: bool, limits: Limits
    ) -> None:
        self.hosts, self.selector, self.say, self.final, self.limits = hosts, selector, say, final, limits
        self.last_word, self.told = "", 0.0
        self.ending: list[Link] = []

    def run(self, until: Until, on_live: Callable[[Hosts], None] | None) -> None:
        for host in self.hosts.values():
            self._begin(host)
        looked = 0.0
        while any(host.link or host.again_at for host in self.hosts.values()):
            for key, _events in self.selector.select(TICK):
                self._take(key.data)
            if time.monotonic() - looked < TICK:
                continue
            looked = time.monotonic()
            if on_live and all(host.streamed or host.error for host in self.hosts.values()):
                if any(host.streamed for host in self.hosts.values()):
                    on_live(self.hosts)
                on_live = None
            if not self.last_word and until(self.hosts):
                self._stop()
            for host in self.hosts.values():
                self._look_at_clock(host)

    def _begin(self, host: Host) -> None:
        try:
            host.prepare()
            host.save_state()
            self._connect(host)
        except (OSError, ForeignError) as error:
            host.error = f"its stream could not be started: {error}"

    def _connect(self, host: Host) -> None:
        host.again_at = 0.0
        link = host.connect()
        self.selector.register(link.out, selectors.EVENT_READ, (host, link, link.out))
        self.selector.register(link.err, selectors.EVENT_READ, (host, link, link.err))

    def _stop(self) -> None:
        self.last_word, self.told = "stop" if self.final else "pause", time.monotonic()
        self.say(f"ending {sum(host.link is not None for host in self.hosts.values())} streams")
        for host in self.hosts.values():
            if host.link:
                host.link.heard = host.link.came = time.monotonic()
                if host.live:
                    host.link.tell(f"{self.last_word}\n")

    def _take(self, data: tuple) -> None:
        host, link, pipe = data
        if host.link is not link:  # ended by another event of the same look
            return
        try:
            got = os.read(pipe.fileno(), READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(host, link, f"the connection broke: {error}")
            return
        if pipe is link.err:
            if not link.hear_stderr(got):
                self.selector.unregister(pipe)
        elif got:
            self._use(host, link, got)
        else:
            self._lose(host, link, "the connection ended before the trace did")

    def _use(self, host: Host, link: Link, data: bytes) -> None:
        try:
            host.take(link, data, self.last_word)
            if host.written > self.limits.bytes:
                raise ForeignError(f"the host sent more than {self.limits.bytes} bytes of trace")
            if host.done:
                if self.final and not host.damage:
                    host.finish_files()
                self._end(host, "")
        except ForeignError as error:
            self._end(host, str(error))
        except OSError as error:
            self._end(host, f"the trace cannot be written on the control node: {error.strerror or error}")

    def _lose(self, host: Host, link: Link, why: str) -> None:
        """The connection is lost: it is taken up again when the host had streamed, and not too often."""
        link.read_stderr()
        if not host.streamed or host.lost_connections >= self.limits.attempts:
            self._end(host, f"{why}{link.last_words()}")
            return
        host.again_at = time.monotonic() + (1 << host.lost_connections)
        host.lost_connections += 1
        self.say(f"[{host.name}] {why}{link.last_words()}; it is taken up again")
        self._drop(host, link)

    def _drop(self, host: Host, link: Link) -> None:
        host.link = None
        for pipe in (link.out, link.err):
            with contextlib.suppress(KeyError):
                self.selector.unregister(pipe)
        link.end()
        self.ending.append(link)

    def _end(self, host: Host, error: str) -> None:
        """The host's part of this round is over."""
        if host.link:
            self._drop(host, host.link)
        host.again_at = 0.0
        if error or host.damage:
            safe = host.safe()
            host.error = f"{host.damage or error}; {safe}"
        if not host.complete:
            try:
                host.save_state()
            except OSError as trouble:
                host.error += f"; how far it came cannot be written down: {trouble.strerror or trouble}"
        self.say(f"[{host.name}] {host.error or ('complete' if self.final else 'paused')}")

    def _look_at_clock(self, host: Host) -> None:
        now = time.monotonic()
        if host.again_at and now >= host.again_at:
            try:
                self._connect(host)
            except OSError as error:
                self._end(host, f"its connection could not be started: {error}")
        if host.link is None:
            return
        if host.damage:
            self._end(host, host.damage)
            return
        host.link.flush()
        if not host.live:
            if now - host.link.begun > self.limits.start:
                self._end(host, f"it did not stream within {self.limits.start:.0f} s{host.link.last_words()}")
        elif self.last_word and now - self.told > self.limits.end:
            self._end(host, f"it did not end within {self.limits.end:.0f} s")
        elif self.last_word and now - host.link.came > self.limits.packet:
            self._end(host, f"no packet came for {self.limits.packet:.0f} s after the end")
        elif now - host.link.heard > self.limits.silence:
            if self.last_word:
                self._end(host, f"nothing came for {self.limits.silence:.0f} s after the end")
            else:
                self._lose(host, host.link, f"nothing came for {self.limits.silence:.0f} s")

    def close(self) -> None:
        """End what still runs."""
        for host in self.hosts.values():
            if host.link:
                self._drop(host, host.link)
        until = time.monotonic() + 5
        for link in self.ending:
            try:
                link.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                link.end(signal.SIGKILL)
                link.process.wait()
