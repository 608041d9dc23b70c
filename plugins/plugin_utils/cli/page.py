# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``kedr page``: the page of a watch, made again."""

import argparse
import os

from ..base.foreign import plain
from ..report import timeline
from ..report.rows import many


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = "Exit status: 0 when the page was made, whatever the verdicts are, 2 after a message when not."
    parser.add_argument("run", metavar="RUN", help="the directory of a watch, for example runs/latest")
    parser.add_argument("-o", "--output", metavar="FILE", help=f"the page; by default RUN/{timeline.NAME}")
    text = "records that the page shows at most (default: %(default)s)"
    parser.add_argument("--limit", metavar="N", type=_limit, default=timeline.LIMIT, help=text)


def run(options: argparse.Namespace) -> int:
    """Make the page, and say how large it is.  Raises KedrError, OSError."""
    output = options.output or os.path.join(options.run, timeline.NAME)
    made = timeline.write(options.run, output, options.limit)
    shown = many(made.kept, "record") if made.kept == made.total else f"{made.kept} of {many(made.total, 'record')}"
    print(f"{plain(output, 500)}: {os.path.getsize(output) / 1e6:.1f} MB, {shown}")
    return 0


def _limit(text: str) -> int:
    """Return a number of records from 1 on.  Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 999999999")
    return int(text)
