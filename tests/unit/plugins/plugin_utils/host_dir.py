# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watch leaves of one host, written by hand for tests."""

from __future__ import annotations

import json
import pathlib
import struct
from collections.abc import Mapping, Sequence

from ansible_collections.kedr.lab.plugins.plugin_utils.base import sums

from .ring_pages import HEADER, Page

EVENTS = {10: "called_kfree", 11: "called_up"}
SYSTEM = "my_payload1"
PAIRS = tuple(f"{SYSTEM}/{event}" for event in EVENTS.values())
SECOND = 10**9
PER_PAGE = 100
"""Records of one page; a full page has room for more."""


def formats() -> str:
    """Format files of EVENTS, which both have a pointer ``p``."""
    common = (("unsigned short", "type", 0, 2, 0), ("unsigned char", "flags", 2, 1, 0),
              ("unsigned char", "preempt_count", 3, 1, 0), ("int", "pid", 4, 4, 1))  # fmt: skip
    text = ""
    for number, event in EVENTS.items():
        text += f"== {SYSTEM}/{event}\nname: {event}\nID: {number}\nformat:\n"
        for ctype, name, offset, size, signed in common:
            text += f"\tfield:{ctype} common_{name};\toffset:{offset};\tsize:{size};\tsigned:{signed};\n"
        text += "\n\tfield:const void * p;\toffset:8;\tsize:8;\tsigned:0;\n\n"
        text += f'print fmt: "{event[7:]}(%p)", REC->p\n'
    return text


def record(number: int) -> bytes:
    """One record of event ``number``."""
    return struct.pack("<HBBiQ", number, 0, 0, 500, 0xFFFF888003A1C000)


def pages(kinds: Sequence[int], start: int = SECOND, lost: Mapping[int, int] | None = None) -> bytes:
    """Pages with a record every microsecond; ``lost`` {page: records lost before it, -1: not counted}."""
    data = b""
    for number, first in enumerate(range(0, len(kinds), PER_PAGE)):
        page = Page(start + first * 1000, lost=(lost or {}).get(number, 0))
        for kind in kinds[first : first + PER_PAGE]:
            page.record(record(kind), 1000)
        data += page.bytes()
    return data


def stats(read: int | None, entries: int = 0, overrun: int = 0, commit: int = 0, dropped: int = 0) -> str:
    """``per_cpu/cpuN/stats``; without ``read`` that of a kernel that does not count what was read."""
    text = f"entries: {entries}\noverrun: {overrun}\ncommit overrun: {commit}\n"
    return text + ("" if read is None else f"dropped events: {dropped}\nread events: {read}\n")


def seal(path: pathlib.Path) -> None:
    """Write the checksums of what came from a host, as if it had come in one packet for each file."""
    names = [file.name for file in (path / "raw").iterdir() if sums.RECORDS.match(file.name)]
    files = {sums.RECORDS.match(name)[1]: path / "raw" / name for name in names}
    files |= {name: path / name for name in sums.TEXTS if (path / name).exists()}
    for name, file in files.items():
        pathlib.Path(sums.path(str(path), name)).write_bytes(sums.line(file.read_bytes()))


def line(cpu: int, number: int, event: str = "kfree") -> str:
    """One line of the kernel's text."""
    return f"{'insmod':>16}-500     [{cpu:03}] ..... {10 + number / 1000:12.6f}: called_{event}: {event}({'0' * 16})\n"


class HostDir:
    """The directory of one host."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        (path / "raw").mkdir(parents=True, exist_ok=True)
        self.write("header.txt", HEADER)
        self.write("formats.txt", formats())
        self.write("comms.txt", "500 insmod\n")
        self.counted: dict[int, str] = {}

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file of the host."""
        (self.path / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def cpu(self, number: int, data: bytes, counts: str | None, part: bool = False) -> None:
        """Pages and counts of one CPU; without ``counts`` the host died before."""
        if data:
            self.write(f"raw/cpu{number}.pages" + (".part" if part else ""), data)
        if counts is not None:
            self.counted[number] = counts
            self.write("stats.txt", "".join(f"== cpu{one}\n{text}" for one, text in sorted(self.counted.items())))

    def calls(self, kfree: int, up: int) -> dict[str, int]:
        """The payloads' counters."""
        counts = dict(zip(PAIRS, (kfree, up), strict=True))
        self.write("calls.json", json.dumps(counts))
        return counts
