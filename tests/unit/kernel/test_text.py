# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a text a payload reads, and what stands for one that is not there, compiled in user space."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ERR = "static inline long IS_ERR(const void *p) { return (unsigned long)p >= (unsigned long)-4095; }\n"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, str], str]:
    """Size and copy of a text, as text_harness.c prints them."""
    directory = tmp_path_factory.mktemp("text")
    (directory / "linux").mkdir()
    for name, text in (("err.h", ERR), ("string.h", "#include <string.h>\n"), ("types.h", "#include <stddef.h>\n")):
        (directory / "linux" / name).write_text(text, encoding="utf-8")
    program = directory / "harness"
    source = Path(__file__).with_name("text_harness.c")
    flags = ["-std=gnu89", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{directory}", f"-I{ROOT / 'kernel' / 'include'}"]
    subprocess.run(["cc", *flags, "-o", str(program), str(source)], check=True)

    def run(room: int, what: str) -> str:
        done = subprocess.run([str(program), str(room), what], capture_output=True, text=True, check=True)
        return done.stdout.removesuffix("\n")

    return run


@pytest.mark.parametrize(
    ("room", "what", "printed"),
    [
        (128, "0abc", "4 abc"),
        (128, "0", "1 "),
        (4, "0abc", "4 abc"),
        (3, "0abc", "3 ab"),
        (1, "0abc", "1 "),
        (128, "null", "7 (null)"),
        (4, "null", "4 (nu"),
        (128, "low", "8 (error)"),
        (128, "error", "8 (error)"),
    ],
)
def test_a_text_is_copied_to_its_end_or_as_far_as_there_is_room(
    copied: Callable, room: int, what: str, printed: str
) -> None:
    assert copied(room, what) == printed


@pytest.mark.parametrize("size", [1, 16, 127])
def test_nothing_is_read_behind_as_many_bytes_as_there_is_room_for(copied: Callable, size: int) -> None:
    assert copied(size + 1, "x" * size) == f"{size + 1} {'x' * size}"
    with pytest.raises(subprocess.CalledProcessError):  # one byte more is not there
        copied(size + 2, "x" * size)
