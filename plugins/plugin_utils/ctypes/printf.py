# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's printf conversions: what a format string asks for and whether a type gives it."""

import re
from dataclasses import dataclass

from ..base.errors import InputError
from .cdecl import CType, TypeKind

_CONVERSION = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>\*|\d*)(?P<point>\.(?P<precision>\*|\d*))?"
    r"(?P<length>hh|h|ll|l|L|z|t|j)?(?P<letter>.)?",
    re.DOTALL,
)
_INTEGER = "diuxXo"
# What the compiler takes without a warning, which is an error here; without '+' and ' ', which trace-cmd cannot read.
_FLAGS_OF = {"d": "-0", "i": "-0", "u": "-0", "x": "-#0", "X": "-#0", "o": "-#0", "c": "", "s": "-", "p": "-"}
_WIDTH_MAX, _DIGITS_MAX = 99, 16
# Pointer extensions that look at the address only, never at what it points to: a record is printed long after
# it was made. An extension is all letters and digits that follow.
_EXTENSION = re.compile(r"[A-Za-z0-9]*")
_EXTENSIONS = ("pSR", "pSb", "psR", "psb", "pS", "ps", "px", "pK", "pe")

_FLAGS = frozenset({"gfp_t", "slab_flags_t", "fmode_t"})
_UNSIGNED = re.compile(r"unsigned|u|__u|size_t|gfp_t")

TEXT_SIZE = 128  # bytes of the longest text that a record holds, with its NUL
# Between two values there must be a character that no number has, or nobody can tell where the first one ends.
_NO_LIMIT = re.compile(r"[0-9a-fA-F]*\Z")

ALLOWED = "conversions are %d %i %u %x %X %o %c %s %p %%, with h hh l ll z t before an integer"
ALLOWED_POINTERS = "%p, %px, %pK, %pS, %ps and %pe print the address alone"


@dataclass(frozen=True)
class Conversion:
    """One trace parameter that a format string asks for.

    ``text_size`` is for %s only: how many bytes its copy takes with the NUL, as the precision limits it.
    """

    text: str
    letter: str  # d i u x X o c s p
    length: str = ""
    text_size: int = 0


def conversions(text: str) -> list[Conversion]:
    """Return the values that a format asks for, in order. Raises InputError, with what is allowed."""
    found: list[Conversion] = []
    position, end = text.find("%"), 0
    while position >= 0:
        if text.startswith("%%", position):
            position = text.find("%", position + 2)
            continue
        if found and _NO_LIMIT.match(text, end, position):
            raise InputError(
                f"between '{found[-1].text}' and what follows it stands '{text[end:position]}', so that it cannot be "
                "seen where the first value ends; write a blank or a comma between them"
            )
        match = _CONVERSION.match(text, position)
        if match is None:  # every part after the '%' is optional
            raise InputError(f"'{text[position:]}' is not a conversion; {ALLOWED}")
        one, end = _conversion(text, match)
        found.append(one)
        position = text.find("%", end)
    return found


def _conversion(text: str, match: re.Match[str]) -> tuple[Conversion, int]:
    letter, length = match.group("letter") or "", match.group("length") or ""
    if not letter:
        raise InputError(f"'{match.group()}' has no conversion letter; {ALLOWED}; write %% for a percent sign")
    fault = _shape_fault(match, letter)
    if fault:
        raise InputError(f"'{match.group()}' {fault}")
    if letter == "p":
        return _pointer(text, match, length)
    if length == "j":
        raise InputError(f"the kernel knows no '{match.group()}'; use ll for 64-bit integers")
    if letter not in _INTEGER + "cs":
        raise InputError(f"unknown conversion '{match.group()}'; {ALLOWED}")
    if letter in "cs" and length:
        raise InputError(f"'{match.group()}' cannot have a length modifier; use %{letter}")
    size = _text_size(match) if letter == "s" else 0
    return Conversion(match.group(), letter, "ll" if length == "L" else length, size), match.end()


