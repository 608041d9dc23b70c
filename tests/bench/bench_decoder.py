# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints how long the instruction decoder takes natively, per MB of the text of a large in-tree module.

    bench_decoder.py CACHE

The controller decodes all of a target's text when the target is loaded, so this is nearly all of its patch time.
"""

from __future__ import annotations

import lzma
import subprocess
import sys
import tempfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parents[2]
MODULES = "images/*/tree/lib/modules/*/kernel/**/{}.ko.xz"


def build(directory: Path) -> Path:
    """Compile the decoder for user space, as the kernel compiles it: -O2."""
    harness = directory / "insn_harness"
    sources = [ROOT / "tests/unit/kernel/insn_harness.c", ROOT / "kernel/controller/insn_length.c"]
    subprocess.run(["cc", "-O2", f"-I{ROOT}/kernel/controller", "-o", harness, *sources], check=True)
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
    return f"{module.name}: {size / 1e6:.2f} MB of text, {each:.2f} ms per MB, {words[3]} direct branches"


def main() -> None:
    cache = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        harness = build(directory)
        for wanted in ("amdgpu", "xfs"):
            found = sorted(cache.glob(MODULES.format(wanted)))
            if found:
                print(measure(harness, found[-1], directory))
            else:
                print(f"{wanted}: not measured: no image in {cache} has it as {wanted}.ko.xz")


if __name__ == "__main__":
    main()
