# SPDX-License-Identifier: GPL-3.0-or-later
"""Says which functions that a kernel exports have no padding before them.

    padding.py VMLINUZ...

With call depth tracking the kernel lets calls enter the padding before a function.  The controller takes a branch to
any byte of it for a call of the function, which is right only where no other code lies there.  Prints one line for
each kernel; those without padding follow, thunks and static calls only counted.  Needs zstd for kernels that it
compresses.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section
from relocations import NOP, PADDING

THUNKS = re.compile(r"__SCT__|__x86_\w*thunk|its_return_thunk\Z")
TABLES = ("__ksymtab", "__ksymtab_gpl")
ENTRY = struct.Struct("<iii")  # places of the value, the name and the namespace, each relative to itself


def vmlinux(vmlinuz: bytes) -> bytes:
    """The ELF file inside a bzImage, by the fields of its header (Documentation/arch/x86/boot.rst)."""
    setup_sectors = vmlinuz[0x1F1]
    offset, length = struct.unpack_from("<II", vmlinuz, 0x248)
    begin = (setup_sectors + 1) * 512 + offset
    payload = vmlinuz[begin : begin + length]
    if payload.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        # the last four bytes are the size of the content
        return subprocess.run(["zstd", "-qdc"], input=payload[:-4], capture_output=True, check=True).stdout
    raise ValueError(f"compressed in a way that is not known here: {payload[:4].hex()}")


def exports(elf: ELFFile) -> Iterator[tuple[str, int]]:
    """Name and address of all that a kernel exports."""
    strings = elf.get_section_by_name("__ksymtab_strings")
    texts = strings.data()
    for name in TABLES:
        table = elf.get_section_by_name(name)
        for at, (value, text, _namespace) in enumerate(ENTRY.iter_unpack(table.data() if table else b"")):
            entry = table["sh_addr"] + at * ENTRY.size
            start = entry + 4 + text - strings["sh_addr"]
            yield texts[start : texts.index(b"\0", start)].decode(), entry + value


def bare(text: Section, functions: dict[str, int]) -> list[str]:
    """Those functions of a section that have something else than NOPs before them."""
    code, base = text.data(), text["sh_addr"]
    return [name for name, at in functions.items() if code[at - base - PADDING : at - base] != NOP * PADDING]


def describe(path: Path) -> str:
    elf = ELFFile(io.BytesIO(vmlinux(path.read_bytes())))
    text = elf.get_section_by_name(".text")
    end = text["sh_addr"] + text["sh_size"]
    functions = {name: at for name, at in exports(elf) if text["sh_addr"] <= at < end}
    without = bare(text, functions)
    named = sorted(name for name in without if not THUNKS.match(name))
    return (
        f"{path.name}: {len(functions)} exports in .text, {len(functions) - len(without)} with {PADDING} NOPs before; "
        f"without: {len(without) - len(named)} thunks and static calls, {len(named)} others{': ' if named else ''}"
        f"{' '.join(named[:20])}{' …' if len(named) > 20 else ''}"
    )


def main(arguments: list[str]) -> int:
    for argument in arguments:
        try:
            print(describe(Path(argument)))
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            print(f"padding.py: {argument}: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
