# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all C sources under kernel/."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

KERNEL = Path(__file__).resolve().parents[3] / "kernel"
SOURCES = sorted(path for path in KERNEL.rglob("*.[ch]") if "templates" not in path.parts)
PROBES = sorted((KERNEL / "probes").glob("*.c"))


def relative(path: Path) -> str:
    return str(path.relative_to(KERNEL))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_source_asks_for_a_version_or_stops_the_kernel(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\b(LINUX_VERSION_CODE|KERNEL_VERSION|BUG_ON|BUG|panic)\b", text) == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_each_source_names_its_licence_in_the_first_line(path: Path) -> None:
    line = path.read_text(encoding="utf-8").splitlines()[0]
    wanted = "// {}" if path.suffix == ".c" else "/* {} */"
    assert line == wanted.format("SPDX-License-Identifier: GPL-2.0-only")


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_each_source_keeps_to_the_layout_of_kernel_code(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    wrong = [number for number, line in enumerate(lines, 1)
             if line != line.rstrip() or re.match(r" {2,}(?!\*)", line)
             or (len(line.expandtabs(8)) > 100 and '"' not in line)]
    assert wrong == []


@pytest.mark.parametrize("path", sorted((KERNEL / "controller").glob("*.c")), ids=relative)
def test_each_part_of_the_controller_states_its_locking(path: Path) -> None:
    head = path.read_text(encoding="utf-8").split("*/", 1)[0]
    assert " * Locking: " in head


def test_each_probe_is_built_and_each_built_probe_exists() -> None:
    kbuild = (KERNEL / "probes" / "Kbuild").read_text(encoding="utf-8")
    built = re.findall(r"^obj-m [:+]= (\w+)\.o$", kbuild, re.MULTILINE)
    assert built[0] == "always"
    assert sorted(built) == [path.stem for path in PROBES]


def test_each_macro_that_is_asked_for_has_its_probe() -> None:
    known = {f"KEDR_HAVE_{path.stem.upper()}" for path in PROBES}
    asked = {name for path in SOURCES
             for name in re.findall(r"KEDR_HAVE_[A-Z]\w*", path.read_text(encoding="utf-8"))}
    assert asked
    assert asked <= known
