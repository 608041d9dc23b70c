# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of the kernel's trace ring buffer -> records as columns.

``per_cpu/cpuN/trace_pipe_raw`` hands out whole pages.  A page is described by ``events/header_page``: a time
stamp of the first record, the number of bytes used, then records.  A record begins with 32 bits: 5 bits of
type or length, 27 bits of time since the record before (``events/header_event``).  What a record holds is
described by the ``format`` file of its event, found by the number in its first two bytes.

Many pages are read at once: step k looks at the k-th record of every page, so the work is done by numpy.
"""

from __future__ import annotations

import contextlib
import re
import struct
import sys
from array import array
from dataclasses import dataclass
from typing import NamedTuple

from ..base.errors import ForeignError

with contextlib.suppress(ImportError):
    import numpy as np

MAX_PAGE = 1 << 20
"""Bytes of a page at most: the kernel counts its bytes with 20 bits."""

_MISSED = 1 << 31
_MISSED_STORED = 1 << 30
_USED = (1 << 27) - 1

_PADDING, _TIME_EXTEND, _TIME_STAMP = 29, 30, 31
"""Types of entries that are not records; smaller values are lengths (``header_event``)."""

_PAGE_FIELD = re.compile(
    r"\b(?P<name>\w{1,40});\s{0,9}offset:(?P<at>\d{1,20});\s{0,9}size:(?P<size>\d{1,20});", re.ASCII
)


class PageLayout(NamedTuple):
    """Where the parts of a page are, in bytes from its start; ``size`` is the size of the whole page."""

    used_at: int
    used_size: int
    data_at: int
    size: int


def parse_header_page(text: str) -> PageLayout:
    """Read ``events/header_page``.  Raises ForeignError when a field is missing or makes no sense."""
    found = {item["name"]: (int(item["at"]), int(item["size"])) for item in _PAGE_FIELD.finditer(text)}
    if not {"timestamp", "commit", "data"} <= set(found):
        raise ForeignError("header_page does not name timestamp, commit and data")
    (stamp_at, stamp_size), (used_at, used_size) = found["timestamp"], found["commit"]
    data_at, data_size = found["data"]
    if (stamp_at, stamp_size) != (0, 8) or used_size not in (4, 8) or not 8 + used_size <= data_at < 64 or data_at % 4:
        raise ForeignError(f"header_page describes a page of an unknown kind: {found}")
    size = data_at + data_size
    if not 512 <= size <= MAX_PAGE or size & (size - 1):
        raise ForeignError(f"header_page: {size} bytes cannot be the size of a page")
    return PageLayout(used_at, used_size, data_at, data_at + data_size)


@dataclass
class Walk:
    """The records of some pages, in the order of the pages.

    ``at`` is the offset of each record's first byte in ``data`` (all pages one after another), ``length`` its
    length in bytes, ``page`` the index of its page, ``time`` its time in units of the trace clock.
    ``missed`` says of each page how many records were lost before it (-1: some, not counted).
    """

    data: np.ndarray
    at: np.ndarray
    length: np.ndarray
    page: np.ndarray
    time: np.ndarray
    missed: np.ndarray


def walk(data: bytes, layout: PageLayout) -> Walk:
    """Find the records of whole pages.

    Raises ForeignError when the bytes are not whole pages, or a page's lengths contradict each other.
    """
    if len(data) % layout.size:
        raise ForeignError(f"{len(data)} bytes are not whole pages of {layout.size} bytes")
    flat = np.frombuffer(data, dtype=np.uint8)
    pages = flat.reshape(-1, layout.size)
    words = flat.view("<u4")
    used_field = _column(pages, layout.used_at, 4, "<u4").astype(np.int64)
    used = used_field & _USED
    end = used + layout.data_at
    if len(pages) and int(end.max()) > layout.size:
        raise ForeignError(f"page {int(end.argmax())} claims {int(used.max())} used bytes")
    base = np.arange(len(pages), dtype=np.int64) * layout.size
    time = _column(pages, 0, 8, "<u8").astype(np.uint64)
    steps: list[tuple[np.ndarray, ...]] = []
    place = np.full(len(pages), layout.data_at, dtype=np.int64)
    live = np.flatnonzero(place + 4 <= end)
    while len(live):
        step, live = _step(words, base, place, end, time, live)
        steps.append(step)
    page, at, length, when = (
        np.concatenate([step[index] for step in steps]) if steps else np.zeros(0, dtype=np.int64) for index in range(4)
    )
    order = np.argsort(at, kind="stable")
    missed = _missed(words, base, end, used_field, layout)
    return Walk(flat, at[order], length[order], page[order], when[order].astype(np.uint64), missed)


def _column(pages: np.ndarray, at: int, size: int, kind: str) -> np.ndarray:
    return np.ascontiguousarray(pages[:, at : at + size]).view(kind)[:, 0]


def _step(
    words: np.ndarray, base: np.ndarray, place: np.ndarray, end: np.ndarray, time: np.ndarray, live: np.ndarray
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Look at one entry of every page in ``live``.  Moves ``place`` and ``time`` on."""
    where = base[live] + place[live]
    head = words[where >> 2]
    room = end[live] - place[live]
    second = np.where(room >= 8, words[np.minimum((where >> 2) + 1, len(words) - 1)], 0).astype(np.int64)
    kind = (head & 31).astype(np.int64)
    delta = (head >> 5).astype(np.uint64)
    extended = second.astype(np.uint64) << np.uint64(27)
    size = np.select([kind == 0, kind < _PADDING, kind == _PADDING], [4 + second, 4 + 4 * kind, 4 + second], 8)
    rest = (kind == _PADDING) & (delta == 0)
    size = np.where(rest, room, size)
    wrong = (size < np.where(kind == 0, 8, 4)) | (size > room) | (size & 3 != 0)
    if bool(wrong.any()):
        bad = int(live[np.flatnonzero(wrong)[0]])
        raise ForeignError(f"page {bad}: an entry at byte {int(place[bad])} does not fit into the page")
    forward = np.where(kind == _TIME_EXTEND, extended + delta, delta)
    moved = time[live] + np.where(rest, np.uint64(0), forward)
    time[live] = np.where(kind == _TIME_STAMP, _absolute(extended + delta, time[live]), moved)
    record = np.flatnonzero(kind < _PADDING)
    skip = np.where(kind[record] == 0, 8, 4)
    step = (live[record], where[record] + skip, size[record] - skip, time[live[record]])
    place[live] += size
    return step, live[place[live] + 4 <= end[live]]


