# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of the ring buffer (``per_cpu/cpuN/stats``) -> counts."""

import re
from typing import NamedTuple

from .formats import TraceError, blocks, cut
from .text import nanoseconds


class CpuStats(NamedTuple):
    """Ring buffer counts of one CPU.  ``None``: the kernel does not report this count.

    ``oldest`` and ``now`` are the times of the oldest page and of the reading, in nanoseconds as those of records.
    """

    entries: int
    overrun: int
    commit_overrun: int
    dropped: int | None
    read: int | None
    oldest: int | None = None
    now: int | None = None

    @property
    def lost(self) -> int:
        """Records that were generated and can no longer be read."""
        return self.overrun + self.commit_overrun + (self.dropped or 0)


_STATS_KEYS = {
    "entries": "entries", "overrun": "overrun", "commit overrun": "commit_overrun", "dropped events": "dropped",
    "read events": "read",
}
_STATS_TIMES = {"oldest event ts": "oldest", "now ts": "now"}
_TIME = re.compile(r"(\d{1,20})(?:\.(\d{6}))?")


def parse_stats(text: str) -> dict[int, CpuStats]:
    """Read blocks ``== cpuN`` followed by ``per_cpu/cpuN/stats``; returns the counts by CPU number.

    Raises TraceError when a block lacks one of entries, overrun and commit overrun, holds no number, or stands twice.
    """
    if text and not text.endswith("\n"):
        raise TraceError(text.count("\n") + 1, "the text is cut off")
    stats: dict[int, CpuStats] = {}
    for line, name, block in blocks(text):
        if not re.fullmatch(r"cpu\d{1,5}", name):
            raise TraceError(line, f"'== {cut(name)}' does not name a CPU; '== cpuN' is expected")
        if int(name[3:]) in stats:
            raise TraceError(line, f"{name} stands twice")
        counts: dict[str, int] = {}
        for offset, row in enumerate(block.split("\n"), 1):
            key, colon, value = row.partition(":")
            if colon and key.strip() in _STATS_KEYS:
                if not re.fullmatch(r"\d{1,20}", value.strip()):
                    raise TraceError(line + offset, f"'{cut(row)}' holds no count")
                counts[_STATS_KEYS[key.strip()]] = int(value)
            elif key.strip() in _STATS_TIMES and (time := _TIME.fullmatch(value.strip())):
                counts[_STATS_TIMES[key.strip()]] = nanoseconds(*time.groups())
        for key in ("entries", "overrun", "commit_overrun"):
            if key not in counts:
                raise TraceError(line, f"{name} has no count '{key.replace('_', ' ')}'")
        stats[int(name[3:])] = CpuStats(*(counts.get(key) for key in CpuStats._fields))  # type: ignore[arg-type]
    return stats
