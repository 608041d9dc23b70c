# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``kedr lint``: every mistake of payload descriptions."""

import argparse

from ..base.output import write_all
from ..payload.lint import report
from ..payload.together import read_together


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = "Exit status: 0 without a mistake, 1 with mistakes, 2 for a file that cannot be read, or wrong use."
    parser.add_argument("files", metavar="FILE", nargs="+", help="payload description (.data)")
    parser.add_argument("--json", action="store_true", help="print the mistakes as a JSON list")


def run(options: argparse.Namespace) -> int:
    """Print the mistakes; returns 1 where there are some, 2 where a file cannot be read."""
    dummy, problems, readable = read_together(options.files)
    write_all(1, report(problems, options.json))
    return (1 if problems else 0) if readable else 2
