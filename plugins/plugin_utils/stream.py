# SPDX-License-Identifier: GPL-3.0-or-later
"""Traces of many hosts as they appear: one process, one selector, bounded memory.

Each host runs ``sh/stream.sh`` behind a command of its own (usually ssh) whose standard output carries packets.
A packet is checked and written to the host's directory before the next one is looked at:

==================  ========================================================================
file                content
==================  ========================================================================
raw/cpuN.pages      pages of the ring buffer as the kernel handed them out
header.txt          ``events/header_page``
formats.txt         format files of the events
stats.txt           counts of the ring buffer after the last page
comms.txt           ``saved_cmdlines``
==================  ========================================================================

A file of pages is called ``.part`` until the host has said that it was the last page.  What a host sends harms
only its own stream: a packet has a limit, a checksum and a place that only the name of a CPU can choose.
"""

from __future__ import annotations

import hashlib
import os
import re
import selectors
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils import hostshell, ringbuffer

READ_SIZE = 1 << 16
"""Bytes taken from a host at a time."""
MAX_RAW = 16 << 20
"""Bytes of one packet after unpacking, at most: the limit of format files; pages come in less."""
MAX_HEADING = 256
GRACE = 30.0
"""Seconds that a host has after the end to send what its buffer still holds, unless it keeps sending."""

_HEADING = re.compile(rb"packet (pages|header|formats|stats|comms) ([a-z0-9_-]{1,16}) (\d{1,9}) (\d{1,9}) ([0-9a-f]{64}|-)")
_CPU = re.compile(r"cpu\d{1,5}\Z")
_TEXTS = {"header": "header.txt", "formats": "formats.txt", "stats": "stats.txt", "comms": "comms.txt"}


class StreamError(Exception):
    """What a host sent cannot be used, or it stopped sending.  The text says why."""


class Packet(NamedTuple):
    """One packet after unpacking and checking."""

    kind: str
    name: str
    raw: bytes


def unpack(data: bytes, packing: str, size: int) -> bytes:
    """Unpack the body of a packet that must give ``size`` bytes.  Raises StreamError when it does not."""
    try:
        if packing == "gzip":
            machine = zlib.decompressobj(31)
            raw = machine.decompress(data, size + 1)
            whole = machine.eof and not machine.unused_data
        elif packing == "zstd":
            import zstandard

            raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
            whole = True
        else:
            raw, whole = data, True
    except Exception as error:
        raise StreamError(f"a packet cannot be unpacked: {type(error).__name__}: {error}") from None
    if not whole or len(raw) != size:
        raise StreamError(f"a packet holds {len(raw)} bytes, {size} were announced")
    return raw


