# SPDX-License-Identifier: GPL-3.0-or-later
"""The streams of many hosts at once: one process, one selector, bounded memory."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..base.errors import ForeignError
from .link import READ_SIZE, Link
from .stream import HostStream, Streams

TICK = 0.25
"""Seconds between two looks at clocks and conditions at most."""


@dataclass(frozen=True)
class Limits:
    """How long, and how much of, a host is listened to.  Times in seconds."""

    start: float = 120.0
    """Until its stream must have begun."""
    silence: float = 30.0
    """Silence after which its connection counts as lost; an idle host says something every five seconds."""
    packet: float = 600.0
    """Without a packet after it was told to end."""
    end: float = 4 * 3600.0
    """Until it must have ended after it was told to, however much it still has."""
    attempts: int = 3
    """How often a lost connection is made again, after 1, 2, 4 ... seconds."""
    bytes: int = 64 << 30
    """What is written for one host at most."""


Until = Callable[[Streams], bool]
"""Asked again and again: is it time to stop?"""


def collect(
    hosts: Sequence[HostStream], until: Until, say: Callable[[str], None], *, final: bool,
    on_live: Callable[[Streams], None] | None = None, limits: Limits | None = None,
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
        self, hosts: Streams, selector: selectors.BaseSelector, say: Callable[[str], None], final: bool, limits: Limits
    ) -> None:
        self.hosts, self.selector, self.say, self.final, self.limits = hosts, selector, say, final, limits
        self.last_word, self.told = "", 0.0
        self.ending: list[Link] = []

    def run(self, until: Until, on_live: Callable[[Streams], None] | None) -> None:
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

    def _begin(self, host: HostStream) -> None:
        try:
            host.prepare()
            host.save_state()
            self._connect(host)
        except (OSError, ForeignError) as error:
            host.error = f"its stream could not be started: {error}"

    def _connect(self, host: HostStream) -> None:
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

    def _use(self, host: HostStream, link: Link, data: bytes) -> None:
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

    def _lose(self, host: HostStream, link: Link, why: str) -> None:
        """The connection is lost: it is taken up again when the host had streamed, and not too often."""
        link.read_stderr()
        if not host.streamed or host.lost_connections >= self.limits.attempts:
            self._end(host, f"{why}{link.last_words()}")
            return
        host.again_at = time.monotonic() + (1 << host.lost_connections)
        host.lost_connections += 1
        self.say(f"[{host.name}] {why}{link.last_words()}; connecting again")
        self._drop(host, link)

    def _drop(self, host: HostStream, link: Link) -> None:
        host.link = None
        for pipe in (link.out, link.err):
            with contextlib.suppress(KeyError):
                self.selector.unregister(pipe)
        link.end()
        self.ending.append(link)

    def _end(self, host: HostStream, error: str) -> None:
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

    def _look_at_clock(self, host: HostStream) -> None:
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
