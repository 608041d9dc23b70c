# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the part of the kernel for many hosts: fills their pipes with pages at a known rate, and counts.

Usage: writer.py RATE PAGES CAPACITY INSTANCE...   (pages per second and CPU; pages per CPU; bytes that a pipe holds)

Prints ``ready``, waits for a line, writes; a page for which there is no room is lost and counted, as the kernel does
it.  Another line stops it early.  Prints JSON: instance -> CPU -> [generated, overrun] in records; waits for the end of
standard input, since what the pipes hold is gone with this process.
"""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import select
import sys
import time

import numpy as np
from fleet import EVENT_ID, stats

PER_PAGE = 203
"""Records of 20 bytes in a page; the number of those lost before it still fits behind them."""
F_SETPIPE_SZ = 1031
TICK = 0.05


class Cpu:
    """One CPU of one host."""

    def __init__(self, folder: pathlib.Path, number: int, capacity: int) -> None:
        self.folder, self.number = folder, number
        self.pipe = os.open(folder / "trace_pipe_raw", os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self.pipe, F_SETPIPE_SZ, capacity)
        self.pages = self.lost = self.overrun = 0

    def write(self, page: np.ndarray) -> None:
        """Write the next page, or lose it."""
        words = page[:4080].view("<u8")
        begin = self.pages * PER_PAGE
        words[0] = 1_000_000_000 + begin * 1000
        flags = 3 << 30 if self.lost else 0
        words[1] = PER_PAGE * 20 | flags
        page[16 + PER_PAGE * 20 : 24 + PER_PAGE * 20] = np.frombuffer(self.lost.to_bytes(8, "little"), np.uint8)
        records(page)["seq"] = np.arange(begin, begin + PER_PAGE)
        self.pages += 1
        try:
            assert os.write(self.pipe, page.data) == 4096
            self.lost = 0
        except BlockingIOError:
            self.lost += PER_PAGE
            self.overrun += PER_PAGE

    def say(self, done: bool) -> None:
        """Bring the file of counts up to date."""
        generated = self.pages * PER_PAGE
        text = stats(0 if done else 1, self.overrun, generated - self.overrun)
        (self.folder / "stats").write_text(text)


def records(page: np.ndarray) -> np.ndarray:
    """The records of a page as a table."""
    kind = np.dtype([("head", "<u4"), ("type", "<u2"), ("flags", "<u2"), ("pid", "<i4"), ("seq", "<u8")])
    return page[16 : 16 + PER_PAGE * kind.itemsize].view(kind)


def read_records(data: bytes) -> np.ndarray:
    """The numbers of the records in whole pages, in their order."""
    pages = np.frombuffer(data, np.uint8).reshape(-1, 4096)
    return np.concatenate([records(page)["seq"] for page in pages]) if len(pages) else np.zeros(0, np.uint64)


def main() -> None:
    rate, pages, capacity = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    hosts = {
        name: [Cpu(cpu, int(cpu.name[3:]), capacity) for cpu in sorted(pathlib.Path(name).glob("per_cpu/cpu*"))]
        for name in sys.argv[4:]
    }
    cpus = [cpu for each in hosts.values() for cpu in each]
    page = np.zeros(4096, np.uint8)
    table = records(page)
    table["head"], table["type"], table["pid"] = 4 | 1000 << 5, EVENT_ID, 4242
    print("ready", flush=True)
    sys.stdin.readline()
    for cpu in cpus:
        cpu.say(done=False)
    begun = time.monotonic()
    written = 0
    while written < pages and not select.select([sys.stdin], [], [], TICK)[0]:
        due = min(pages, int((time.monotonic() - begun) * rate))
        for _page in range(due - written):
            for cpu in cpus:
                cpu.write(page)
        written = due
    for cpu in cpus:
        cpu.say(done=True)
    print(json.dumps({name: {f"cpu{cpu.number}": [cpu.pages * PER_PAGE, cpu.overrun] for cpu in each}
                      for name, each in hosts.items()}), flush=True)  # fmt: skip
    sys.stdin.read()


if __name__ == "__main__":
    main()
