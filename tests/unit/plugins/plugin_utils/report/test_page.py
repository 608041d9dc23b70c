# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of a page become one script, and what the joiner cannot vouch for is an error that names the module."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.report.page import FOLDER, joined

TIMELINE = pathlib.Path(FOLDER) / "timeline"


def join(folder: pathlib.Path, **modules: str) -> str:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    return joined(str(folder / "main.js"))


def test_a_module_stands_once_and_behind_those_that_it_imports(tmp_path: pathlib.Path) -> None:
    text = join(
        tmp_path,
        main='import { a, show } from "./view.js";\nimport { data } from "./data.js";\nimport "./keys.js";\nshow(a);\n',
        keys='import { show } from "./view.js";\n\nshow(data);\n',
        view='import { data } from "./data.js";\n\nexport const a = 1;\nexport function show(b = 2, c = 3) {}\n',
        data="export let data;\nexport async function load() {}\n",
    )
    lines = [line for line in text.splitlines() if line]
    assert lines == ['"use strict";', "let data;", "async function load() {}", "const a = 1;",
                     "function show(b = 2, c = 3) {}", "show(data);", "show(a);"]  # fmt: skip


def test_what_is_not_at_the_left_edge_stays_as_it_is(tmp_path: pathlib.Path) -> None:
    body = "function a() {\n  const one = 1, two = 2;\n  // import and\n  export_(one, two);\n}\n"
    assert join(tmp_path, main=body, other="no module") == f'"use strict";\n{body}'


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ({"main": 'import "./a.js";\n', "a": 'import "./b.js";\n', "b": 'import "./a.js";\n'},
         "these modules import each other in a circle: main.js -> a.js -> b.js -> a.js"),
        ({"main": 'import "./main.js";\n'}, "these modules import each other in a circle: main.js -> main.js"),
        ({"main": 'import "./a.js";\n', "a": 'import "./gone.js";\n'},
         "main.js -> a.js -> gone.js: there is no file gone.js"),
        ({"main": 'import { one } from "./a.js";\n', "a": "const one = 1;\n"},
         "main.js imports 'one', which a.js does not export"),
        ({"main": 'import { one } from "./b.js";\n', "b": 'import { one } from "./a.js";\n', "a": "export let one;\n"},
         "main.js imports 'one', which b.js does not export"),
        ({"main": 'import "./a.js";\nlet twice = 1;\n', "a": "function twice() {}\n"},
         "a.js and main.js both declare 'twice'"),
        ({"main": "let twice;\nconst twice = 1;\n"}, "main.js and main.js both declare 'twice'"),
        ({"main": "const a = 1, b = 2;\n"}, "main.js: the joiner does not know this form: const a = 1, b = 2;"),
        ({"main": "let a, b;\n"}, "main.js: the joiner does not know this form: let a, b;"),
        ({"main": "const [a] = b;\n"}, "main.js: the joiner does not know this form: const [a] = b;"),
        ({"main": "var a;\n"}, "main.js: the joiner does not know this form: var a;"),
        ({"main": "export default 1;\n"}, "main.js: the joiner does not know this form: export default 1;"),
        ({"main": "export { a };\n"}, "main.js: the joiner does not know this form: export { a };"),
        ({"main": 'import a from "./a.js";\n', "a": ""},
         'main.js: the joiner does not know this form: import a from "./a.js";'),
        ({"main": 'import { a } from "../a.js";\n'},
         'main.js: the joiner does not know this form: import { a } from "../a.js";'),
        ({"main": 'import { a as b } from "./a.js";\n', "a": "export let a;\n"},
         "main.js imports 'a as b', which a.js does not export"),
    ],
)  # fmt: skip
def test_modules_that_cannot_be_one_script_are_refused(
    tmp_path: pathlib.Path, modules: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'{tmp_path}: {said}')}$"):
        join(tmp_path, **modules)


def test_every_module_of_the_timeline_is_part_of_its_page() -> None:
    text = joined(str(TIMELINE / "main.js"))
    for path in TIMELINE.iterdir():
        body = re.sub(r"^import .*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert re.sub(r"^export ", "", body, flags=re.MULTILINE) in text, path.name
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)
