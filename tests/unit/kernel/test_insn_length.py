# SPDX-License-Identifier: GPL-3.0-or-later
"""The instruction length decoder of the controller, compiled in user space."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
CONTROLLER = ROOT / "kernel" / "controller"
X86 = CONTROLLER / "arch" / "x86"
DECODER = [str(X86 / "insn_length.c"), str(X86 / "opcodes.c")]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

# bytes, bits, length (0: not an instruction), kind
KNOWN = """
90                              64 1  other
c3                              64 1  other
cc                              64 1  trap
e8 01020304                     64 5  call
e9 01020304                     64 5  jmp
2e e8 01020304                  64 6  call
2e 2e e9 01020304               64 7  jmp
3e e8 01020304                  64 6  call
f2 e8 01020304                  64 6  call
48 e8 01020304                  64 6  call
66 48 e8 01020304               64 7  call
66 e8 01020304                  64 0  other
66 e9 01020304                  64 0  other
66 0f84 01020304                64 0  other
0f84 01020304                   64 6  jcc
2e 0f8f 01020304                64 7  jcc
74 10                           64 2  other
eb fe                           64 2  other
e3 10                           64 2  other
c7f8 01020304                   64 6  other
66 c7f8 0102                    64 5  other
f30f1efa                        64 4  other
0f1f4000                        64 4  other
66 2e 0f1f840000000000          64 10 other
0f0b                            64 2  other
0fb9cc                          64 3  other
0fffc0                          64 3  other
d6                              64 1  other
48 b8 0102030405060708          64 10 other
66 b8 0102                      64 4  other
b8 01020304                     64 5  other
48 c7c0 01020304                64 7  other
66 c7c0 0102                    64 5  other
66 48 c7c0 01020304             64 8  other
a1 0102030405060708             64 9  other
67 a1 01020304                  64 6  other
f6c0 01                         64 3  other
f6d0                            64 2  other
f7c0 01020304                   64 6  other
66 f7c0 0102                    64 5  other
f7d8                            64 2  other
ff15 01020304                   64 6  other
65 48 8b0425 01020304           64 9  other
65 48 c13c25 01020304 05        64 10 other
8b4424 08                       64 4  other
8b8424 01020304                 64 7  other
8b05 01020304                   64 6  other
67 8b05 01020304                64 7  other
8b04c5 01020304                 64 7  other
c8 0102 03                      64 4  other
c2 0102                         64 3  other
6b c0 05                        64 3  other
69 c0 01020304                  64 6  other
f0 0fb111                       64 4  other
f3 0fb8c0                       64 4  other
0fb8c0                          64 0  other
0f20c0                          64 3  other
0f2000                          64 3  other
0fa4c0 05                       64 4  other
0fbae0 05                       64 4  other
0fc6c0 05                       64 4  other
660f70c0 05                     64 5  other
660f3a0fc0 05                   64 6  other
660f3800c0                      64 5  other
0f3800c0                        64 4  other
0f0fc1 ae                       64 4  other
660f78c0 0102                   64 6  other
f20f78c0 0102                   64 6  other
0f78c0                          64 3  other
c5f877                          64 3  other
c5f858c1                        64 4  other
c5f870c0 05                     64 5  other
c4e27918c0                      64 5  other
c4e37918c0 05                   64 6  other
c4e37918850102030405            64 10 other
66 c5f877                       64 0  other
48 c5f877                       64 0  other
c4e7fbf8c0 01020304             64 9  other
8fe87812c0                      64 0  other
8fe878c2c0 05                   64 6  other
8fe97880c0                      64 5  other
8fea7810c0 01020304             64 9  other
8fc0                            64 2  other
62f17c4858c1                    64 6  other
62f17c48584001                  64 7  other
62f17d4870c0 05                 64 7  other
62f37d483bc0 05                 64 7  other
62f47c1881c0 01020304           64 10 other
62f47d1881c0 0102               64 8  other
62f47c18f6c0 05                 64 7  other
62f47c18f6d8                    64 6  other
62f07c4858c1                    64 0  other
d5 18 01c0                      64 4  other
d5 80 58c0                      64 4  other
d5 80 90c0                      64 4  other
d5 00 a1 0102030405060708       64 11 other
d5 00 e8 01020304               64 0  other
d5 80 84 01020304               64 0  other
06                              64 0  other
60                              64 0  other
9a 010203040506                 64 0  other
ea 010203040506                 64 0  other
82c0 05                         64 0  other
ce                              64 0  other
d4 0a                           64 0  other
0f04                            64 0  other
0f24c0                          64 0  other
0f36                            64 0  other
e8 010203                       64 0  other
e8                              64 0  other
0f                              64 0  other
66                              64 0  other
2e2e2e2e2e2e2e2e2e2e2e2e2e2e90  64 15 other
2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e90 64 0 other
4848484848484848484848484848 90 64 15 other
4848484848484848484848484848 48 64 0  other
484848484848484848484848484848 90 64 0 other
06                              32 1  other
40                              32 1  other
48                              32 1  other
60                              32 1  other
82c0 05                         32 3  other
9a 010203040506                 32 7  other
66 9a 01020304                  32 6  other
ea 010203040506                 32 7  other
a1 01020304                     32 5  other
67 a1 0102                      32 4  other
67 8b4608                       32 4  other
67 8b06 0102                    32 5  other
67 8b00                         32 3  other
67 8b86 0102                    32 5  other
c440 10                         32 3  other
c5 40 10                        32 3  other
c5f877                          32 3  other
62 40 10                        32 3  other
62f17c4858c1                    32 6  other
d5 0a                           32 2  other
b8 01020304                     32 5  other
66 b8 0102                      32 4  other
e8 01020304                     32 5  call
e9 01020304                     32 5  jmp
66 e8 0102                      32 4  other
0f85 01020304                   32 6  jcc
f6 05 01020304 05               32 7  other
c7 05 01020304 05060708         32 10 other
"""


def known_rows() -> list[tuple[str, str, str, str]]:
    """Rows of KNOWN: (bytes without blanks, bits, length, kind)."""
    rows = []
    for line in KNOWN.strip().splitlines():
        *code, bits, length, kind = line.split()
        rows.append(("".join(code), bits, length, kind))
    return rows


def compile_harness(output: Path, flags: list[str]) -> subprocess.CompletedProcess[str]:
    command = ["cc", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *flags, f"-I{CONTROLLER}", f"-I{X86}",
               "-o", str(output), str(HERE / "insn_harness.c"), *DECODER]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Path of the harness, built with sanitizers where the compiler has them."""
    output = tmp_path_factory.mktemp("harness") / "insn_harness"
    done = compile_harness(output, SANITIZERS)
    if done.returncode:
        done = compile_harness(output, [])
    assert done.returncode == 0, done.stderr
    yield str(output)


