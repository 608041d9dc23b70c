# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums of what was received, written when it came: is a file still what it was?

``raw/NAME.sums`` has a line ``LENGTH SHA256`` for each part of a file in their order: of a file that grows, one for
each packet; of another, one.  A file of records may still be called ``NAME.part``.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

MAX_PART = 4 << 20
"""Bytes of one part at most, which is held in memory."""
MAX_SHOWN = 3
"""Places of one file that are named."""

RECORDS = re.compile(r"(cpu\d{1,5}\.pages|trace_pipe\.txt)(?:\.part)?\Z")
"""Files of records, complete or not."""
TEXTS = ("header.txt", "formats.txt", "stats.txt", "comms.txt")
"""Files beside ``raw`` that come in packets as well."""

_SUFFIX = ".sums"
_LINE = re.compile(rb"(\d{1,9}) ([0-9a-f]{64})\n")


def line(raw: bytes, digest: str = "") -> bytes:
    """The line for one part, whose SHA256 may be known already."""
    return f"{len(raw)} {digest or hashlib.sha256(raw).hexdigest()}\n".encode()


def path(directory: str, name: str) -> str:
    """Where the checksums of a file of a host are."""
    return os.path.join(directory, "raw", name + _SUFFIX)


def damage(directory: str) -> dict[str, str]:
    """{file: what is wrong with it} of one host; nothing when every file is as it was received.

    While a stream is not complete, others may have written the files of text.  Raises OSError.
    """
    raw = os.path.join(directory, "raw")
    complete = not os.path.exists(os.path.join(raw, "stream.state"))
    files = {name: os.path.join(directory, name) for name in TEXTS if complete}
    for name in sorted(os.listdir(raw)) if os.path.isdir(raw) else ():
        if found := RECORDS.match(name):
            files[found[1]] = os.path.join(raw, name)
        elif name.endswith(_SUFFIX) and name.removesuffix(_SUFFIX) not in TEXTS:
            files.setdefault(name.removesuffix(_SUFFIX), os.path.join(raw, name.removesuffix(_SUFFIX)))
    if not any(os.path.exists(path(directory, name)) for name in files):
        came = any(map(os.path.exists, files.values()))
        return {"raw": "there are no checksums, so nothing shows that the trace is what was received"} if came else {}
    wrong = {
        os.path.relpath(file, directory): _differences(file, path(directory, name)) for name, file in files.items()
    }
    return {name: text for name, text in wrong.items() if text}


def told(directory: str) -> list[str]:
    """What is wrong with the files that have checksums, in words, for those who use what a host left in any case."""
    return [f"{name}: {text}" for name, text in damage(directory).items() if name != "raw"]


def _differences(file: str, summed: str) -> str:
    """What is wrong with a file; a file that is not there and has no checksums never came."""
    there, known = os.path.exists(file), os.path.exists(summed)
    if not known:
        return "it has no checksums, so nothing shows that it is what was received" if there else ""
    if not there:
        return "it was received and is not there"
    with open(summed, "rb") as sums, open(file, "rb") as stream:
        return "; ".join(_cut(_compare(stream, sums)))


def _compare(stream: BinaryIO, sums: BinaryIO) -> Iterator[str]:
    """Each part that differs."""
    at = 0
    for number, row in enumerate(iter(lambda: sums.readline(200), b""), 1):
        found = _LINE.fullmatch(row)
        if found is None or int(found[1]) > MAX_PART:
            yield f"its checksums are damaged: line {number} of {os.path.basename(sums.name)}"
            return
        size = int(found[1])
        data = stream.read(size)
        if len(data) < size:
            yield f"it ends at byte {at + len(data)}, and more was received"
            return
        if hashlib.sha256(data).hexdigest() != found[2].decode():
            yield f"bytes {at} to {at + size} are not those that were received"
        at += size
    if stream.read(1):
        yield f"what follows byte {at} was never received, or has lost its checksum"


def _cut(found: Iterator[str]) -> list[str]:
    """The first few, and that there are more."""
    shown: list[str] = []
    for text in found:
        if len(shown) == MAX_SHOWN:
            return [*shown, "and more"]
        shown.append(text)
    return shown
