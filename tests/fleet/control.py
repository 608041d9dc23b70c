# SPDX-License-Identifier: GPL-3.0-or-later
"""A control node in a process of its own, to be stopped and continued.  Usage: control.py PLACE NAME ADDRESS ...

The environment says how the hosts are reached.  Prints ``live``; a line on standard input ends the stream.
"""

from __future__ import annotations

import os
import pathlib
import select
import sys

from ansible_collections.kedr.lab.plugins.plugin_utils.collect import rounds
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream
from fleet import EVENT, INSTANCE


def host(place: pathlib.Path, name: str, address: str) -> HostStream:
    """One host of the stream."""
    directory = place / name
    directory.mkdir(parents=True, exist_ok=True)
    words = [*os.environ["ENTER"].split(), "ssh", *os.environ["SSH_OPTIONS"].split("\n"), f"root@{address}"]
    return HostStream(name, lambda command: [*words, command], str(directory), INSTANCE, [EVENT])


def main() -> None:
    place, rest = pathlib.Path(sys.argv[1]), sys.argv[2:]
    hosts = [host(place, name, address) for name, address in zip(rest[::2], rest[1::2], strict=True)]
    rounds.collect(
        hosts, lambda _hosts: bool(select.select([sys.stdin], [], [], 0)[0]), print, final=True,
        on_live=lambda _hosts: print("live", flush=True),
    )  # fmt: skip
    sys.exit(not all(each.complete for each in hosts))


if __name__ == "__main__":
    main()