def run(harness: str, *arguments: str, text: str = "") -> list[str]:
    done = subprocess.run([harness, *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("bits", ["32", "64"])
def test_known_encodings_have_their_length_and_kind(harness: str, bits: str) -> None:
    rows = [row for row in known_rows() if row[1] == bits]
    lines = run(harness, "decode", bits, text="".join(f"{row[0]}\n" for row in rows))
    got = [(row[0], *line.split()[:2]) for row, line in zip(rows, lines, strict=True)]
    assert got == [(row[0], row[2], row[3]) for row in rows]


def test_the_displacement_of_a_branch_is_located_behind_prefixes(harness: str) -> None:
    lines = run(harness, "decode", "64", text="e801020304\n2e2ee901020304\n0f8401020304\n")
    assert lines == ["5 call 1", "7 jmp 3", "6 jcc 2"]


@pytest.mark.parametrize("bits", ["32", "64"])
@pytest.mark.parametrize("seed", ["1", "2", "0x5eed"])
def test_random_bytes_are_never_read_past_their_end(harness: str, bits: str, seed: str) -> None:
    word, count, decoded = run(harness, "fuzz", bits, seed, "100000")[0].split()
    assert (word, count) == ("fuzz", "100000")
    assert int(decoded) > 20000


def text_section(path: str) -> tuple[int, int, int]:
    """Address, file offset and size in bytes of an ELF file's .text, as objdump shows them."""
    out = subprocess.run(["objdump", "-h", path], capture_output=True, text=True, check=True).stdout
    found = re.search(r"^\s*\d+ \.text\s+(\w+)\s+(\w+)\s+\w+\s+(\w+)", out, re.MULTILINE)
    assert found, out
    size, address, offset = (int(number, 16) for number in found.groups())
    return address, offset, size


def objdump_starts(path: str, address: int) -> set[int]:
    """Offsets in .text where objdump sees an instruction."""
    out = subprocess.run(["objdump", "-d", "-w", "-z", "--no-show-raw-insn", "-j", ".text", path],
                         capture_output=True, text=True, check=True).stdout
    return {int(at, 16) - address for at in re.findall(r"^ *([0-9a-f]+):\t", out, re.MULTILINE)}


def compiled_sample(path: Path, bits: str) -> str:
    """An object file with code of many kinds, made by the compiler from the project's own sources."""
    command = ["cc", f"-m{bits}", "-O2", "-ffreestanding", "-march=x86-64-v3", f"-I{CONTROLLER}", "-c", "-o", str(path),
               DECODER[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(path)


def assert_same_starts(harness: str, path: str, bits: str, least: int) -> None:
    address, offset, size = text_section(path)
    ours = run(harness, "walk", bits, path, str(offset), str(size))
    assert [line for line in ours if line.endswith("bad")] == []
    starts = {int(line) for line in ours}
    assert len(starts) > least
    # objdump takes FWAIT as a prefix of the floating point instruction after it
    other = objdump_starts(path, address)
    data = Path(path).read_bytes()[offset:offset + size]
    differing = {at for at in starts ^ other if data[at - 1] != 0x9B}
    assert differing == set()


@pytest.mark.parametrize("bits", ["32", "64"])
def test_compiled_code_has_the_instructions_that_objdump_sees(harness: str, bits: str, tmp_path: Path) -> None:
    assert shutil.which("objdump"), "install binutils"
    assert_same_starts(harness, compiled_sample(tmp_path / "sample.o", bits), bits, 300)


def loaded_library(name: str) -> str:
    """Path of a shared library that this process has loaded."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        path = line.split(maxsplit=5)[-1]
        if re.fullmatch(name, os.path.basename(path)):
            return path
    raise AssertionError(f"{name} is not loaded")


def test_the_c_librarys_code_has_the_instructions_that_objdump_sees(harness: str) -> None:
    # it has variants for every generation of processors: SSE, AVX, AVX-512
    assert_same_starts(harness, loaded_library(r"libc[.-].*so.*"), "64", 100000)
