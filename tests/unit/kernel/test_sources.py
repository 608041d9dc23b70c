# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all C sources under kernel/."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

KERNEL = Path(__file__).resolve().parents[3] / "kernel"
SOURCES = sorted(path for path in KERNEL.rglob("*.[ch]") if "templates" not in path.parts)
CONTROLLER = sorted((KERNEL / "controller").rglob("*.c"))
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


@pytest.mark.parametrize("path", CONTROLLER, ids=relative)
def test_each_part_of_the_controller_states_its_locking(path: Path) -> None:
    head = path.read_text(encoding="utf-8").split("*/", 1)[0]
    assert " * Locking: " in head


def code(path: Path) -> str:
    return re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def defined(text: str) -> set[str]:
    """Functions and variables that other sources can use."""
    return set(re.findall(r"^(?:(?!static|extern)[\w *]*?|DEFINE_MUTEX\()\b(kedr_\w+)[(\[)]", text, re.MULTILINE))


def parts() -> dict[str, set[str]]:
    """{source of the controller: sources of which it uses a function or a variable}."""
    texts = {relative(path): code(path) for path in CONTROLLER}
    source = {name: part for part, text in texts.items() for name in defined(text)}
    return {part: {source[name] for name in re.findall(r"\bkedr_\w+", text) if name in source} - {part}
            for part, text in texts.items()}


def test_no_two_parts_of_the_controller_use_each_other() -> None:
    uses = parts()
    assert "controller/target.c" in uses["controller/main.c"]
    assert "controller/target.c" in uses["controller/sysfs.c"]
    TopologicalSorter(uses).prepare()  # raises CycleError, which names the circle


def test_each_function_that_the_controllers_headers_declare_is_one_of_its_parts() -> None:
    declared = {name for path in (KERNEL / "controller").rglob("*.h")
                for name in re.findall(r"^[a-z][\w *]*?\b(kedr_\w+)\(", code(path), re.MULTILINE)}
    assert len(declared) > 20
    assert declared <= {name for path in CONTROLLER for name in defined(code(path))}


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
