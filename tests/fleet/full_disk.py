# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams from two hosts that never end, to a place where there is little room.  Usage: full_disk.py PLACE

Prints of each host: why it ended, a bar, and the bytes of trace that are there.
"""

from __future__ import annotations

import os
import pathlib
import sys
import time

from ansible_collections.kedr.lab.plugins.plugin_utils.collect import rounds
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream
from fleet import UNIT


def main() -> None:
    place = pathlib.Path(sys.argv[1])
    hosts = []
    for name in ("one", "two"):
        (place / name).mkdir()
        words = [sys.executable, str(UNIT / "stream_host.py"), "full", os.devnull]
        hosts.append(HostStream(name, lambda command, words=words: [*words, command], str(place / name), "kedr", []))
    end = time.monotonic() + 60
    rounds.collect(hosts, lambda _hosts: time.monotonic() > end, lambda _line: None, final=True)
    for host in hosts:
        print(f"{host.error}|{sum(path.stat().st_size for path in (place / host.name).glob('raw/*.pages.part'))}")


if __name__ == "__main__":
    main()
