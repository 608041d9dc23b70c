# SPDX-License-Identifier: GPL-3.0-or-later
"""Collected pages -> trace.dat, the file that trace-cmd and KernelShark read.

Version 6 of the format, as trace-cmd.dat.v6(5) describes it; the options are those of trace-cmd.dat.v7(5).  The
pages are copied as the kernel handed them out; nothing is decoded.  ``trace-cmd restore`` is not used: that of
Debian 12 (3.1.6) ends with a segmentation fault without the formats of the kernel's own tracers, and reads the
control node's tracefs beside the files it is given.
"""

import os
import re
import struct
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from ..base.errors import ForeignError, InputError
from ..base.files import read_file, read_json, whole_file
from ..base.foreign import plain
from ..trace.formats import blocks
from ..trace.pages import parse_header_page
from ..trace.text import thread_names
from . import hosts
from .format import Format
from .hosts import HostDir

MAX_CPUS = 1 << 14
"""CPUs that a file may have: a number above it is taken for damage."""

_EVENT = re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}", re.ASCII)
_CPUSTAT, _TRACECLOCK, _UNAME = 2, 4, 5


def write(stream: BinaryIO, texts: Mapping[str, str], pages: Mapping[int, str], uname: str, clock: str) -> None:
    """Write trace.dat.

    ``texts`` has ``header.txt``, ``formats.txt``, and as far as they are there ``comms.txt`` and ``stats.txt``;
    ``pages`` the path of the file of pages by CPU; ``uname`` and ``clock`` may be empty.  A last page that is cut
    short is left out.  Raises ForeignError and OSError.
    """
    layout = parse_header_page(texts["header.txt"])
    if pages and max(pages) >= MAX_CPUS:
        raise ForeignError(f"there is a file of CPU {max(pages)}; at most {MAX_CPUS} CPUs are known here")
    cpus = max(pages, default=-1) + 1
    stream.write(b"\x17\x08\x44tracing6\0" + bytes([0, layout.used_size]) + struct.pack("<I", layout.size))
    _named(stream, b"header_page\0", texts["header.txt"].encode())
    _named(stream, b"header_event\0", b"")
    _formats(stream, texts["formats.txt"])
    stream.write(struct.pack("<II", 0, 0))  # symbols, formats of trace_printk: neither is collected
    _named(stream, b"", _names(texts.get("comms.txt", "")))
    stream.write(struct.pack("<I", cpus))
    _options(stream, texts.get("stats.txt", ""), uname, clock)
    _data(stream, layout.size, [pages.get(cpu, "") for cpu in range(cpus)])


def _named(stream: BinaryIO, name: bytes, content: bytes) -> None:
    stream.write(name + struct.pack("<Q", len(content)) + content)


def _names(text: str) -> bytes:
    """Names of threads, one on each line, as trace-cmd wants them: what is not printable is spelled out."""
    names = thread_names(text.encode("utf-8", "surrogateescape"))
    return "".join(f"{pid} {plain(name)}\n" for pid, name in names.items()).encode()


def _formats(stream: BinaryIO, text: str) -> None:
    """Formats of the tracers first, then those of the events, by system."""
    systems: dict[str, list[bytes]] = {}
    for line, name, block in blocks(text):
        if not _EVENT.fullmatch(name):
            problem = f"{name[:80]!a} does not name an event; system/event is expected"
            raise ForeignError(f"line {line}: {problem}", "formats.txt")
        systems.setdefault(name.partition("/")[0], []).append(block.encode("utf-8", "surrogateescape"))
    tracers = systems.pop("ftrace", [])
    stream.write(struct.pack("<I", len(tracers)))
    for one in tracers:
        _named(stream, b"", one)
    stream.write(struct.pack("<I", len(systems)))
    for system, formats in systems.items():
        stream.write(system.encode("utf-8", "surrogateescape") + b"\0" + struct.pack("<I", len(formats)))
        for one in formats:
            _named(stream, b"", one)


def _options(stream: BinaryIO, stats: str, uname: str, clock: str) -> None:
    """What is worth knowing beside the records: counts of each CPU, the kernel, the clock."""
    options = [
        (_CPUSTAT, f"CPU: {name.removeprefix('cpu')}\n{block.rstrip()}\n") for _line, name, block in blocks(stats)
    ]
    options += [(_UNAME, uname)] if uname else []
    options += [(_TRACECLOCK, f"[{clock}]")] if clock else []
    stream.write(b"options  \0")
    for number, text in options:
        content = text.encode("utf-8", "surrogateescape") + b"\0"
        stream.write(struct.pack("<HI", number, len(content)) + content)
    stream.write(struct.pack("<H", 0))


def _data(stream: BinaryIO, page: int, paths: Sequence[str]) -> None:
    """The table of places and sizes, then the pages, each CPU's from a whole page on."""
    sizes = [os.path.getsize(path) // page * page if path else 0 for path in paths]
    stream.write(b"flyrecord\0")
    at = -(-(stream.tell() + 16 * len(paths)) // page) * page
    for size in sizes:
        stream.write(struct.pack("<QQ", at, size))
        at += size
    stream.write(bytes(-stream.tell() % page))
    for path, size in zip(paths, sizes, strict=True):
        if size:
            with open(path, "rb") as source:
                _copy(source, stream, size)


def _copy(source: BinaryIO, stream: BinaryIO, size: int) -> None:
    """Copy ``size`` bytes.  Raises ForeignError when there are fewer."""
    while size:
        data = source.read(min(size, 1 << 20))
        if not data:
            raise ForeignError(f"{source.name} became shorter while it was read")
        stream.write(data)
        size -= len(data)


def write_host(host: HostDir, path: str) -> str:
    """Write the trace.dat of one host; return what it holds.  Raises KedrError and OSError."""
    found = hosts.pages(host)
    if not found:
        raise InputError(
            f"{host.name}: no raw pages were collected (raw/cpuN.pages), and trace.dat is made of nothing else; "
            "what the kernel printed is in trace.txt or raw/trace_pipe.txt"
        )
    texts = {name: _text(host, name) for name in ("header.txt", "formats.txt")}
    texts |= {name: _text(host, name) for name in ("comms.txt", "stats.txt") if _there(host, name)}
    clock = hosts.clock(host).name
    with whole_file(path) as stream:
        write(stream, texts, found, _uname(host), clock)
    parts = [cpu for cpu, name in found.items() if name.endswith(".part")]
    said = f"pages of {len(found)} CPUs, {os.path.getsize(path)} bytes{hosts.loss(host)}"
    return said + (f"; cut off: CPU {', '.join(map(str, parts))}" if parts else "")


def _there(host: HostDir, name: str) -> bool:
    return os.path.exists(os.path.join(host.directory, name))


def _text(host: HostDir, name: str) -> str:
    if not _there(host, name):
        raise InputError(f"{host.name}: {name} is missing; without it the pages cannot be read")
    return read_file(os.path.join(host.directory, name), hosts.MAX_TEXT).decode("utf-8", "surrogateescape")


def _uname(host: HostDir) -> str:
    facts = read_json(os.path.join(host.directory, "facts.json")) if _there(host, "facts.json") else {}
    words = [str(facts[key]) for key in ("release", "machine") if facts.get(key)]
    return " ".join(["Linux", host.name, *words]) if words else ""


FORMAT = Format(
    "trace.dat for trace-cmd and KernelShark", lambda export: export.each_host(write_host, lambda host: f"{host}.dat")
)
