# SPDX-License-Identifier: GPL-3.0-or-later
"""The command kedr-export: what was collected, in the forms that other tools open.

Of one host's directory comes one file; of a run's, a directory with a file for each host.  A host of which the
form cannot be made is named, the others are exported, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TextIO

from ..base.errors import KedrError
from ..base.foreign import printable
from ..export import hosts
from ..export.format import Export
from ..export.formats import FORMATS


def main(program: str, arguments: Sequence[str]) -> int:
    """Export; returns 0, 1 when something is missing from what was made, 2 when nothing was made."""
    options = _parser(program).parse_args(arguments)

    def warn(text: str) -> None:
        _say(f"{program}: {text}", sys.stderr)

    try:
        export = Export(hosts.find(options.path), options.output, hosts.is_host(options.path), _say, warn)
        FORMATS[options.format].make(export)
        return 1 if export.left_out else 0
    except KedrError as error:
        warn(f"error: {error}")
    except OSError as error:
        warn(f"error: {error.filename or options.output}: {error.strerror or error}")
    return 2


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Exports what was collected to the forms that other tools open.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="formats:\n" + "\n".join(f"  {name:10} {one.about}" for name, one in FORMATS.items()),
    )
    parser.add_argument("format", choices=FORMATS, metavar="FORMAT", help="what to make, see below")
    parser.add_argument("path", metavar="DIR", help="a run directory, or the directory of one host in it")
    parser.add_argument(
        "-o", "--output", metavar="FILE|DIR", required=True, help="a file for one host or merged, else a directory"
    )
    return parser


def _say(text: str, out: TextIO | None = None) -> None:
    """Print a line; what a host has put into it steers no terminal."""
    print(printable(text), file=out or sys.stdout)
