# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints how long decoding and searching take natively, per MB of the text of a large in-tree module.

    bench_decoder.py CACHE

The controller decodes all of a target's text when the target is loaded, so this is nearly all of its patch time. The
search is that of the controller, compiled for user space as tests/kernels does, for 1, 10 and 1,000 functions.
"""

from __future__ import annotations

import lzma
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "kernels"))
from userspace import program

COUNTS = (("1",), ("10",), ("1000",), ("1000", "idle"))
REPEATS = 20
PADDING = 16  # bytes before functions that a call may enter, on kernels with call depth tracking
MODULES = "images/*/tree/lib/modules/*/kernel/**/{}.ko.xz"


def build(directory: Path) -> Path:
    """Compile the decoder for user space, as the kernel compiles it: -O2."""
    harness = directory / "insn_harness"
    controller = ROOT / "kernel" / "controller"
    x86 = controller / "arch" / "x86"
    sources = [ROOT / "tests/unit/kernel/insn_harness.c", x86 / "insn_length.c", x86 / "opcodes.c"]
    subprocess.run(["cc", "-O2", f"-I{controller}", f"-I{x86}", "-o", harness, *sources], check=True)
    return harness


def measure(harness: Path, module: Path, directory: Path) -> str:
    """One row: the module, its text in MB, milliseconds per MB, direct branches found."""
    plain = directory / "module.ko"
    plain.write_bytes(lzma.decompress(module.read_bytes()))
    with plain.open("rb") as stream:
        text = ELFFile(stream).get_section_by_name(".text")
        place = [str(text["sh_offset"]), str(text["sh_size"])]
        size = text["sh_size"]
    done = subprocess.run([harness, "time", "64", plain, *place], check=True, capture_output=True, text=True)
    words = done.stdout.split()
    each = int(words[1]) / 1e6 / (size / 1e6)
    release = module.parts[module.parts.index("kernel") - 1]
    return f"{module.name} of {release}: {size / 1e6:.2f} MB of text, {each:.2f} ms per MB, {words[3]} direct branches"


def search(finder: Path, plain: Path) -> Iterator[str]:
    """A row for each number of functions."""
    for count, *idle in COUNTS:
        command = [finder, plain, count, str(REPEATS), *idle]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        _count, sites, size, prepare, best = map(int, done.stdout.split())
        row = f"  search for {count} functions: {best / size:.2f} ms per MB, {sites} call sites"
        yield f"{row}, {prepare / 1e6:.2f} ms to prepare the table"


def main() -> None:
    cache = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        harness = build(directory)
        finder = program(directory, "time_search", "load", padding=PADDING)
        for wanted in ("amdgpu", "xfs"):
            found = sorted(cache.glob(MODULES.format(wanted)))
            if found:
                print(measure(harness, found[-1], directory))
                for row in search(finder, directory / "module.ko"):
                    print(row)
            else:
                print(f"{wanted}: not measured: no image in {cache} has it as {wanted}.ko.xz")


if __name__ == "__main__":
    main()
