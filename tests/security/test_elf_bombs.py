# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files that want to become big: kernels, modules and their headers, with the memory that reading them takes."""

from __future__ import annotations

import bz2
import functools
import lzma
import pathlib
import re
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from typing import NamedTuple

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import deadline
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.processes import below, kill
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.btf_file import read_btf
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.headers import Tree
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.relocations import expected_sites
from ansible_collections.kedr.lab.plugins.plugin_utils.host import modules

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST = 300  # MB that the control node may take
ZEROS = 3 << 30
MODULES = "ansible_collections.kedr.lab.plugins.plugin_utils"
READERS = {
    "identity": f"from {MODULES}.host import modules; modules.identity(open(sys.argv[1], 'rb').read())",
    "unpacked": f"from {MODULES}.base.unpack import unpacked; unpacked(open(sys.argv[1], 'rb').read())",
    "sites": f"from {MODULES}.evidence import relocations; "
    "relocations.expected_sites(open(sys.argv[1], 'rb'), ['kfree'])",
    "driver": f"from {MODULES}.lab.initramfs import read_module; read_module(sys.argv[1])",
    "types": f"from {MODULES}.cli.main import main; sys.exit(main(['new', 'f', '--vmlinux', sys.argv[1]]))",
}


class Outcome(NamedTuple):
    """How a reader ended: what it said last, the most memory that it and its children took (MB), and seconds."""

    said: str
    memory: float
    seconds: float


def taken(process: int) -> float:
    """Return the memory of a process and of all that it started in MB; what they share counts once."""
    found = 0
    for number in [process, *(pid for pid, dummy in below(process))]:
        try:
            rows = pathlib.Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        found += sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return found / 1024


def read(reader: str, *arguments: object) -> Outcome:
    """Run a reader in a process of its own and watch its memory; a process that takes too much is ended."""
    code = f"import sys; sys.path.insert(0, '{ROOT}/.collections'); {READERS[reader]}"
    begun, most = time.monotonic(), 0.0
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        while process.poll() is None:
            most = max(most, taken(process.pid))
            if most > 4 * MOST or time.monotonic() - begun > 100:
                kill(below(process.pid) | {(process.pid, "")})
            time.sleep(0.01)
        said = process.stderr.read() if process.stderr else ""
    return Outcome(said.strip().rpartition("\n")[2], most, time.monotonic() - begun)


# -- what is compressed


def gzip_bomb() -> bytes:
    """Return gzip of 3 GiB: one block that stands for itself, again and again."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = machine.compress(bytes(1 << 20)) + machine.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08" + bytes(7) + block * (ZEROS >> 20)


def zstd_bomb() -> bytes:
    """Return zstd of 3 GiB, 32 frames."""
    command = ["zstd", "-qc", "-19"]
    frame = subprocess.run(command, input=bytes(ZEROS >> 5), capture_output=True, check=True).stdout
    return frame * 32


def wide_bomb() -> bytes:
    """Return data of the old format of lzma that asks for a dictionary of 2 GiB."""
    small = lzma.compress(bytes(1 << 20), format=lzma.FORMAT_ALONE)
    return small[:1] + struct.pack("<I", 1 << 31) + small[5:]


BOMBS = {
    "gzip": gzip_bomb,
    "bzip2": lambda: bz2.compress(bytes(160 << 20)),
    "xz": lambda: lzma.compress(bytes(160 << 20), preset=0),
    "zstd": zstd_bomb,
    "a wide dictionary": wide_bomb,
}
TOO_MUCH = r"(holds|needs) more than 1\d\d MB"


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    return {name: make() for name, make in BOMBS.items()}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("reader", ["unpacked", "types"])
def test_data_that_unpacks_to_too_much_is_refused_while_it_comes(
    tmp_path: pathlib.Path, bombs: dict[str, bytes], reader: str, name: str
) -> None:
    (tmp_path / "file").write_bytes(bombs[name])
    assert_refused(read(reader, tmp_path / "file"), TOO_MUCH)


def test_a_driver_of_an_image_that_unpacks_to_too_much_is_refused(
    tmp_path: pathlib.Path, bombs: dict[str, bytes]
) -> None:
    (tmp_path / "x.ko.zst").write_bytes(bombs["zstd"])
    assert_refused(read("driver", tmp_path / "x.ko.zst"), TOO_MUCH)


def assert_refused(outcome: Outcome, reason: str) -> None:
    assert re.search(reason, outcome.said), outcome
    assert outcome.memory < MOST, outcome
    assert outcome.seconds < 60, outcome


# -- ELF


def elf(sections: dict[str, tuple[int, int, bytes]], **header: int) -> bytes:
    """Return a relocatable file of x86_64 with sections, each of a type, flags and bytes; `header` spoils fields."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in [*sections, ".shstrtab"])
    rows, content, place = [bytes(64)], b"", 64
    for name, (kind, flags, data) in [*sections.items(), (".shstrtab", (3, 0, names))]:
        at = names.index(b"\0" + name.encode() + b"\0") + 1
        rows.append(struct.pack("<IIQQQQIIQQ", at, kind, flags, 0, place, len(data), 0, 0, 8, 0))
        content += data
        place += len(data)
    fields = {"shoff": place, "shentsize": 64, "shnum": len(rows), "shstrndx": len(rows) - 1, **header}
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, fields["shoff"], 0, 64, 0, 0, *list(fields.values())[1:])
    return head + content + b"".join(rows)


