# SPDX-License-Identifier: GPL-3.0-or-later
"""What an export format is, and what all of them are given."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..base.errors import ForeignError, InputError, KedrError
from .hosts import HostDir

WriteHost = Callable[[HostDir, str], str]
"""Writes the file of one host; returns what it holds.  Raises KedrError or OSError."""


@dataclass
class Export:
    """One call of the command.

    ``output`` is the file of the only host where ``single``, else a directory, or the file of all hosts together.
    ``say`` shows what was made, ``warn`` what is missing of it; ``left_out`` counts hosts that are not in it.
    """

    hosts: Sequence[HostDir]
    output: str
    single: bool
    say: Callable[[str], None]
    warn: Callable[[str], None]
    left_out: int = 0

    def leave_out(self, why: KedrError) -> None:
        """Go on without a host."""
        self.left_out += 1
        self.warn(f"left out: {why}")

    def each_host(self, write: WriteHost, name: Callable[[str], str]) -> list[HostDir]:
        """Write a file for each host, named by ``name``; return the hosts whose file was made.

        A host that fails is left out.  Raises KedrError when no file was made, and OSError.
        """
        if self.single:
            self._write(write, self.hosts[0], self.output)
            return list(self.hosts)
        os.makedirs(self.output, mode=0o700, exist_ok=True)
        made = []
        for host in self.hosts:
            try:
                self._write(write, host, os.path.join(self.output, name(host.name)))
                made.append(host)
            except KedrError as error:
                self.leave_out(error)
        if not made:
            raise InputError("of no host could this be made")
        return made

    def _write(self, write: WriteHost, host: HostDir, path: str) -> None:
        try:
            self.say(f"{path}: {write(host, path)}")
        except ForeignError as error:
            raise ForeignError(str(error), host.name) from None


class Format(NamedTuple):
    """A form that other tools open: what it is, and what makes it.  ``make`` raises KedrError and OSError."""

    about: str
    make: Callable[[Export], object]
