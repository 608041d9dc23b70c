# SPDX-License-Identifier: GPL-3.0-or-later
"""Payload sources made by the user's MiST template sets."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.functions import load_functions
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import ResolvedPayload
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.render import is_ours, render
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.resolve import resolve
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.data_texts import parse_payload

ROOT = Path(paths.ROOT)
OURS = str(ROOT / "kernel" / "templates")
SETS = str(ROOT / "tests" / "unit" / "data" / "mist_templates")
TEXT = """module.name = my_pay
module.author = Some Author
module.license = GPL
header = #include <linux/slab.h>
[group]
function.name = alloc
returnType = void *
arg.type = size_t
arg.name = size
arg.type = gfp_t
arg.name = flags
prologue = int x = 1;
trace.param.type = size_t
trace.param.name = size
trace.param.type = int
trace.param.name = x
trace.formatString = "alloc(%zu) %d"
[group]
function.name = gone
function.optional = yes
returnsVoid = yes
trace.formatString = "gone"
[group]
function.name = tick
returnsVoid = yes
trace.param.type = int
trace.param.name = y
trace.formatString = "tick %d"
prologue = int y = 2;
"""
BLOCK = "<$function.name$>=<$symbol.name$>(<$symbol.arg.type : join(;)$>|<$symbol.arg.name : join(;)$>)"


def resolved(text: str = TEXT, functions: str = "{}", tmp: Path | None = None) -> ResolvedPayload:
    db = {}
    if tmp:
        (tmp / "functions.yml").write_text(functions)
        db = load_functions(str(tmp / "functions.yml"))
    exports = {"alloc", "alloc_noprof", "tick"}
    return resolve(parse_payload(text.encode(), "a.data"), db, exports, set(), "1.0")


def make_set(directory: Path, name: str, document: str | bytes, block: str | bytes) -> None:
    for part, text in (("document", document), ("block", block)):
        (directory / name / part).mkdir(parents=True)
        data = text if isinstance(text, bytes) else text.encode()
        (directory / name / part / f"{part}.tpl").write_bytes(data)


def test_a_set_makes_the_file_of_its_name_from_the_groups_and_ours_the_rest(tmp_path: Path) -> None:
    make_set(tmp_path, "payload.c", "<$module.name$>: <$header$>\n<$block : join(\\n)$>\n", BLOCK)
    sources = render(resolved(), str(tmp_path))
    assert sources["payload.c"] == (
        "my_pay: #include <linux/slab.h>\nalloc=alloc(size_t;gfp_t|size;flags)\ntick=tick(|)\n"
    )
    own = render(resolved(), OURS)
    assert {name: sources[name] for name in ("Kbuild", "trace_payload.h")} == {
        name: own[name] for name in ("Kbuild", "trace_payload.h")
    }


def test_a_set_is_fed_with_what_mist_gen_reads(tmp_path: Path) -> None:
    text = TEXT.replace("function.name = gone\n", "function.name = alloc2\n").replace("function.optional = yes\n", "")
    data = tmp_path / "a.data"
    data.write_text(text)
    names = ["module.author", "function.name", "arg.type", "arg.name", "trace.formatString", "prologue", "returnType"]
    shown = "".join(f"[<${name} : join(|)$>]" for name in names)
    make_set(tmp_path / "sets", "payload.c", f"{shown}<$block : join(|)$>", shown)
    payload = resolve(parse_payload(text.encode(), "a.data"), {}, {"alloc", "alloc2", "tick"}, set(), "1.0")
    made = render(payload, str(tmp_path / "sets"))["payload.c"]
    command = [ROOT / "bin" / "mist_gen", tmp_path / "sets" / "payload.c", data]
    assert made.encode() == subprocess.run(command, capture_output=True, check=True).stdout
    assert "[size_t|gfp_t][size|flags]" in made


def test_a_group_knows_the_symbol_and_all_its_arguments(tmp_path: Path) -> None:
    make_set(tmp_path / "t", "payload.c", "<$block : join(\\n)$>", BLOCK)
    table = "alloc:\n  - symbol: alloc_noprof\n    arguments: [struct cache *cache, 2, 1]\n"
    sources = render(resolved(functions=table, tmp=tmp_path), str(tmp_path / "t"))
    assert sources["payload.c"].splitlines()[0] == (
        "alloc=alloc_noprof(struct cache *;gfp_t;size_t|kedr_cache;flags;size)"
    )


def test_our_test_set_makes_a_whole_payload() -> None:
    sources = render(resolved(), SETS)
    assert sorted(sources) == ["Kbuild", "payload.c", "trace_payload.h"]
    code = sources["payload.c"]
    assert "\nstatic void * repl_alloc(size_t size, gfp_t flags)\n{\n\tvoid * returnValue;\n\tint x = 1;\n" in code
    assert "\n\treturnValue = (alloc)(size, flags);\n\ttrace_called_alloc(size, x);\n\treturn returnValue;\n}\n" in code
    assert "\nstatic void repl_tick(void)\n{\n\tint y = 2;\n\n\t(tick)();\n\ttrace_called_tick(y);\n}\n" in code
    assert "\t(void *)&alloc,\n\t(void *)&tick,\n};" in code
    assert "gone" not in code + sources["trace_payload.h"]
    header = sources["trace_payload.h"]
    assert "\tTP_PROTO(size_t p_size, int p_x),\n\tTP_ARGS(p_size, p_x),\n" in header
    assert '\tTP_printk("alloc(%zu) %d", __entry->size, __entry->x)\n' in header


def test_more_sets_make_more_files_and_jinja2_files_may_stand_beside_them(tmp_path: Path) -> None:
    make_set(tmp_path, "extra.h", "/* <$module.name$> */", "")
    (tmp_path / "Kbuild.j2").write_text("obj-m := {{ module }}.o # mine\n")
    sources = render(resolved(), str(tmp_path))
    assert sources["extra.h"] == "/* my_pay */"
    assert sources["Kbuild"] == "obj-m := my_pay.o # mine\n"
    assert sources["payload.c"] == render(resolved(), OURS)["payload.c"]


def test_it_is_known_whether_our_template_makes_payload_c(tmp_path: Path) -> None:
    assert is_ours(resolved(), OURS)
    assert not is_ours(resolved(), str(tmp_path))  # the user's Jinja2 files, of which none is there
    make_set(tmp_path, "extra.h", "", "")
    assert is_ours(resolved(), str(tmp_path))
    (tmp_path / "payload.c.j2").write_text("")
    assert not is_ours(resolved(), str(tmp_path))
    (tmp_path / "payload.c.j2").unlink()
    make_set(tmp_path, "payload.c", "", "")
    assert not is_ours(resolved(), str(tmp_path))


def test_templates_of_odd_bytes_keep_them(tmp_path: Path) -> None:
    make_set(tmp_path, "payload.c", b"/* \xe4 */", b"")
    assert render(resolved(), str(tmp_path))["payload.c"].encode("utf-8", "surrogateescape") == b"/* \xe4 */"


def test_a_mistake_in_a_set_is_told_with_its_place(tmp_path: Path) -> None:
    make_set(tmp_path, "payload.c", "\n<$if x$>", "")
    with pytest.raises(ForeignError, match=r'template: "document"\): found "if" without .* \(line 2 of the template\)'):
        render(resolved(), str(tmp_path))


def test_a_set_without_one_of_its_halves_is_told(tmp_path: Path) -> None:
    make_set(tmp_path, "payload.c", "", "")
    shutil.rmtree(tmp_path / "payload.c" / "block")
    with pytest.raises(ForeignError, match='not found template group: "block"'):
        render(resolved(), str(tmp_path))


def test_a_set_that_cannot_name_a_file_is_refused(tmp_path: Path) -> None:
    make_set(tmp_path, "a b", "", "")
    with pytest.raises(ForeignError, match="cannot make a file 'a b'"):
        render(resolved(), str(tmp_path))


def test_a_set_that_is_given_for_the_directory_of_sets_is_told(tmp_path: Path) -> None:
    make_set(tmp_path, "payload.c", "", "")
    with pytest.raises(ForeignError, match=r"payload\.c: is itself a template set; give the directory above it"):
        render(resolved(), str(tmp_path / "payload.c"))


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ForeignError, match=r"none: cannot be read: No such file"):
        render(resolved(), os.path.join(tmp_path, "none"))


def test_a_directory_without_templates_is_told(tmp_path: Path) -> None:
    with pytest.raises(ForeignError, match=r"payload\.c\.j2 does not exist"):
        render(resolved(), str(tmp_path))