@functools.cache
def compressed(size: int = 160 << 20) -> bytes:
    """Return what a compressed section holds: its header, and zeros."""
    return struct.pack("<IIQQ", 1, 0, size, 1) + zlib.compress(bytes(size), 1)


@pytest.mark.parametrize(("reader", "name"), [("identity", ".modinfo"), ("types", ".BTF")])
def test_a_compressed_section_that_is_too_big_is_refused(tmp_path: pathlib.Path, reader: str, name: str) -> None:
    (tmp_path / "file").write_bytes(elf({name: (1, 0x800, compressed())}))
    assert_refused(read(reader, tmp_path / "file"), "needs more than 128 MB of memory")


def test_a_compressed_text_with_relocations_that_is_too_big_is_refused(tmp_path: pathlib.Path) -> None:
    symbols = bytes(24) + struct.pack("<IBBHQQ", 0, 0x12, 0, 0, 0, 0)
    relocation = struct.pack("<QQq", 1, 1 << 32 | 4, -4)
    data = bytearray(elf({
        ".text": (1, 0x806, compressed()), ".symtab": (2, 0, symbols), ".rela.text": (4, 0, relocation),
    }))  # fmt: skip
    table = struct.unpack_from("<Q", data, 40)[0]
    struct.pack_into("<II", data, table + 2 * 64 + 40, 4, 1)  # the symbols' names
    struct.pack_into("<Q", data, table + 2 * 64 + 56, 24)
    struct.pack_into("<II", data, table + 3 * 64 + 40, 2, 1)  # what the relocations are of
    struct.pack_into("<Q", data, table + 3 * 64 + 56, 24)
    (tmp_path / "file").write_bytes(data)
    assert_refused(read("sites", tmp_path / "file"), "needs more than 128 MB of memory")


def told(read_it: Callable[[str], object], path: pathlib.Path) -> str:
    """Return what a reader complains of, in the errors that its callers know; nothing when it can read the file."""
    try:
        read_it(str(path))
    except (ValueError, ForeignError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["identity", "sites", "types"])
@pytest.mark.parametrize("field", ["shoff", "shentsize", "shnum", "shstrndx"])
@pytest.mark.parametrize("value", [0, 1, 63, 0xFF00, 0xFFFF])
def test_a_damaged_header_is_told_in_a_sentence(tmp_path: pathlib.Path, name: str, field: str, value: int) -> None:
    read_it: dict[str, Callable[[str], object]] = {
        "identity": lambda path: modules.identity(pathlib.Path(path).read_bytes()),
        "sites": lambda path: expected_sites(open(path, "rb"), ["kfree"]),  # noqa: SIM115
        "types": read_btf,
    }
    path = tmp_path / "file"
    path.write_bytes(elf({".modinfo": (1, 0, b"srcversion=X\0"), ".text": (1, 6, b"\xc3")}, **{field: value}))
    words = "ELF file|cannot be read|not a kernel module|has no BTF|needs more than"
    assert re.search(f"{words}|^$" if name == "sites" else words, told(read_it[name], path))


# -- types and headers


def types_bomb() -> bytes:
    """Return BTF of 1.3 million functions that share one string, each with a name of its own inside of it."""
    strings = b"\0" + b"f" * (14 << 20) + b"\0"
    types = b"".join(struct.pack("<III", 1 + number, 12 << 24, 1) for number in range(1_300_000))
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


def test_types_with_endless_names_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(types_bomb())
    assert_refused(read("types", tmp_path / "file"), "needs more than 256 MB of memory")


@pytest.mark.parametrize("text", [b"/* " * 1_000_000, b"#" + b"\\\n" * 1_000_000 + b"\\"], ids=["comments", "lines"])
def test_a_header_without_an_end_is_read_in_one_go(tmp_path: pathlib.Path, text: bytes) -> None:
    (tmp_path / "include" / "linux").mkdir(parents=True)
    (tmp_path / "include" / "linux" / "one.h").write_bytes(b"int kfree(void);\n" + text)
    begun = time.monotonic()
    with deadline.limited(30):
        assert Tree(str(tmp_path)).declared(["kfree"])["kfree"].header == "linux/one.h"
    assert time.monotonic() - begun < 30
