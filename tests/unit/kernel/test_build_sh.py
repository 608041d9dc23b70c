# SPDX-License-Identifier: GPL-3.0-or-later
"""kernel/build.sh, run against a make-believe kernel tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KERNEL = ROOT / "kernel"

# Stands for kbuild: an object for each obj-m whose source holds no "#error",
# a module if all of them were made.
TREE_MAKEFILE = """\
names := $(shell sed -n 's/^obj-m *[:+]*= *//p' $(M)/Kbuild)
modules:
\t@for o in $(names); do s=$(M)/$${o%.o}.c; \\
\tif grep -s '#error' $$s; then echo "$$s:1:2: error: #error"; bad=1; \\
\telse : > $(M)/$$o; fi; done; \\
\techo extra $(KBUILD_EXTRA_SYMBOLS); \\
\t[ -z "$$bad" ] || exit 1; \\
\tfor o in $(names); do cp MODULE.ko $(M)/$${o%.o}.ko; echo "$${o%.o}" > $(M)/Module.symvers; done
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory that behaves like a configured kernel tree."""
    directory = tmp_path / "tree"
    directory.mkdir()
    (directory / "Makefile").write_text(TREE_MAKEFILE, encoding="utf-8")
    subprocess.run(["cc", "-x", "c", "-c", "-g", "-o", str(directory / "MODULE.ko"), "-"],
                   input="int answer;\n", text=True, check=True)
    return directory


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A stage directory with the probes and two modules, one and two."""
    directory = tmp_path / "stage"
    directory.mkdir()
    shutil.copy(KERNEL / "build.sh", directory)
    shutil.copytree(KERNEL / "probes", directory / "probes")
    for name in ("one", "two"):
        (directory / name).mkdir()
        (directory / name / "Kbuild").write_text(f"obj-m := {name}.o\n", encoding="utf-8")
        (directory / name / f"{name}.c").write_text("int answer;\n", encoding="utf-8")
    return directory


