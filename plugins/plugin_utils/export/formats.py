# SPDX-License-Identifier: GPL-3.0-or-later
"""The export formats by their names: a new one is a file in this package, and a line here."""

from . import merged, perfetto, trace_dat
from .format import Format

FORMATS: dict[str, Format] = {
    "trace-dat": trace_dat.FORMAT,
    "perfetto": perfetto.FORMAT,
    "merged": merged.FORMAT,
}
