# SPDX-License-Identifier: GPL-3.0-or-later
"""Reader of BTF, the type information of a kernel: bytes in, prototypes of functions as C writes them out.

A module's BTF is split: its types and strings are numbered on from those of the kernel, which is its ``base``.
Nothing is trusted: whatever the bytes are, the answer is a type or a ForeignError.
"""

from __future__ import annotations

import enum
import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from ..base.errors import ForeignError
from .cdecl import IDENTIFIER

_HEADER_SIZE = 24
_STEPS_MAX = 300  # types that one declaration may be made of


class UnspeakableError(Exception):
    """A type for which C has no words; the text says which."""


class _Kind(enum.IntEnum):
    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


# Bytes that follow a type: once, and for each of its members.
_TAIL = {
    _Kind.INT: (4, 0), _Kind.ARRAY: (12, 0), _Kind.STRUCT: (0, 12), _Kind.UNION: (0, 12), _Kind.ENUM: (0, 8),
    _Kind.FUNC_PROTO: (0, 8), _Kind.VAR: (4, 0), _Kind.DATASEC: (0, 12), _Kind.DECL_TAG: (4, 0),
    _Kind.ENUM64: (0, 12),
}  # fmt: skip
_WORDS = {_Kind.CONST: "const", _Kind.VOLATILE: "volatile", _Kind.RESTRICT: "restrict"}
_TAGS = {"user": "__user", "percpu": "__percpu", "rcu": "__rcu", "iomem": "__iomem"}
_NAMED = {_Kind.STRUCT: "struct ", _Kind.UNION: "union ", _Kind.ENUM: "enum ", _Kind.ENUM64: "enum "}
_MODIFIERS = (_Kind.CONST, _Kind.VOLATILE, _Kind.RESTRICT, _Kind.TYPE_TAG)
_VA_LIST = "__va_list_tag"  # what the compiler makes of va_list; no program can name it
_INTEGERS = {
    "short int": "short", "short unsigned int": "unsigned short", "long int": "long",
    "long unsigned int": "unsigned long", "long long int": "long long",
    "long long unsigned int": "unsigned long long",
}  # fmt: skip
_PLAIN = frozenset({"_Bool", "char", "signed char", "unsigned char", "int", "unsigned int", *_INTEGERS.values()})


class Shape(enum.Enum):
    """What a value of a type is, whatever names stand before it."""

    VOID = "nothing"
    INTEGER = "an integer"
    POINTER = "a pointer"
    FUNCTION = "a pointer to a function"
    ARGUMENTS = "a va_list"
    STRUCT = "a structure by value"
    FLOAT = "a floating point number"
    OTHER = "of no type that a function can take"


@dataclass(frozen=True)
class TypeText:
    """A type in C: x is declared as ``before`` x ``after``; ``integer`` is what an integer is below its names."""

    before: str
    after: str
    shape: Shape
    integer: str = ""

    @property
    def text(self) -> str:
        """The type alone, where C needs nothing after a name; else ''."""
        return "" if self.after else self.before.strip()

    def declare(self, name: str) -> str:
        """Return a declaration of ``name``."""
        return f"{self.before}{name}{self.after}"


@dataclass(frozen=True)
class Prototype:
    """A function's type. Parameters are (name, type); a name may be ''."""

    returns: TypeText
    parameters: tuple[tuple[str, TypeText], ...]
    variadic: bool


