# SPDX-License-Identifier: GPL-3.0-or-later
"""What only x86_64 and i386 know: which relocations are of direct branches, and the branches themselves.

Opcodes are those of the processor manuals; numbers of relocations those of the System V ABI, AMD64 and i386
supplements.
"""

import re

MACHINES = ("EM_X86_64", "EM_386")
BRANCHES = frozenset({2, 4})
"""``R_*_PC32`` and ``R_*_PLT32`` have these numbers on both."""

_THUNK = re.compile(r"__x86_indirect_(?:thunk|call_thunk|jump_thunk)_\w+")


def is_thunk(name: str) -> bool:
    """Is a symbol a thunk through which an indirect call goes?"""
    return name.startswith("__x86") and _THUNK.fullmatch(name) is not None


def start_of(offset: int, kind: str) -> int:
    """Where an instruction begins whose displacement is at ``offset``."""
    return offset - (2 if kind == "jcc" else 1)


def branch(data: bytes, offset: int, addend: int) -> str:
    """``call``, ``jmp``, ``jcc``, ``pointer`` (lea) or ``other``, from the opcode before a 32-bit displacement."""
    if addend != -4 or not 1 <= offset <= len(data) - 4:
        return "other"
    kind = {0xE8: "call", 0xE9: "jmp"}.get(data[offset - 1], "")
    if not kind and offset >= 2 and data[offset - 2] == 0x0F and data[offset - 1] & 0xF0 == 0x80:
        kind = "jcc"
    # LEA with a displacement from the next instruction: opcode 8D, and mod 00, r/m 101 in the byte after it
    lea = offset >= 2 and data[offset - 2] == 0x8D and data[offset - 1] & 0xC7 == 0x05
    return kind or ("pointer" if lea else "other")
