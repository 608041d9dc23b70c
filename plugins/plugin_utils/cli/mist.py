# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``kedr mist``: the text generator; ``mist_gen`` is the same with the messages of the original."""

import argparse
import os

from ..base.errors import InputError
from ..base.output import write_all
from ..mist.generate import render
from ..mist.template import MistError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("templates", metavar="DIR", help="the template set")
    parser.add_argument("data", metavar="FILE", help="the data file")


def run(options: argparse.Namespace) -> int:
    """Print the text.  Raises InputError for a mistake in the data or in a template."""
    try:
        text = render(os.fsencode(options.templates), os.fsencode(options.data))
    except MistError as error:
        raise InputError(str(error)) from None
    write_all(1, text)
    return 0