def _absolute(stamp: np.ndarray, before: np.ndarray) -> np.ndarray:
    """A time of which a stamp holds the lowest 59 bits: the other five are those of the time before, or one more."""
    upper = before & ~np.uint64((1 << 59) - 1)
    whole = stamp | upper
    return np.where((upper > 0) & (whole < before), whole + np.uint64(1 << 59), whole)


def _missed(words: np.ndarray, base: np.ndarray, end: np.ndarray, used: np.ndarray, layout: PageLayout) -> np.ndarray:
    """Records lost before each page: the count, a long, is stored after the last record when there is room for it."""
    lost = np.zeros(len(base), dtype=np.int64)
    for index in np.flatnonzero(used & _MISSED):
        at = int(base[index] + end[index]) >> 2
        stored = bool(used[index] & _MISSED_STORED) and int(end[index]) + layout.used_size <= layout.size
        if not stored or end[index] % 4:
            lost[index] = -1
            continue
        count = int(words[at]) + ((int(words[at + 1]) << 32) if layout.used_size == 8 else 0)
        lost[index] = count if 0 < count < 1 << 63 else -1
    return lost


def count(data: bytes, layout: PageLayout) -> int:
    """How many records whole pages hold: what ``walk`` finds, faster where there are few pages.

    Raises ForeignError as ``walk`` does.
    """
    if len(data) % layout.size:
        raise ForeignError(f"{len(data)} bytes are not whole pages of {layout.size} bytes")
    words = memoryview(data).cast("I")
    if sys.byteorder != "little":
        words = memoryview(array("I", struct.unpack(f"<{len(words)}I", data)))
    found = 0
    for base in range(0, len(words), layout.size // 4):
        used = words[base + layout.used_at // 4] & _USED
        at, end = base + layout.data_at // 4, base + (layout.data_at + used) // 4
        if layout.data_at + used > layout.size:
            raise ForeignError(f"page {base * 4 // layout.size} claims {used} used bytes")
        while at < end:
            head = words[at]
            kind = head & 31
            if 0 < kind < _PADDING:
                at += 1 + kind
                found += 1
            elif kind > _PADDING:
                at += 2
            elif head == _PADDING:
                at = end
            elif at + 1 < end and not words[at + 1] & 3 and (kind or words[at + 1]):
                at += 1 + words[at + 1] // 4
                found += kind == 0
            else:
                at = end + 1
        if at != end:
            raise ForeignError(f"page {base * 4 // layout.size}: an entry does not fit into the page")
    return found