class Btf:
    """The types of a kernel or, with the kernel's as ``base``, of a module."""

    def __init__(self, data: bytes, base: Btf | None = None) -> None:
        """Read the bytes of a BTF section. Raises ForeignError when they are not BTF."""
        self.base = base
        self._first: int = base._end if base else 1
        self._first_string: int = base._strings_end if base else 0
        types = self._header(data)
        self._names = array("I")
        self._infos = array("I")
        self._refs = array("I")
        self._tails = array("I")
        self._read_types(types)
        self._end: int = self._first + len(self._names)
        self._strings_end: int = self._first_string + len(self._strings)
        self._functions: dict[str, tuple[int, ...]] | None = None

    def _header(self, data: bytes) -> bytes:
        """Take the strings; return the types."""
        if len(data) < _HEADER_SIZE:
            raise ForeignError("it is too short to be BTF")
        self._order = {b"\x9f\xeb": "<", b"\xeb\x9f": ">"}.get(data[:2], "")
        if not self._order:
            raise ForeignError("it is not BTF")
        version, _flags, size, *places = struct.unpack_from(f"{self._order}BBIIIII", data, 2)
        if version != 1 or size < _HEADER_SIZE:
            raise ForeignError(f"BTF of version {version} with a header of {size} bytes is not known")
        parts = []
        for offset, length in (places[:2], places[2:]):
            start = size + offset
            if start + length > len(data):
                raise ForeignError("it is cut off")
            parts.append(data[start : start + length])
        self._strings = parts[1]
        if self._strings and not self._strings.endswith(b"\0"):  # a module may need none of its own
            raise ForeignError("its strings have no end")
        return parts[0]

    def _read_types(self, types: bytes) -> None:
        self._data = types
        read = struct.Struct(f"{self._order}III").unpack_from
        tails = {int(kind): tail for kind, tail in _TAIL.items()}
        position, end = 0, len(types)
        while position < end:
            if position + 12 > end:
                raise ForeignError("its types are cut off")
            name, info, ref = read(types, position)
            kind = info >> 24 & 31
            if not 0 < kind <= _Kind.ENUM64:
                raise ForeignError(f"type {self._first + len(self._names)} is of kind {kind}, which is not known")
            once, each = tails.get(kind, (0, 0))
            position += 12
            self._names.append(name)
            self._infos.append(info)
            self._refs.append(ref)
            self._tails.append(position)
            position += once + each * (info & 0xFFFF)
        if position > end:
            raise ForeignError("its types are cut off")

    @property
    def functions(self) -> Mapping[str, tuple[int, ...]]:
        """The numbers of the functions by name, without those of the base."""
        if self._functions is None:
            found: dict[str, list[int]] = {}
            for place, info in enumerate(self._infos):
                if info >> 24 & 31 == _Kind.FUNC:
                    found.setdefault(self._string(self._names[place]), []).append(self._first + place)
            self._functions = {name: tuple(numbers) for name, numbers in found.items()}
        return self._functions

    def prototype(self, function: int) -> Prototype:
        """Return the prototype of a function of this BTF.

        Raises UnspeakableError when C cannot name one of its types, ForeignError when the BTF is wrong.
        """
        home, place = self._home(function)
        if home._kind(place) is not _Kind.FUNC:
            raise ForeignError(f"type {function} is not a function")
        return self._prototype(home._refs[place])

    def _prototype(self, number: int) -> Prototype:
        home, place = self._home(number)
        if home._kind(place) is not _Kind.FUNC_PROTO:
            raise ForeignError(f"type {number} is not a prototype")
        parameters = home._pairs(place)
        variadic = bool(parameters) and parameters[-1] == (0, 0)
        kept = parameters[:-1] if variadic else parameters
        return Prototype(
            self._type(home._refs[place]), tuple((self._string(name), self._type(one)) for name, one in kept), variadic,
        )

    # Types by number

    def _home(self, number: int) -> tuple[Btf, int]:
        """Return the BTF that holds a type, and its place there."""
        home: Btf | None = self
        while home is not None:
            if home._first <= number < home._end:
                return home, number - home._first
            home = home.base
        raise ForeignError(f"there is no type {number}")

    def _kind(self, place: int) -> _Kind:
        return _Kind(self._infos[place] >> 24 & 31)

    def _pairs(self, place: int) -> list[tuple[int, int]]:
        """Return the parameters of a prototype: numbers of name and type."""
        count = self._infos[place] & 0xFFFF
        flat = struct.unpack_from(f"{self._order}{2 * count}I", self._data, self._tails[place])
        return list(zip(flat[::2], flat[1::2], strict=True))

    def _string(self, offset: int) -> str:
        home: Btf | None = self
        while home is not None:
            start = offset - home._first_string
            if 0 <= start < len(home._strings):
                return home._strings[start : home._strings.index(b"\0", start)].decode("utf-8", "backslashreplace")
            home = home.base
        raise ForeignError(f"there is no string {offset}")

    def _name(self, number: int) -> str:
        home, place = self._home(number)
        name = home._string(home._names[place])
        if not name:
            raise UnspeakableError("a type without a name")
        if not IDENTIFIER.match(name):
            raise UnspeakableError(f"a type with the name {name!r}")
        return name

    def _bare(self, number: int) -> tuple[_Kind, int]:
        """Return kind and number of a type below its names and qualifiers."""
        for _step in range(_STEPS_MAX):
            if not number:
                return _Kind.VOID, 0
            home, place = self._home(number)
            kind = home._kind(place)
            if kind is not _Kind.TYPEDEF and kind not in _MODIFIERS:
                return kind, number
            number = home._refs[place]
        raise ForeignError("types refer to each other in a circle")

    # Types as text

    def _type(self, number: int) -> TypeText:
        if self._is_va_list(number):
            return TypeText("va_list ", "", Shape.ARGUMENTS)
        shape, integer = self._shape(number)
        spelled = _Speller(self).spell(number, "\0")
        before, after = spelled.split("\0")
        return TypeText(before, after, shape, integer)

    def _is_va_list(self, number: int) -> bool:
        kind, bare = self._bare(number)
        if kind is not _Kind.PTR:
            return False
        home, place = self._home(bare)
        kind, bare = self._bare(home._refs[place])
        return kind is _Kind.STRUCT and self._home_name(bare) == _VA_LIST

    def _home_name(self, number: int) -> str:
        home, place = self._home(number)
        return home._string(home._names[place])

    def _shape(self, number: int) -> tuple[Shape, str]:
        kind, bare = self._bare(number)
        if kind is _Kind.VOID:
            return Shape.VOID, ""
        home, place = self._home(bare)
        if kind is _Kind.INT:
            return Shape.INTEGER, home._integer(place)
        if kind in (_Kind.ENUM, _Kind.ENUM64):
            signed = home._infos[place] >> 31
            word = "long long" if home._refs[place] > 4 else "int"
            return Shape.INTEGER, word if signed else f"unsigned {word}"
        if kind is _Kind.PTR:
            pointed, _number = self._bare(home._refs[place])
            return (Shape.FUNCTION if pointed is _Kind.FUNC_PROTO else Shape.POINTER), ""
        if kind in (_Kind.STRUCT, _Kind.UNION, _Kind.FWD):
            return Shape.STRUCT, ""
        return (Shape.FLOAT if kind is _Kind.FLOAT else Shape.OTHER), ""

    def _integer(self, place: int) -> str:
        """Return the name of an integer in the kernel's spelling."""
        name = self._string(self._names[place])
        return _INTEGERS.get(name, name)


