# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates at which hosts make records: measured while they stream, and read from runs before."""

import contextlib
import os
from dataclasses import dataclass

from ..base.errors import ForeignError
from ..base.files import read_json

SHORTEST = 2.0
"""Seconds over which a rate is measured, at least."""


@dataclass
class Rate:
    """The highest rate of one host in bytes a second, and where the measurement that goes on began."""

    peak: int = 0
    _before: tuple[float, int] | None = None

    def measure(self, now: float, written: int, last: bool = False) -> None:
        """Take into account that ``written`` bytes had come at ``now`` (seconds); ``last``: no more will."""
        if self._before is None:
            self._before = now, written
        elif last or now - self._before[0] >= SHORTEST:
            seconds = max(now - self._before[0], SHORTEST)
            self.peak = max(self.peak, int((written - self._before[1]) / seconds))
            self._before = now, written


def measured_rate(runs_dir: str, host: str) -> int:
    """The highest rate in bytes a second that the newest watch of `host` with records measured; 0 for none."""
    found: list[tuple[float, int]] = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(runs_dir):
            with contextlib.suppress(ForeignError, ValueError, TypeError, KeyError):
                about = read_json(os.path.join(entry.path, host, "stream.json"))
                found.append((float(about["ended"]), int(about["peak"])))
    return max((one for one in found if one[1] > 0), default=(0.0, 0))[1]
