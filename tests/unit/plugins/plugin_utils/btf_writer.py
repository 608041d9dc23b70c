# SPDX-License-Identifier: GPL-3.0-or-later
"""A small writer of BTF: what the tests of its reader read."""

from __future__ import annotations

import struct
from collections.abc import Sequence

KINDS = (
    "VOID INT PTR ARRAY STRUCT UNION ENUM FWD TYPEDEF VOLATILE CONST RESTRICT FUNC FUNC_PROTO VAR DATASEC FLOAT "
    "DECL_TAG TYPE_TAG ENUM64"
).split()
VARIADIC = ("", 0)


class Writer:
    """Collects types; every method returns the number of the type that it adds."""

    def __init__(self, order: str = "<", base: Writer | None = None) -> None:
        self.order = order
        self.base = base
        self.first = base.next if base else 1
        self.first_string = base.first_string + len(base.strings) if base else 0
        self.types = b""
        self.next = self.first
        self.strings = b"" if base else b"\0"

    def string(self, text: str) -> int:
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return self.first_string + len(self.strings) - len(text.encode()) - 1

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(self.order + layout, *values)

    def add(self, kind: str, name: str = "", ref: int = 0, vlen: int = 0, flag: int = 0, tail: bytes = b"") -> int:
        info = vlen | KINDS.index(kind) << 24 | flag << 31
        self.types += self.pack("III", self.string(name), info, ref) + tail
        self.next += 1
        return self.next - 1

    def integer(self, name: str, size: int) -> int:
        return self.add("INT", name, size, tail=self.pack("I", size * 8))

    def array(self, element: int, count: int) -> int:
        return self.add("ARRAY", tail=self.pack("III", element, element, count))

    def structure(self, name: str, *members: tuple[str, int], kind: str = "STRUCT") -> int:
        tail = b"".join(self.pack("III", self.string(one), of, 0) for one, of in members)
        return self.add(kind, name, 8, len(members), tail=tail)

    def enum(self, name: str, *values: int, signed: bool = False, wide: bool = False) -> int:
        tail = b"".join(
            self.pack("III" if wide else "II", self.string("E"), *([one, 0] if wide else [one])) for one in values
        )
        return self.add("ENUM64" if wide else "ENUM", name, 8 if wide else 4, len(values), signed, tail)

    def prototype(self, returns: int, *parameters: tuple[str, int]) -> int:
        tail = b"".join(self.pack("II", self.string(name), of) for name, of in parameters)
        return self.add("FUNC_PROTO", "", returns, len(parameters), tail=tail)

    def function(self, name: str, returns: int, *parameters: tuple[str, int]) -> int:
        return self.add("FUNC", name, self.prototype(returns, *parameters), 1)

    def bytes(self, strings: Sequence[int] = ()) -> bytes:
        """The whole section."""
        header = self.pack("HBBI", 0xEB9F, 1, 0, 24)
        header += self.pack("IIII", 0, len(self.types), len(self.types), len(self.strings))
        return header + self.types + self.strings


def elf(sections: dict[str, bytes]) -> bytes:
    """A 64-bit ELF file with these sections."""
    named = {"": b"", **sections, ".shstrtab": b""}
    names = b"".join(name.encode() + b"\0" for name in named)
    named[".shstrtab"] = names
    body, table = b"", b""
    for name, data in named.items():
        kind = 0 if not name else 3 if name == ".shstrtab" else 1
        place = 64 + len(body) if name else 0
        table += struct.pack(
            "<IIQQQQIIQQ", names.index(name.encode() + b"\0"), kind, 0, 0, place, len(data), 0, 0, 1 if name else 0, 0
        )
        body += data
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    head = struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(named), len(named) - 1)
    return ident + head + body + table