def _shape_fault(match: re.Match[str], letter: str) -> str:
    """Return what is wrong with flags, width and precision, and what is allowed; '' when they are right."""
    flags, width, precision = match.group("flags"), match.group("width"), match.group("precision") or ""
    if "*" in (width, precision):
        return "takes a width from a value; write a number instead of the '*'"
    if letter not in _FLAGS_OF:
        return ""
    for flag in flags:
        if flag not in _FLAGS_OF[letter] or flags.count(flag) > 1:
            allowed = f"each of '{_FLAGS_OF[letter]}' once" if _FLAGS_OF[letter] else "none"
            return f"has a flag '{flag}' too many; %{letter} takes {allowed}"
    if "0" in flags and ("-" in flags or match.group("point")):
        return "has flags of which one takes back the other; remove one"
    if match.group("point") and letter in "cp":
        return f"has a precision, which %{letter} does not take; remove it"
    if width and letter == "c":
        return "has a width, with which it cannot be read back; remove it"
    digits = width if "0" in flags else precision if letter != "s" else ""
    if int(width or 0) > _WIDTH_MAX or int(digits or 0) > _DIGITS_MAX:
        return f"is too wide to be read back; at most {_WIDTH_MAX} characters and {_DIGITS_MAX} digits are allowed"
    return ""


def _text_size(match: re.Match[str]) -> int:
    """Return the bytes that the copy of a text takes, with the NUL: at most TEXT_SIZE, less by its precision."""
    if not match.group("point"):
        return TEXT_SIZE
    return min(int(match.group("precision") or "0"), TEXT_SIZE - 1) + 1


def _pointer(text: str, match: re.Match[str], length: str) -> tuple[Conversion, int]:
    extension = _EXTENSION.match(text, match.end())
    letters = extension.group() if extension else ""
    whole = match.group() + letters
    if length:
        raise InputError(f"'{whole}' cannot have a length modifier; use %p")
    if letters and "p" + letters not in _EXTENSIONS:
        raise InputError(f"'{whole}' reads what the pointer points to when the trace is printed; {ALLOWED_POINTERS}")
    return Conversion(whole, "p"), match.end() + len(letters)


def misfit(conversion: Conversion, ctype: CType) -> str:
    """Return why a value of a type cannot be printed by a conversion and what can print it; '' when it fits."""
    if ctype.kind is TypeKind.UNKNOWN:
        return "" if conversion.letter != "s" else f"'{conversion.text}' needs {_wants(conversion)}"
    if not _class_fits(conversion, ctype):
        return f"'{conversion.text}' needs {_wants(conversion)}; use {suggestion(ctype)}"
    if conversion.letter in _INTEGER and ctype.lengths and conversion.length not in ctype.lengths:
        return f"'{conversion.text}' does not have the size of {ctype.text}; use {suggestion(ctype)}"
    return ""


def _class_fits(conversion: Conversion, ctype: CType) -> bool:
    if conversion.letter == "s":
        return ctype.kind is TypeKind.STRING
    if conversion.letter == "p":
        return ctype.kind in (TypeKind.POINTER, TypeKind.STRING)
    if conversion.letter == "c":
        return ctype.kind is TypeKind.INTEGER and (not ctype.lengths or "" in ctype.lengths)
    return ctype.kind is TypeKind.INTEGER


def _wants(conversion: Conversion) -> str:
    return {"s": "a char *", "p": "a pointer", "c": "an int"}.get(conversion.letter, "an integer")


def suggestion(ctype: CType) -> str:
    """Return the conversion that prints a type: '%zu' for size_t."""
    if ctype.kind is TypeKind.STRING:
        return "%s or %p"
    if ctype.kind is TypeKind.POINTER:
        return "%p"
    return f"{_decimal(ctype)} or %{_length(ctype)}x"


def usual(ctype: CType) -> str:
    """Return the conversion that an integer is usually printed by: '%zu' for size_t, '%x' for flags."""
    return "%x" if ctype.field in _FLAGS else _decimal(ctype)


def _decimal(ctype: CType) -> str:
    return f"%{_length(ctype)}{'u' if _UNSIGNED.match(ctype.field) else 'd'}"


def _length(ctype: CType) -> str:
    return next(iter(ctype.lengths - {"h", "hh"}), "")
