# SPDX-License-Identifier: GPL-3.0-or-later
"""Built modules by content key: what a key depends on, and a cache that is never half."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError, InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.host import build
from ansible_collections.kedr.lab.plugins.plugin_utils.host.build import ModuleSources

FACTS = {"release": "6.12", "machine": "x86_64", "build": "#1", "compiler": "gcc 14", "config_sum": "1-2", "cpus": 2}
BUILDER = build.Builder("host", "one", "ssh one 22", False)
COMMON = {"build.sh": b"b", "include/kedr/payload.h": b"h", "probes/always.c": b"p"}
CONTROLLER = ModuleSources("cp_controller", {"Kbuild": b"k", "main.c": b"1"}, ())
ONE = ModuleSources("one", {"Kbuild": b"k", "payload.c": b"1"}, ("cp_controller",))
TWO = ModuleSources("two", {"Kbuild": b"k", "payload.c": b"2"}, ("cp_controller",))
ALL = [CONTROLLER, ONE, TWO]


def changed(facts: dict | None = None, common: dict | None = None, modules: list | None = None,
            builder: build.Builder = BUILDER) -> set[str]:
    """Names whose key differs from the usual one."""
    usual = build.content_keys(FACTS, BUILDER, COMMON, ALL)
    now = build.content_keys(facts or FACTS, builder, common or COMMON, modules or ALL)
    return {name for name in usual if usual[name] != now[name]}


def test_a_changed_source_changes_its_own_key_only() -> None:
    assert changed(modules=[CONTROLLER, ONE, TWO._replace(files={"Kbuild": b"k", "payload.c": b"x"})]) == {"two"}


def test_a_changed_need_changes_everything_that_needs_it() -> None:
    other = CONTROLLER._replace(files={"Kbuild": b"k", "main.c": b"x"})
    assert changed(modules=[other, ONE, TWO]) == {"cp_controller", "one", "two"}


@pytest.mark.parametrize("name", build.MACHINE_FACTS)
def test_another_kernel_compiler_or_configuration_changes_every_key(name: str) -> None:
    assert changed(facts={**FACTS, name: "other"}) == {"cp_controller", "one", "two", build.PROBES}


@pytest.mark.parametrize("field", build.Builder._fields)
def test_what_another_builder_makes_has_other_keys(field: str) -> None:
    other = BUILDER._replace(**{field: "other"})
    assert changed(builder=other) == {"cp_controller", "one", "two", build.PROBES}


def test_a_fact_that_no_build_depends_on_changes_no_key() -> None:
    assert changed(facts={**FACTS, "cpus": 64}) == set()


def test_the_probes_depend_on_no_header_of_ours() -> None:
    assert build.PROBES not in changed(common={**COMMON, "include/kedr/payload.h": b"x"})
    assert build.PROBES in changed(common={**COMMON, "probes/always.c": b"x"})


def test_a_need_must_stand_before_the_module() -> None:
    with pytest.raises(InputError, match="one needs cp_controller"):
        build.content_keys(FACTS, BUILDER, COMMON, [ONE, CONTROLLER])


def test_only_sources_are_read_and_products_of_a_build_are_not(tmp_path: pathlib.Path) -> None:
    for name in ("Kbuild", "a.c", "a.o", "a.ko", "a.mod.c", ".a.o.cmd", "user/tool.c", "user/tool", "a.h", "x.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert sorted(build.read_sources(str(tmp_path))) == ["Kbuild", "a.c", "a.h", "user/tool.c"]


def test_a_missing_source_directory_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        build.read_sources(str(tmp_path / "nowhere"))


def stored(cache: pathlib.Path) -> build.Entry:
    return build.store(str(cache), "k1", "one", {"one.ko": b"ko", "user/tool": b"t"}, {"release": "6.12"})


def test_what_is_stored_is_found(tmp_path: pathlib.Path) -> None:
    entry = stored(tmp_path)
    found = build.look_up(str(tmp_path), "k1")
    assert found == entry
    assert pathlib.Path(found.file("one.ko")).read_bytes() == b"ko"
    assert os.access(found.file("user/tool"), os.X_OK)
    assert build.look_up(str(tmp_path), "k2") is None


def test_a_built_module_tells_who_made_it_and_any_other_file_does_not(tmp_path: pathlib.Path) -> None:
    made = {"by": BUILDER._asdict(), "at": "2026-01-31T12:00:00Z"}
    entry = build.store(str(tmp_path), "k1", "one", {"one.ko": b"ko"}, made)
    assert build.maker(entry.file("one.ko")) == BUILDER
    (tmp_path / "own.ko").write_bytes(b"ko")
    assert build.maker(str(tmp_path / "own.ko")) is None


@pytest.mark.parametrize("made", [{}, {"by": "me"}, {"by": {"kind": "root"}}, {"by": {**BUILDER._asdict(), "x": 1}}])
def test_a_manifest_that_does_not_say_who_made_the_module_is_not_believed(tmp_path: pathlib.Path, made: dict) -> None:
    entry = build.store(str(tmp_path), "k1", "one", {"one.ko": b"ko"}, made)
    with pytest.raises(ForeignError, match="does not say who built it"):
        build.maker(entry.file("one.ko"))


@pytest.mark.parametrize("damage", [
    lambda path: (path / "one.ko").write_bytes(b"kx"),
    lambda path: (path / "one.ko").unlink(),
    lambda path: (path / "manifest.json").write_text("{"),
    lambda path: (path / "manifest.json").write_text("[]"),
    lambda path: (path / "manifest.json").write_text('{"files": ["one.ko"]}'),
    lambda path: (path / "manifest.json").unlink(),
])
def test_a_damaged_entry_is_not_trusted_and_can_be_stored_anew(tmp_path: pathlib.Path, damage) -> None:
    damage(pathlib.Path(stored(tmp_path).path))
    assert build.look_up(str(tmp_path), "k1") is None
    stored(tmp_path)
    assert build.look_up(str(tmp_path), "k1") is not None


def test_an_entry_that_cannot_be_written_leaves_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(OSError, match="File exists"):
        build.store(str(tmp_path), "k1", "one", {"one.ko": b"ko", "one.ko/below": b"x"}, {})
    assert os.listdir(tmp_path / "modules") == []


def test_a_lock_keeps_others_out_and_goes_with_its_process(tmp_path: pathlib.Path) -> None:
    code = (
        "import sys, time\n"
        "from ansible_collections.kedr.lab.plugins.plugin_utils.host import build\n"
        "with build.locked(sys.argv[1], ['b', 'a', 'a']):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=env) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        waiter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=env)
        time.sleep(0.3)
        assert waiter.poll() is None
        holder.kill()
        assert waiter.stdout is not None
        assert waiter.stdout.readline() == b"held\n"
        waiter.kill()
        waiter.communicate()


def test_a_stage_holds_sources_symbols_of_what_is_built_and_the_probes_answer() -> None:
    files = build.stage(COMMON, [ONE], {"cp_controller": b"sym"}, b"#define X")
    assert set(files) == {*COMMON, "one/Kbuild", "one/payload.c", "symvers/cp_controller.symvers",
                          "generated/kedr/config.h"}
    assert "generated/kedr/config.h" not in build.stage(COMMON, [ONE], {}, None)


def test_the_files_of_a_module_are_taken_out_of_a_build() -> None:
    built = {"one/one.ko": b"ko", "symvers/one.symvers": b"s", "one/user/tool": b"t", "two/two.ko": b"x"}
    assert build.result_files("one", built) == {"one.ko": b"ko", "one.symvers": b"s", "user/tool": b"t"}
    with pytest.raises(KeyError, match=r"three/three\.ko"):
        build.result_files("three", built)


def test_the_lines_of_a_log_that_matter_are_shown() -> None:
    log = (
        "make: Entering directory '/x'\n  CC [M] a.o\n"
        "my_payload1.data:41:9: error: unknown type name 'siez_t'\n   41 |  siez_t\n"
        "my_payload1.data:41:9: error: unknown type name 'siez_t'\n"
        "a.c:1:1: fatal error: x.h: No such file or directory\n"
        'ERROR: modpost: "nope" [a.ko] undefined!\nmake[1]: *** [x] Error 1\n'
    )
    assert build.errors_of_log(log).splitlines() == [
        "my_payload1.data:41:9: error: unknown type name 'siez_t'",
        "a.c:1:1: fatal error: x.h: No such file or directory",
        'ERROR: modpost: "nope" [a.ko] undefined!',
    ]
    assert build.errors_of_log("one\ntwo\nthree\n", 2) == "two\nthree"
    assert build.errors_of_log("a: error: 1\nb: error: 2\nc: error: 3\n", 2).endswith("(1 more in the log)")
