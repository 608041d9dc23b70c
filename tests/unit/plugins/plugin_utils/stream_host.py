# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of a stream for tests, well-behaved or not.  Usage: stream_host.py BEHAVIOUR MEMORY COMMAND"""

from __future__ import annotations

import gzip
import hashlib
import os
import pathlib
import re
import select
import signal
import sys
import time
from collections.abc import Callable

if __package__:
    from .ring_pages import HEADER, Page
else:  # run as a host
    from ring_pages import HEADER, Page

PAGE = Page(1000).record(b"aaaabbbb", 5).record(b"cccc", 7).bytes()
"""A page with two records."""


def say(line: str) -> None:
    put(line.encode() + b"\n")


def put(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def packet(kind: str, name: str, number: int, raw: bytes, packing: str = "none", size: int | None = None) -> bytes:
    """A packet as stream.sh makes it; ``size`` replaces the length that is announced."""
    body = raw
    if packing == "gzip":
        body = gzip.compress(raw, 1)
    elif packing == "zstd":
        import zstandard  # only where it is needed: many hosts are started at once

        body = zstandard.compress(raw)
    summed = hashlib.sha256(raw).hexdigest()
    return f"packet {kind} {name} {number} {len(raw) if size is None else size} {len(body)} {summed}\n".encode() + body


class Reins:
    """What the control node says."""

    def __init__(self) -> None:
        size = int(re.search(r" kedr (\d+)", sys.argv[3])[1])
        program = b""
        while len(program) < size:
            program += os.read(0, size - len(program))
        self.nonce = re.search(rb"k_nonce=(\w+)", program)[1].decode()
        self.kept = int(re.search(rb"k_kept=(\d+)", program)[1])
        self._held = b""
        self.alive = False

    def next(self) -> str:
        """Wait for a line; nothing when there will be none.  Says now and then that the host is alive."""
        while b"\n" not in self._held:
            if self.alive and not select.select([0], [], [], 0.5)[0]:
                say("v beat 1")
                continue
            got = os.read(0, 4096)
            if not got:
                return ""
            self._held += got
        line, _feed, self._held = self._held.partition(b"\n")
        return line.decode()

    def wait_for(self, *lines: str) -> str:
        """Wait for one of these lines, or the end."""
        while (line := self.next()) not in (*lines, ""):
            pass
        return line


def begin(reins: Reins, packing: str = "none") -> None:
    say(f"kedr-begin {reins.nonce}")
    say("v boot e2609a0a-b92f-4fdd-abc8-239a0b5840a5")
    say("v form pages")
    say(f"v packing {packing}")
    put(packet("header", "page", 0, HEADER.encode(), packing))
    put(packet("formats", "-", 0, b"== a/b\n", packing))
    say("v live yes")


def end(reins: Reins, sent: int, packing: str = "none") -> None:
    reins.alive = True
    said = reins.wait_for("stop", "pause")
    reins.alive = False
    if said == "stop":
        put(packet("stats", "-", 0, b"== cpu0\nread events: 2\n", packing))
        put(packet("comms", "-", 0, b"1 init\n", packing))
    say(f"v sent {sent}")
    reins.wait_for("")
    say(f"kedr-end {reins.nonce}")


def good(reins: Reins, packing: str = "none") -> None:
    begin(reins, packing)
    put(packet("pages", "cpu0:1,cpu3:2", reins.kept + 1, PAGE * 3, packing))
    end(reins, reins.kept + 1, packing)


def stumbling(reins: Reins) -> None:
    """The connection is lost after the first packet; the second time all is well."""
    begin(reins)
    put(packet("pages", "cpu0:1", reins.kept + 1, PAGE))
    reins.wait_for(f"ack {reins.kept + 1}")
    if reins.kept == 0:
        print("the cable was pulled", file=sys.stderr)
        sys.exit(1)
    end(reins, reins.kept + 1)


def slow_start(reins: Reins) -> None:
    time.sleep(0.7)
    good(reins)


def endless(text: bytes) -> Callable[[Reins], None]:
    """Begins well, then sends the same for ever."""

    def behave(reins: Reins) -> None:
        begin(reins)
        while True:
            put(text)

    return behave


def stubborn(reins: Reins) -> None:
    """Does not end when it is told to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    begin(reins)
    say("nonsense")
    time.sleep(600)


def after_beginning(what: bytes | Callable[[], bytes], packing: str = "none") -> Callable[[Reins], None]:
    """Begins well, sends some bytes, then waits for the end."""

    def behave(reins: Reins) -> None:
        begin(reins, packing)
        put(what if isinstance(what, bytes) else what())
        reins.wait_for("")

    return behave


def flood(reins: Reins) -> None:
    """More pages than anybody wants."""
    begin(reins)
    for number in range(1, 100):
        put(packet("pages", "cpu0:256", number, PAGE * 256))
    reins.wait_for("")


def bomb(packing: str) -> Callable[[Reins], None]:
    """A packet that is small until it is unpacked."""
    return after_beginning(lambda: packet("pages", "cpu0:1", 1, bytes(64 << 20), packing, 4096), packing)


def early(reins: Reins) -> None:
    """Pages come before what describes them."""
    say(f"kedr-begin {reins.nonce}")
    put(packet("pages", "cpu0:1", 1, PAGE))
    reins.wait_for("")


def liar(reins: Reins) -> None:
    """Claims to have sent what did not come."""
    begin(reins)
    say("v sent 5")
    reins.wait_for("")


def mute(reins: Reins) -> None:
    """Ends well, and does not say how much it sent."""
    begin(reins)
    say(f"kedr-end {reins.nonce}")


def chatter(reins: Reins) -> None:
    while True:
        put(b"welcome to this host\n")


def loud(reins: Reins) -> None:
    """Standard error is flooded."""
    begin(reins)
    for _part in range(40):
        for _time in range(100):
            os.write(2, b"\x1b[31mred " * 128)
        say("v beat 1")
    end(reins, reins.kept)


def failing(reins: Reins) -> None:
    say(f"kedr-begin {reins.nonce}")
    put(b"v failed INFRA\ntext reason\n|no \xff\xfe trace \x1b[2J\x1b]0;title\x07 here\n\n.\n")
    reins.wait_for("")
    say(f"kedr-end {reins.nonce}")


def endless_end(reins: Reins) -> None:
    """Says that it is alive, and nothing else, also when it is told to end."""
    begin(reins)
    reins.alive = True
    while reins.next():
        pass


def endless_drain(reins: Reins) -> None:
    """Has one more page every second, also after it was told to end."""
    begin(reins)
    for number in range(1, 600):
        put(packet("pages", "cpu0:1", number, PAGE))
        reins.wait_for(f"ack {number}")
        time.sleep(1)


def full(reins: Reins) -> None:
    """Sends packets until it is told to stop, and waits for each to be acknowledged."""
    begin(reins)
    number = reins.kept
    while True:
        number += 1
        put(packet("pages", "cpu0:64", number, PAGE * 64))
        if (said := reins.wait_for(f"ack {number}", "stop")) != f"ack {number}":
            break
    if said:
        reins.wait_for(f"ack {number}")
        say(f"v sent {number}")
        reins.wait_for("")
        say(f"kedr-end {reins.nonce}")


WRONG_SUM = packet("pages", "cpu0:1", 1, PAGE).replace(PAGE, bytes(len(PAGE)))
BEHAVIOURS: dict[str, Callable[[Reins], None]] = {
    "good": good,
    "good-gzip": lambda reins: good(reins, "gzip"),
    "good-zstd": lambda reins: good(reins, "zstd"),
    "stumbling": stumbling,
    "slow-start": slow_start,
    "full": full,
    "silent": lambda reins: time.sleep(600),
    "gone": lambda reins: sys.exit("ssh: connect to host gone: \x1b[1mConnection refused"),
    "chatter": chatter,
    "failing": failing,
    "stubborn": stubborn,
    "loud": loud,
    "endless-lines": endless(b"v beat 1\nxyz\n"),
    "endless-line": endless(b"x" * 4096),
    "endless-beats": endless(b"v beat 1\n" * 400),
    "endless-end": endless_end,
    "endless-texts": endless(packet("formats", "-", 0, b"== a/b\n")),
    "endless-drain": endless_drain,
    "endless-pages": flood,
    "invalid-utf8": after_beginning(b"\xff\xfe\x80 \x1b[2J\n"),
    "wrong-sum": after_beginning(WRONG_SUM),
    "wrong-number": after_beginning(packet("pages", "cpu0:1", 7, PAGE)),
    "no-number": after_beginning(packet("pages", "cpu0:1", 0, PAGE)),
    "path": after_beginning(packet("pages", "../../../../tmp/x:1", 1, PAGE)),
    "path-cpu": after_beginning(packet("pages", "cpu0-x:1", 1, PAGE)),
    "too-few": after_beginning(packet("pages", "cpu0:2", 1, PAGE)),
    "too-many": after_beginning(packet("pages", "cpu0:1", 1, PAGE * 2)),
    "twice": after_beginning(packet("pages", "cpu0:1,cpu0:1", 1, PAGE * 2)),
    "nonsense-pages": after_beginning(packet("pages", "cpu0:1", 1, b"\xff" * 4096)),
    "huge-packet": after_beginning(b"packet pages cpu0:1 1 999999999 999999999 -\n"),
    "unfinished": after_beginning(b"packet pages cpu0:1 1 4096 4096 -\nabc"),
    "early": early,
    "bomb-gzip": bomb("gzip"),
    "bomb-zstd": bomb("zstd"),
    "no-gzip": after_beginning(packet("pages", "cpu0:1", 1, PAGE), packing="gzip"),
    "liar": liar,
    "mute": mute,
}


if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).touch()
    BEHAVIOURS[sys.argv[1]](Reins())
