# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of plugin_utils import each other as docs/architecture.md says, and never in a circle."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths

ROOT = Path(paths.ROOT)
ROOMS = ROOT / "plugins" / "plugin_utils"
ANSIBLE = {"host/action.py", "lab/action.py"}
_ROW = re.compile(r"^\| `(\w+)/` \| [^|]+ \|([^|]*)\|$", re.MULTILINE)


def table() -> dict[str, set[str]]:
    """What each package may import, as the page says it."""
    rows = dict(_ROW.findall((ROOT / "docs" / "architecture.md").read_text()))
    every = set(rows)
    return {name: every if "everything" in words else set(re.findall(r"\w+", words)) for name, words in rows.items()}


def modules() -> list[Path]:
    return sorted(ROOMS.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(ROOMS).as_posix()


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Each module of plugin_utils that a module imports: (package/name.py, package)."""
    here = path.parent
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            top = here
            for _level in range(node.level - 1):
                top = top.parent
            target = top.joinpath(*(node.module or "").split(".")) if node.module else top
            found = [target] if target.with_suffix(".py").is_file() else [target / one.name for one in node.names]
            for one in found:
                file = one.with_suffix(".py")
                assert file.is_file(), f"{place(path)} imports {one}, which is no module"
                yield place(file), file.relative_to(ROOMS).parts[0]


def test_the_page_lists_every_package_and_no_other() -> None:
    assert set(table()) == {path.name for path in ROOMS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert not list(ROOMS.glob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=place)
def test_a_module_imports_only_what_its_package_may(path: Path) -> None:
    package = path.relative_to(ROOMS).parts[0]
    strange = {name for name, other in imports(path) if other != package and other not in table()[package]}
    assert strange == set(), f"docs/architecture.md does not allow {package}/ to import these"


def test_no_module_imports_itself_by_a_circle() -> None:
    graph = {place(path): {name for name, _package in imports(path)} for path in modules()}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_only_the_bases_of_actions_know_ansible_and_all_other_imports_are_relative() -> None:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names.append(node.module or "")
            assert not any(name.startswith("ansible_collections") for name in names), place(path)
            assert place(path) in ANSIBLE or not any(name.partition(".")[0] == "ansible" for name in names), place(path)
