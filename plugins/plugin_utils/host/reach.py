# SPDX-License-Identifier: GPL-3.0-or-later
"""A command line that reaches a host, with a place in it for any command.

Ansible quotes a command for each shell that it passes through (become, the login shell).  The place is a text that
becomes no other text by that, and what is put there instead has no single quotes, which all these quotings use.
"""

import re
import shlex
from collections.abc import Sequence

PLACE = "KEDR COMMAND"
"""What stands for the command; with a blank, so that each shell on the way gets it in quotes."""

_SPECIAL = re.compile(r'([\\"$`])')


def command_line(argv: Sequence[str], command: str) -> list[str]:
    """Return ``argv`` with the shell command ``command`` in its place.

    Raises ValueError when the command holds a single quote that is not one of quoting, or argv has no place.
    """
    words = shlex.split(command)
    if any("'" in word for word in words):
        raise ValueError("a single quote inside a command that passes through several shells")
    if sum(word.count(PLACE) for word in argv) != 1:
        raise ValueError("the command line of a host has no place for a command")
    placed = " ".join('"' + _SPECIAL.sub(r"\\\1", word) + '"' for word in words)
    return [word.replace(PLACE, placed) for word in argv]
