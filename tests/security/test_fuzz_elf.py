# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged modules and types: every reader gives an answer or an error that its callers know.

KEDR_FUZZ_EXAMPLES in the environment says how many damages are tried.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pathlib
import re
import struct
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.unpack import unpack
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.btf import Btf, UnspeakableError
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.btf_file import read_btf
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.relocations import expected_sites
from ansible_collections.kedr.lab.plugins.plugin_utils.host import modules
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SOURCE = """
int kfree(const void *pointer);
void *keep = kfree;
int twice(int a) { return kfree(&a) + kfree(keep); }
static char info[] __attribute__((section(".modinfo"), used)) = "srcversion=ABC\\0vermagic=6.12 SMP";
"""
FLAGS = ["-c", "-O1", "-fno-pic", "-mcmodel=kernel", "-x", "c", "-"]
EXAMPLES = int(os.environ.get("KEDR_FUZZ_EXAMPLES", "150"))
FUZZ = settings(
    max_examples=EXAMPLES, derandomize=EXAMPLES == 150, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
SENTENCE = re.compile(r"[^\n]{8,}")


def btf() -> bytes:
    """Return types with a function of one pointer to a structure, an array, an enumeration and a circle of names."""
    strings = b"\0int\0one\0pointer\0member\0"
    kinds = [
        (1, 1 << 24, 4), (0, 2 << 24, 3), (5, 4 << 24 | 1, 8), (0, 3 << 24, 0), (5, 8 << 24, 5), (0, 10 << 24, 3),
        (0, 13 << 24 | 1, 1), (5, 12 << 24, 7),
    ]  # fmt: skip
    tails = {0: [32], 2: [17, 2, 0], 3: [1, 1, 4], 6: [9, 2]}
    types = b"".join(
        struct.pack("<III", *kind) + struct.pack(f"<{len(tails.get(place, []))}I", *tails.get(place, []))
        for place, kind in enumerate(kinds)
    )
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


@cache
def module() -> bytes:
    """Return a module with call sites, relocations, an identity and types."""
    with tempfile.TemporaryDirectory() as place:
        command = ["gcc", *FLAGS, "-o", f"{place}/module.o"]
        subprocess.run(command, input=SOURCE.encode(), capture_output=True, check=True)
        return pathlib.Path(place, "module.o").read_bytes()


@st.composite
def damaged(draw: st.DrawFn, whole: Callable[[], bytes]) -> bytes:
    """Return bytes with a few words of them replaced, or cut off."""
    data = bytearray(whole())
    for dummy in range(draw(st.integers(1, 4))):
        width = draw(st.sampled_from([1, 2, 4, 8]))
        place = draw(st.one_of(st.integers(0, 63), st.integers(0, len(data) - width)))
        value = draw(st.one_of(st.sampled_from([0, 1, (1 << 8 * width) - 1, 1 << 8 * width - 1]),
                               st.integers(0, (1 << 8 * width) - 1)))  # fmt: skip
        data[place : place + width] = value.to_bytes(width, "little")
    return bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))])


def described(data: bytes) -> list[str]:
    """Return all that types say, with what C cannot say left out."""
    types = Btf(data)
    told = []
    for name, numbers in types.functions.items():
        try:
            prototype = types.prototype(numbers[0])
            told.append(prototype.returns.declare(name) + str(prototype.parameters))
        except UnspeakableError as error:
            told.append(str(error))
    return told


def test_what_is_damaged_was_whole_and_read_before(tmp_path: pathlib.Path) -> None:
    found = expected_sites(io.BytesIO(module()), ["kfree"])
    assert (found.total("kfree"), found.pointers) == (2, {"kfree": 1})
    assert modules.identity(module()).srcversion == "ABC"
    assert described(btf()) == ["int one(('pointer', TypeText(before='struct one *', after='', shape=<Shape.POINTER: "
                                "'a pointer'>, integer='')),)"]  # fmt: skip
    assert unpack(packed(module())) == module()


@FUZZ
@given(data=damaged(module))
def test_a_damaged_module_gives_sites_or_a_sentence(data: bytes) -> None:
    try:
        assert expected_sites(io.BytesIO(data), ["kfree"]).total("kfree") >= 0
    except ForeignError as error:
        assert SENTENCE.match(str(error))


@FUZZ
@given(data=damaged(module))
def test_a_damaged_module_has_an_identity_or_a_sentence_says_why_not(data: bytes) -> None:
    try:
        assert len(modules.identity(data)) == 2
    except ForeignError as error:
        assert SENTENCE.match(str(error))


@settings(FUZZ, max_examples=EXAMPLES * 4)
@given(data=damaged(btf))
def test_damaged_types_give_declarations_or_a_sentence(data: bytes) -> None:
    try:
        assert all(isinstance(text, str) for text in described(data))
    except ForeignError as error:
        assert SENTENCE.match(str(error))


def image() -> bytes:
    """Return the head of a bzImage with types in nothing that is compressed."""
    return bytes(0x1F1) + b"\1" + bytes(0x10) + b"HdrS" + bytes(0x42) + struct.pack("<II", 0, 200) + bytes(600)


@pytest.mark.parametrize("whole", [btf, image, module], ids=lambda whole: whole.__name__)
def test_a_damaged_file_of_types_is_read_or_named_with_a_sentence(
    tmp_path: pathlib.Path, whole: Callable[[], bytes]
) -> None:
    @settings(FUZZ, max_examples=EXAMPLES // 3)
    @given(data=damaged(whole))
    def attempt(data: bytes) -> None:
        (tmp_path / "file").write_bytes(data)
        try:
            assert read_btf(str(tmp_path / "file")).functions is not None
        except ForeignError as error:
            assert SENTENCE.match(str(error))

    attempt()


def packed(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("kind", ["xz", "gzip", "bzip2", "zstd"])
def test_damaged_packed_data_is_unpacked_or_a_sentence_says_why_not(kind: str) -> None:
    whole = {"xz": lzma.compress, "gzip": gzip.compress, "bzip2": bz2.compress}.get(kind, packed)(module())

    @settings(FUZZ, max_examples=EXAMPLES // 3)
    @given(data=damaged(lambda: whole))
    def attempt(data: bytes) -> None:
        try:
            assert len(unpack(data)) < 1 << 20
        except ForeignError as error:
            assert SENTENCE.match(str(error))

    attempt()
