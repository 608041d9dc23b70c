# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb export: what was collected, in the formats that other tools open.

Of one host's directory comes one file; of a run's, a directory with a file for each host.  A host of which the
format cannot be made is named, the others are exported, and the exit status is 1.
"""

import argparse
import sys

from ..base.foreign import printable
from ..export import hosts
from ..export.format import Export
from ..export.formats import FORMATS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    formats = "\n".join(f"  {name:10} {one.about}" for name, one in FORMATS.items())
    parser.epilog = f"formats:\n{formats}\n\nExit status: 0, or 1 when a host was left out."
    parser.add_argument("format", choices=list(FORMATS), metavar="FORMAT", help="what to make, see below")
    parser.add_argument("path", metavar="DIR", help="a run directory, or the directory of one host in it")
    parser.add_argument(
        "-o", "--output", metavar="FILE|DIR", required=True, help="a file for one host or merged, else a directory"
    )


def run(options: argparse.Namespace) -> int:
    """Export; returns 1 when something is missing from what was made.  Raises KedrError, OSError."""
    export = Export(hosts.find(options.path), options.output, hosts.is_host(options.path), _say, _warn)
    FORMATS[options.format].make(export)
    return 1 if export.left_out else 0


def _say(text: str) -> None:
    """Print a line, made safe for a terminal."""
    print(printable(text))


def _warn(text: str) -> None:
    print(printable(f"kedr export: {text}"), file=sys.stderr)