@dataclass
class Parser:
    """Bytes of one host, in pieces of any size -> packets.  Holds no more than one packet."""

    nonce: str
    packing: str = ""
    begun: bool = False
    ended: bool = False
    failure: str = ""
    _held: bytearray = field(default_factory=bytearray)
    _answer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Take some bytes; yield the packets that are whole.  Raises StreamError."""
        self._held += data
        while not self.ended:
            stop = self._held.find(b"\n")
            if stop < 0:
                if len(self._held) > hostshell.MAX_PREAMBLE:
                    raise StreamError("the host sent a line without end")
                return
            line = bytes(self._held[:stop])
            if not line.startswith(b"packet "):
                del self._held[: stop + 1]
                self._line(line)
                continue
            heading = _HEADING.fullmatch(line)
            if not self.begun or heading is None or int(heading[3]) > MAX_RAW or int(heading[4]) > 2 * MAX_RAW:
                raise StreamError(f"the host sent a packet that makes no sense: {hostshell.printable(line, 100)}")
            end = stop + 1 + int(heading[4])
            if len(self._held) < end:
                return
            body = bytes(self._held[stop + 1 : end])
            del self._held[:end]
            yield self._packet(heading, body)

    def _packet(self, heading: re.Match[bytes], body: bytes) -> Packet:
        raw = unpack(body, self.packing, int(heading[3]))
        wanted = heading[5].decode()
        if wanted not in ("-", hashlib.sha256(raw).hexdigest()):
            raise StreamError(f"a packet of {heading[2].decode()} was damaged on the way: its checksum differs")
        return Packet(heading[1].decode(), heading[2].decode(), raw)

    def _line(self, line: bytes) -> None:
        """A line between packets: greetings, then the words of an answer."""
        if not self.begun:
            self.begun = line == b"kedr-begin " + self.nonce.encode()
        elif line == b"kedr-end " + self.nonce.encode():
            self.ended = True
        elif line.startswith(b"v packing "):
            self.packing = line[10:].decode("ascii", "replace")
        elif line.startswith(b"|"):
            self.failure += hostshell.printable(line[1:], 500) + " "


@dataclass
class Host:
    """One host of a collection: how it is reached, where its files go, what came."""

    name: str
    argv: Sequence[str]
    call: hostshell.Call
    directory: str
    process: subprocess.Popen[bytes] | None = None
    parser: Parser | None = None
    layout: ringbuffer.PageLayout | None = None
    records: Counter[str] = field(default_factory=Counter)
    received: int = 0
    error: str = ""
    complete: bool = False
    heard: float = 0.0

    def start(self) -> None:
        """Start the host's command and hand it its program."""
        os.makedirs(os.path.join(self.directory, "raw"), mode=0o700, exist_ok=True)
        self.parser = Parser(self.call.nonce)
        with open(os.open(os.path.join(self.directory, "stream.log"), os.O_CREAT | os.O_WRONLY, 0o600), "wb") as log:
            self.process = subprocess.Popen(
                [*self.argv, self.call.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        pipe = self._pipe(self.process.stdin)
        pipe.write(self.call.stdin)
        pipe.flush()
        self.heard = time.monotonic()

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe

    def output(self) -> IO[bytes]:
        """The pipe that carries the host's packets."""
        assert self.process is not None
        return self._pipe(self.process.stdout)

    def stop(self) -> None:
        """Tell the host to stop tracing and to send the rest."""
        if self.process is not None and self.process.stdin is not None and not self.process.stdin.closed:
            try:
                self.process.stdin.write(b"stop\n")
                self.process.stdin.close()
            except OSError:
                pass

    def take(self, data: bytes) -> None:
        """Take some bytes that came from the host.  Raises StreamError, or OSError when a file cannot be written."""
        assert self.parser is not None
        self.heard = time.monotonic()
        self.received += len(data)
        for packet in self.parser.feed(data):
            self._keep(packet)
        if self.parser.ended:
            self._finish()

    def _keep(self, packet: Packet) -> None:
        if packet.kind == "pages":
            self._keep_pages(packet)
            return
        if packet.kind == "header":
            self.layout = ringbuffer.parse_header_page(packet.raw.decode("ascii", "replace"))
        self._append(_TEXTS[packet.kind], packet.raw)

    def _keep_pages(self, packet: Packet) -> None:
        if not _CPU.match(packet.name) or self.layout is None:
            raise StreamError(f"pages of '{packet.name}' came where none were expected")
        self.records[packet.name] += len(ringbuffer.walk(packet.raw, self.layout).at)
        self._append(os.path.join("raw", f"{packet.name}.pages.part"), packet.raw)

    def _append(self, name: str, raw: bytes) -> None:
        path = os.path.join(self.directory, name)
        with open(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab", buffering=0) as stream:
            before = os.fstat(stream.fileno()).st_size
            try:
                if stream.write(raw) != len(raw):
                    raise OSError(28, "no space left for the trace")
            except OSError:
                stream.truncate(before)
                raise

    def _finish(self) -> None:
        """The host has said that all was sent: the files get their names."""
        assert self.parser is not None
        if self.parser.failure:
            raise StreamError(self.parser.failure.strip())
        for name in self.records:
            path = os.path.join(self.directory, "raw", f"{name}.pages")
            os.replace(f"{path}.part", path)
        self.complete = True

    def close(self) -> None:
        """End the host's command, if it still runs, and wait for it."""
        if self.process is None:
            return
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except OSError:
                    pass
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


Until = Callable[[Mapping[str, Host]], bool]
"""Asked again and again: is it time to stop?"""


def collect(hosts: Sequence[Host], until: Until, say: Callable[[str], None], pause: float = 0.5) -> None:
    """Stream from all hosts until ``until`` says so, then take what their buffers still hold.

    A host's trouble ends that host's stream and stands in its ``error``; the others go on.
    """
    live: dict[int, Host] = {}
    by_name = {host.name: host for host in hosts}
    with selectors.DefaultSelector() as selector:
        for host in hosts:
            _begin(host, selector, live)
        stopping = False
        while live:
            if not stopping and until(by_name):
                stopping = True
                say(f"stopping {len(live)} streams")
                for host in live.values():
                    host.heard = time.monotonic()
                    host.stop()
            for key, _events in selector.select(pause):
                _take(live[key.fd], selector, live, say)
            if stopping:
                for host in list(live.values()):
                    if time.monotonic() - host.heard > GRACE:
                        _end(host, f"nothing came for {GRACE:.0f} s after the end", selector, live, say)


def _begin(host: Host, selector: selectors.BaseSelector, live: dict[int, Host]) -> None:
    try:
        host.start()
    except OSError as error:
        host.error = f"its connection could not be started: {error}"
        host.close()
        return
    pipe = host.output()
    os.set_blocking(pipe.fileno(), False)
    selector.register(pipe, selectors.EVENT_READ)
    live[pipe.fileno()] = host


def _take(host: Host, selector: selectors.BaseSelector, live: dict[int, Host], say: Callable[[str], None]) -> None:
    try:
        data = os.read(host.output().fileno(), READ_SIZE)
    except BlockingIOError:
        return
    except OSError as error:
        _end(host, f"the connection broke: {error}", selector, live, say)
        return
    if not data:
        _end(host, "the connection ended before the trace did", selector, live, say)
        return
    try:
        host.take(data)
    except (StreamError, ringbuffer.PageError) as error:
        _end(host, str(error), selector, live, say)
    except OSError as error:
        _end(host, f"the trace cannot be written on the control node: {error.strerror or error}", selector, live, say)
    else:
        if host.complete:
            _end(host, "", selector, live, say)


def _end(
    host: Host, error: str, selector: selectors.BaseSelector, live: dict[int, Host], say: Callable[[str], None]
) -> None:
    host.error = error
    pipe = host.output()
    selector.unregister(pipe)
    del live[pipe.fileno()]
    host.close()
    say(f"[{host.name}] {error or 'complete'}: {sum(host.records.values())} records, {host.received} bytes")
