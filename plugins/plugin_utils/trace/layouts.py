# SPDX-License-Identifier: GPL-3.0-or-later
"""Format files of events -> where the fields of a binary record are."""

import re
from typing import NamedTuple

from ..base.errors import ForeignError
from .formats import Field, blocks, parse_fields

_ID = re.compile(r"^ID: *(\d{1,5})$", re.M)
_NUMBERS = (1, 2, 4, 8)
"""Sizes of numbers in bytes."""
_MAX_FIELDS, _MAX_SIZE = 128, 1 << 16
"""Fields that an event may have, and bytes of them all: more than the kernel ever writes, since no page is so long."""
_MAX_UNKNOWN = 256
"""Bytes of a record of an unknown event that are kept."""


class Column(NamedTuple):
    """One field of an event.

    ``kind`` is a type of numpy for numbers, else ``text`` or ``bytes`` (no text).  ``located`` is for fields whose
    content stands elsewhere in the record, at 16 bits of offset, 16 bits of length: the offset counts from
    the record's start (``__data_loc``) or from the field's end (``__rel_loc``).
    """

    name: str
    kind: str
    offset: int
    size: int
    located: str = ""
    pointer: bool = False
    endless: bool = False
    """A located text has no length and goes on to its NUL: so it was in 2.6.31."""

    @property
    def is_number(self) -> bool:
        """Does it go into the column ``ints``, ``in_init`` or ``result``?"""
        return self.kind not in ("text", "bytes")


class Layout(NamedTuple):
    """One event: its number in records, its name, its own fields (without the common ones)."""

    number: int
    system: str
    event: str
    fields: tuple[Column, ...]
    pid: Column

    @property
    def size(self) -> int:
        """Bytes that a record has at least."""
        return max((column.offset + column.size for column in (*self.fields, self.pid)), default=0)


_PID = Column("common_pid", "<i4", 4, 4)
UNKNOWN = Layout(-1, "", "unknown", (Column("number", "<u2", 0, 2), Column("bytes", "bytes", 0, _MAX_UNKNOWN)), _PID)
"""What is read of a record that no format describes: the number of its event, and its bytes."""


def parse_layouts(text: str) -> dict[int, Layout]:
    """Read blocks ``== system/event`` with format files; returns the events by their number.

    Raises ForeignError naming the event when it has no number or no pid, too many fields, or one behind any page.
    """
    layouts: dict[int, Layout] = {}
    for _line, name, block in blocks(text):
        system, _slash, event = name.partition("/")
        number = _ID.search(block)
        endless = "signed:" not in block
        columns = [_column(one, endless) for one in parse_fields(block)]
        pid = next((one for one in columns if one.name == "common_pid" and one.kind == "<i4"), None)
        if number is None or pid is None:
            raise ForeignError(f"format of {name[:80]}: no number ('ID:') or no common_pid of 4 bytes")
        own = tuple(one for one in columns if not one.name.startswith("common_"))
        layout = Layout(int(number[1]), system, event, own, pid)
        if len(own) > _MAX_FIELDS or sum(one.size for one in own) > _MAX_SIZE or layout.size > _MAX_SIZE:
            raise ForeignError(
                f"format of {name[:80]}: {len(own)} fields that end at byte {layout.size}; at most {_MAX_FIELDS} "
                f"fields and {_MAX_SIZE} bytes are known here"
            )
        layouts[layout.number] = layout
    return layouts


def _column(one: Field, endless: bool) -> Column:
    """How a field of a format file is read."""
    located = next((word for word in ("__data_loc", "__rel_loc") if one.ctype.startswith(word)), "")
    if located and one.size != 4:
        located = ""
    if located or one.kind == "str" or one.size not in _NUMBERS or "[" in one.ctype:
        kind = "text" if re.search(r"\bchar ?\[", one.ctype) and "unsigned char" not in one.ctype else "bytes"
        return Column(one.name, kind, one.offset, one.size, located, endless=endless and kind == "text")
    pointer = one.kind == "pointer"
    sign = "i" if one.signed and not pointer else "u"
    return Column(one.name, f"<{sign}{one.size}", one.offset, one.size, pointer=pointer)