class _Speller:
    """Writes one declaration, from the name outwards."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self.steps = 0

    def spell(self, number: int, inner: str) -> str:
        """Return the declaration of ``inner`` as being of a type."""
        self.steps += 1
        if self.steps > _STEPS_MAX:
            raise ForeignError("types refer to each other in a circle, or one is too long to be written")
        if not number:
            return _joined("void", inner)
        home, place = self.btf._home(number)
        kind = home._kind(place)
        ref = home._refs[place]
        if kind is _Kind.PTR:
            return self.pointer(ref, inner)
        if kind in _MODIFIERS:
            return self.modified(home, place, inner)
        if kind is _Kind.ARRAY:
            element, _index, count = struct.unpack_from(f"{home._order}III", home._data, home._tails[place])
            return self.spell(element, f"{inner}[{count}]")
        if kind is _Kind.FUNC_PROTO:
            return self.spell(ref, f"{inner}({self.parameters(home, place)})")
        return _joined(self.word(kind, number), inner)

    def pointer(self, target: int, inner: str) -> str:
        """Return a pointer; what follows a name binds more tightly than the star."""
        kind = _Kind.VOID
        if target:
            home, place = self.btf._home(target)
            kind = home._kind(place)
        brackets = kind in (_Kind.ARRAY, _Kind.FUNC_PROTO)
        return self.spell(target, f"(*{inner})" if brackets else f"*{inner}")

    def modified(self, home: Btf, place: int, inner: str) -> str:
        """Return a qualified type or one of another address space."""
        ref, kind = home._refs[place], home._kind(place)
        if kind is _Kind.TYPE_TAG:
            word = "" if home._infos[place] >> 31 else _TAGS.get(home._string(home._names[place]), "")
            return self.spell(ref, _joined(word, inner) if word else inner)
        word = _WORDS[kind]
        if self.kind_below(ref) is _Kind.PTR:
            return self.spell(ref, _joined(word, inner))
        return f"{word} {self.spell(ref, inner)}"

    def kind_below(self, number: int) -> _Kind:
        """Return the kind of a type below its qualifiers, but not below its names."""
        for _step in range(_STEPS_MAX):
            if not number:
                return _Kind.VOID
            home, place = self.btf._home(number)
            if home._kind(place) not in _MODIFIERS:
                return home._kind(place)
            number = home._refs[place]
        raise ForeignError("types refer to each other in a circle")

    def parameters(self, home: Btf, place: int) -> str:
        """Return the parameters of a prototype inside of a declaration."""
        written = []
        for pair in home._pairs(place):
            va_list = pair[1] and self.btf._is_va_list(pair[1])
            written.append("..." if pair == (0, 0) else "va_list" if va_list else self.spell(pair[1], ""))
        return ", ".join(written) or "void"

    def word(self, kind: _Kind, number: int) -> str:
        """Return the words of a type that has a name."""
        home, place = self.btf._home(number)
        if kind is _Kind.INT:
            name = home._integer(place)
            if name not in _PLAIN:
                raise UnspeakableError(f"the integer type {name!r}")
            return name
        if kind in (_Kind.TYPEDEF, _Kind.FLOAT):
            return self.btf._name(number) if kind is _Kind.TYPEDEF else home._string(home._names[place])
        if kind is _Kind.FWD:
            return ("union " if home._infos[place] >> 31 else "struct ") + self.btf._name(number)
        if kind in _NAMED:
            return _NAMED[kind] + self.btf._name(number)
        raise ForeignError(f"type {number} is of kind {kind.name}, of which nothing can be")


def _joined(word: str, inner: str) -> str:
    return f"{word} {inner}" if inner else word
