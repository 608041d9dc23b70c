# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and functions stay short; the few that do not are listed with the reason."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths

ROOT = Path(paths.ROOT)
FILE, FUNCTION = 450, 45
"""Lines that a file and a function may have."""

_CASES = "the cases of one part, told one after another with what they share"
EXCEPTIONS = {
    "plugins/plugin_utils/ask/questions.py:diff": "one question in SQL, which is read as a whole",
    "tests/honesty/evidence.py": "every way in which evidence can be wrong, in one list",
    "tests/kernels/load.c": "reads a module as the kernel does, for two programs that include it",
    "tests/kernels/search_test.c": _CASES,
    "tests/unit/plugins/action/test_host_actions.py": _CASES,
    "tests/unit/plugins/plugin_utils/evidence/test_splats.py": _CASES,
    "tests/unit/plugins/plugin_utils/export/test_export.py": _CASES,
    "tests/unit/plugins/plugin_utils/host/test_programs.py": _CASES,
    "tests/unit/plugins/plugin_utils/lab/images/test_cloud.py": _CASES,
    "tests/unit/plugins/plugin_utils/lab/test_lab.py": _CASES,
    "tests/unit/plugins/plugin_utils/payload/test_describe.py": _CASES,
    "tests/unit/plugins/plugin_utils/report/test_report.py": _CASES,
    "tests/unit/plugins/plugin_utils/verdict/test_watch.py": _CASES,
}
"""{file or file:function: why it may be longer}"""

_BEGIN = {
    ".sh": re.compile(r"^(\w+)\(\) \{$"),
    ".c": re.compile(r"^(?!\s|#|/|\}|struct\b.*[={;]$)[\w\s*]*?\b(\w+)\("),
    ".js": re.compile(r"^(?:export )?(?:async )?function (\w+)\("),
}
"""How a function begins at the left edge; it ends with the next `}` there."""


def sources() -> list[Path]:
    known = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    kinds = {".py", ".sh", ".c", ".h", ".js", ".css", ".j2"}
    return [Path(name) for name in known if Path(name).suffix in kinds and not name.startswith(".collections")]


def functions(path: Path, text: str) -> Iterator[tuple[str, int]]:
    """The functions of a file, each with its length in lines."""
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1
    elif path.suffix in _BEGIN:
        name, begun = "", 0
        for number, line in enumerate(text.splitlines(), 1):
            found = _BEGIN[path.suffix].match(line)
            if found and not line.endswith(";"):
                name, begun = found[1], number
            elif line == "}" and name:
                yield name, number - begun + 1
                name = ""


def long_ones() -> dict[str, int]:
    """Everything that is longer than it may be, with its lines."""
    found: dict[str, int] = {}
    for path in sources():
        text = (ROOT / path).read_text()
        if text.count("\n") > FILE:
            found[str(path)] = text.count("\n")
        found |= {f"{path}:{name}": lines for name, lines in functions(path, text) if lines > FUNCTION}
    return found


def test_no_file_and_no_function_is_longer_than_a_screen_or_ten_without_a_reason() -> None:
    assert {name: lines for name, lines in long_ones().items() if name not in EXCEPTIONS} == {}


def test_no_exception_is_left_when_what_it_was_for_is_short() -> None:
    assert set(EXCEPTIONS) - set(long_ones()) == set()


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.sh", "one() {\n\ttrue\n}\n", 3),
        ("a.c", "static int one(int a,\n\t       int b)\n{\n\treturn a;\n}\n", 5),
        ("a.c", "struct one x = {\n};\nint one(void);\nint one(void)\n{\n}\n", 3),
        ("a.js", "export function one(a) {\n    return a;\n}\n", 3),
        ("a.py", "class A:\n    def one(self):\n        pass\n", 2),
    ],
)
def test_the_length_of_a_function_is_found_in_every_language(name: str, text: str, lines: int) -> None:
    assert list(functions(Path(name), text)) == [("one", lines)]
