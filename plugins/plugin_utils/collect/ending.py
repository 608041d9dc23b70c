# SPDX-License-Identifier: GPL-3.0-or-later
"""When a watch ends: at the first of its conditions that is met.

Conditions are a time, a number of records of all hosts together, a file that appears on the control node, and the end
of the commands that run on the hosts and on the control node.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .jobs import Job
from .stream import Streams

COMMAND_ENDED = "the command has ended"
"""The condition that was met when the last command has ended."""


@dataclass
class Ending:
    """What ends a watch.  ``None`` is not a condition; ``jobs`` end it when all of them have ended."""

    duration: float | None = None
    events: int | None = None
    files: Sequence[str] = ()
    jobs: Sequence[Job] = ()
    parent: int = 0
    live_since: float | None = None
    reason: str = ""

    def live(self) -> None:
        """All hosts stream: the time begins to run."""
        self.live_since = time.monotonic()

    def met(self, streams: Streams) -> bool:
        """Is a condition met?  Then ``reason`` says which."""
        self.reason = self.reason or self._reason(streams)
        return bool(self.reason)

    def _reason(self, streams: Streams) -> str:
        if self.parent and os.getppid() != self.parent:
            return "the playbook that started the watch is gone"
        for path in self.files:
            if os.path.lexists(path):
                return f"{path} appeared"
        if self.live_since is None:
            return ""
        if self.duration is not None and time.monotonic() - self.live_since >= self.duration:
            return f"{self.duration:g} s are over"
        if self.events is not None:  # counting costs: only when it is asked for
            records = sum(sum(stream.records.values()) for stream in streams.values())
            if records >= self.events:
                return f"{records} records came"
        if streams and all(stream.error for stream in streams.values()):
            return "no host is left"
        # Each is looked at: one that writes too much is ended only then.
        over = [job.ended() or self._is_lost(job, streams) for job in self.jobs]
        if over and all(over):
            return COMMAND_ENDED
        return ""

    @staticmethod
    def _is_lost(job: Job, streams: Streams) -> bool:
        """Does it run on a host that was given up?  It may stand still, so its end is not waited for."""
        return job.name in streams and bool(streams[job.name].error)