def build(stage: Path, *arguments: str, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    return subprocess.run([shell, "build.sh", *arguments], cwd=stage, capture_output=True, text=True,
                          check=False)


def words(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    return [line.split() for line in done.stdout.splitlines()]


def spoil(source: Path) -> None:
    source.write_text("#error\n", encoding="utf-8")


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_script_is_valid(shell: str) -> None:
    subprocess.run([shell, "-n", str(KERNEL / "build.sh")], check=True)


def test_the_script_passes_shellcheck() -> None:
    done = subprocess.run(["shellcheck", str(KERNEL / "build.sh")], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_probes_are_asked_before_the_first_module_and_become_macros(tree: Path, stage: Path) -> None:
    spoil(stage / "probes" / "module_layout.c")
    done = build(stage, str(tree), "one")
    assert done.returncode == 0
    lines = words(done)
    assert lines[0] == ["probe", "always", "yes"]
    assert ["probe", "module_layout", "no"] in lines
    assert ["probe", "module_mem", "yes"] in lines
    assert [line[:2] for line in lines[-2:]] == [["begin", "one"], ["built", "one"]]
    config = (stage / "generated" / "kedr" / "config.h").read_text(encoding="utf-8")
    assert "#define KEDR_HAVE_MODULE_MEM 1\n" in config
    assert "MODULE_LAYOUT" not in config


def test_probes_are_not_asked_again_when_their_answers_are_there(tree: Path, stage: Path) -> None:
    (stage / "generated" / "kedr").mkdir(parents=True)
    (stage / "generated" / "kedr" / "config.h").write_text("/* known */\n", encoding="utf-8")
    done = build(stage, str(tree), "one")
    assert [line[0] for line in words(done)] == ["begin", "built"]


def test_a_tree_that_compiles_nothing_is_called_broken(tree: Path, stage: Path) -> None:
    spoil(stage / "probes" / "always.c")
    done = build(stage, str(tree), "one")
    assert (done.returncode, done.stdout) == (1, "broken-tree\n")
    assert "always.c" in (stage / "probes.log").read_text(encoding="utf-8")


def test_a_later_module_sees_the_symbols_of_an_earlier_one(tree: Path, stage: Path) -> None:
    assert build(stage, str(tree), "one", "two").returncode == 0
    assert (stage / "symvers" / "one.symvers").read_text(encoding="utf-8") == "one\n"
    assert "/symvers/one.symvers" in (stage / "two.log").read_text(encoding="utf-8")


def test_a_failed_module_is_named_and_the_next_one_is_still_built(tree: Path, stage: Path) -> None:
    spoil(stage / "one" / "one.c")
    done = build(stage, str(tree), "one", "two")
    assert done.returncode == 1
    assert [line[:2] for line in words(done)][-4:] == [
        ["begin", "one"], ["failed", "one"], ["begin", "two"], ["built", "two"]]
    assert "one.c:1:2: error" in (stage / "one.log").read_text(encoding="utf-8")


def test_a_module_left_by_an_earlier_run_does_not_pass_for_a_new_one(tree: Path, stage: Path) -> None:
    assert build(stage, str(tree), "one").returncode == 0
    spoil(stage / "one" / "one.c")
    assert build(stage, str(tree), "one").returncode == 1
    assert not (stage / "one" / "one.ko").exists()


def test_debug_sections_are_stripped(tree: Path, stage: Path) -> None:
    assert build(stage, str(tree), "one").returncode == 0
    assert b".debug_info" in (tree / "MODULE.ko").read_bytes()
    assert b".debug_info" not in (stage / "one" / "one.ko").read_bytes()


def test_programs_are_compiled_beside_their_source(tree: Path, stage: Path) -> None:
    (stage / "one" / "user").mkdir()
    (stage / "one" / "user" / "hello.c").write_text("int main(void) { return 7; }\n", encoding="utf-8")
    assert build(stage, str(tree), "one").returncode == 0
    assert subprocess.run([str(stage / "one" / "user" / "hello")], check=False).returncode == 7


def test_a_warning_in_a_program_fails_its_module(tree: Path, stage: Path) -> None:
    (stage / "one" / "user").mkdir()
    source = stage / "one" / "user" / "hello.c"
    source.write_text("int main(void) { int unused; return 0; }\n", encoding="utf-8")
    assert build(stage, str(tree), "one").returncode == 1
    assert "hello.c" in (stage / "one.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments", [[], ["TREE"], ["/nonexistent", "one"], ["TREE", "../one"], ["TREE", ""]])
def test_wrong_usage_is_told_on_stderr(tree: Path, stage: Path, arguments: list[str]) -> None:
    done = build(stage, *(argument.replace("TREE", str(tree)) for argument in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("build.sh: ")


def test_the_script_runs_in_another_shell(tree: Path, stage: Path) -> None:
    assert build(stage, str(tree), "one", "two", shell="bash").returncode == 0


@pytest.mark.parametrize(("built_with", "used"), [("90500", "CC is gcc-9"), ("130200", "CC is"), ("0", "CC is")])
def test_a_kernel_made_with_another_gcc_is_built_for_with_that_one(
    tree: Path, stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built_with: str, used: str
) -> None:
    (tree / "include" / "config").mkdir(parents=True)
    (tree / "include" / "config" / "auto.conf").write_text(f"CONFIG_GCC_VERSION={built_with}\n")
    makefile = TREE_MAKEFILE.replace("\techo extra", "\techo CC is $(filter-out cc,$(CC)); \\\n\techo extra")
    (tree / "Makefile").write_text(makefile)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, version in (("gcc", "13.2.0"), ("gcc-9", "9.5.0"), ("gcc-13", "13.2.0")):
        (programs / name).write_text(f"#!/bin/sh\necho {version}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    build(stage, str(tree), "one")
    assert used in [line.strip() for line in (stage / "one.log").read_text().splitlines()]
