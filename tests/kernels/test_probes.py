# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel sources on kernels that can no longer be had: compiled against headers of their shapes.

stubs/ holds small headers with the shapes of three times; kernel/build.sh runs in a tree made of them, asks
the probes and builds controller, payloads and target, as C of 1989 with GNU's extensions, every warning an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.functions import load_functions
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import Payload
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.render import render
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.resolve import resolve
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.data_texts import load_payload, parse_payload
from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parents[2]
KERNEL = ROOT / "kernel"
STUBS = Path(__file__).parent / "stubs"
PAYLOADS = ("my_payload1", "my_payload2", "my_payload3")
MODULES = ("cp_controller", *PAYLOADS, "cp_target")


class Old(NamedTuple):
    """A kernel of long ago: folders of headers (the first wins), bits, what the probes say yes to, exports."""

    shapes: tuple[str, ...]
    bits: int
    yes: frozenset[str]
    copies: tuple[str, ...]


def old(shapes: str, bits: int, yes: str, copies: str) -> Old:
    return Old(tuple(shapes.split()), bits, frozenset(yes.split()), tuple(copies.split()))


SINCE_3_2 = "always bin_attribute_file linux_atomic param_ops this_cpu_inc"
SINCE_4_19 = f"{SINCE_3_2} module_layout module_kallsyms rcu_tasks"
OLD = {
    "2.6.31-x86_64": old("2.6.31 common", 64, "always copy_size_int_direct", "copy_from_user copy_to_user"),
    "2.6.31-i386": old("2.6.31 common", 32, "always", "copy_from_user copy_to_user"),
    "3.2-x86_64": old("3.2 common", 64, f"{SINCE_3_2} copy_size_int", "_copy_from_user _copy_to_user"),
    "3.2-i386": old("3.2 common", 32, SINCE_3_2, "_copy_from_user copy_to_user"),
    "4.19-x86_64": old("4.19 3.2 common", 64, SINCE_4_19, "_copy_from_user _copy_to_user"),
    "4.19-i386": old("4.19 3.2 common", 32, SINCE_4_19, "_copy_from_user _copy_to_user"),
}


def make_tree(directory: Path, kernel: Old) -> Path:
    """A kernel tree as far as kernel/build.sh needs one."""
    tree = directory / "tree"
    tree.mkdir(parents=True)
    shapes = " ".join(kernel.shapes)
    (tree / "Makefile").write_text(f"SHAPES := {shapes}\nCONFIG := -DCONFIG_KALLSYMS\ninclude {STUBS}/kbuild.mk\n")
    (tree / ".config").write_text("CONFIG_X86_32=y\n" if kernel.bits == 32 else "")
    return tree


def write_payload(stage: Path, payload: Payload, kernel: Old) -> None:
    """Render a description as payload_render does for such a kernel."""
    names = {function.name for function in payload.functions}
    exports = {one for one in names if not one.startswith("copy_")} | set(kernel.copies)
    resolved = resolve(payload, load_functions(str(ROOT / "data" / "functions.yml")), exports, set(), "old")
    (stage / payload.module).mkdir()
    for file, text in render(resolved, str(KERNEL / "templates")).items():
        (stage / payload.module / file).write_text(text)


def make_stage(directory: Path, kernel: Old) -> Path:
    """A stage directory with everything that verify builds, but for the programs of the target."""
    stage = directory / "stage"
    stage.mkdir(parents=True)
    shutil.copy(KERNEL / "build.sh", stage)
    for part in ("include", "probes"):
        shutil.copytree(KERNEL / part, stage / part)
    shutil.copytree(KERNEL / "controller", stage / "cp_controller")
    shutil.copytree(KERNEL / "target", stage / "cp_target", ignore=shutil.ignore_patterns("user"))
    for name in PAYLOADS:
        write_payload(stage, load_payload(str(ROOT / "data" / f"{name}.data")), kernel)
    return stage


def build(stage: Path, *modules: str) -> list[list[str]]:
    """Run build.sh for modules of a stage; returns the words of its answers."""
    done = subprocess.run(
        ["sh", "build.sh", str(stage.parent / "tree"), *modules],
        cwd=stage, capture_output=True, text=True, check=False,
    )
    assert done.stderr == ""
    return [line.split() for line in done.stdout.splitlines()]


def logs(stage: Path) -> str:
    return "".join(path.read_text() for path in sorted(stage.glob("*.log")) if path.name != "probes.log")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, list[list[str]]]]:
    """Stage and answers of a build of everything for one of OLD; built once."""
    done: dict[str, tuple[Path, list[list[str]]]] = {}

    def get(name: str) -> tuple[Path, list[list[str]]]:
        if name not in done:
            directory = tmp_path_factory.mktemp(name)
            make_tree(directory, OLD[name])
            stage = make_stage(directory, OLD[name])
            done[name] = stage, build(stage, *MODULES)
        return done[name]

    return get


@pytest.mark.parametrize("name", OLD)
def test_the_probes_see_what_an_old_kernel_has_and_what_it_lacks(name: str, built: Callable) -> None:
    stage, answers = built(name)
    said = {words[1]: words[2] for words in answers if words[0] == "probe"}
    assert set(said) == {path.stem for path in (KERNEL / "probes").glob("*.c")}
    assert {probe for probe, answer in said.items() if answer == "yes"} == OLD[name].yes
    defined = set(re.findall(r"^#define KEDR_HAVE_(\w+) 1$", (stage / "generated/kedr/config.h").read_text(), re.M))
    assert defined == {probe.upper() for probe in OLD[name].yes}


@pytest.mark.parametrize("name", OLD)
def test_controller_payloads_and_target_compile_for_an_old_kernel(name: str, built: Callable) -> None:
    stage, answers = built(name)
    made = [words[1] for words in answers if words[0] == "built"]
    assert made == list(MODULES), logs(stage)
    machine = b"\x03\x00" if OLD[name].bits == 32 else b"\x3e\x00"  # e_machine: EM_386, EM_X86_64
    assert {(stage / module / f"{module}.ko").read_bytes()[18:20] for module in MODULES} == {machine}


@pytest.mark.parametrize("name", OLD)
def test_a_payload_counts_the_calls_of_each_function_in_a_parameter(name: str, built: Callable) -> None:
    stage, _answers = built(name)
    for module in PAYLOADS:
        events = re.findall(r"^TRACE_EVENT\((\w+), ", (stage / module / "trace_payload.h").read_text(), re.M)
        with (stage / module / f"{module}.ko").open("rb") as file:
            symbols = {one.name for one in ELFFile(file).get_section_by_name(".symtab").iter_symbols()}
        assert events
        assert {f"__param_{event}" for event in events} | {f"kedr_calls_{event}" for event in events} <= symbols


TEXTS = b"""module.name = texts
module.author = A
module.license = GPL
header = char *rename(const char *old, unsigned char *raw); void drop(char *name);
[group]
function.name = rename
returnType = char *
arg.type = const char *
arg.name = old
arg.type = unsigned char *
arg.name = raw
trace.param.type = const char *
trace.param.name = old
trace.param.type = const unsigned char *
trace.param.name = raw
trace.param.type = int
trace.param.name = length
trace.param.type = const char *
trace.param.name = returnValue
trace.formatString = "rename(%.16s, %s), %d: %s"
prologue = int length = old[0];
[group]
function.name = drop
returnsVoid = yes
record = before
arg.type = char *
arg.name = name
trace.param.type = const char *
trace.param.name = name
trace.formatString = "drop(%s)"
"""


@pytest.mark.parametrize("name", OLD)
def test_a_payload_with_texts_compiles_for_an_old_kernel(name: str, built: Callable, tmp_path: Path) -> None:
    make_tree(tmp_path, OLD[name])
    stage = make_stage(tmp_path, OLD[name])
    shutil.copytree(built(name)[0] / "generated", stage / "generated")
    write_payload(stage, parse_payload(TEXTS, "texts.data"), OLD[name])
    assert build(stage, "texts")[-1][:2] == ["built", "texts"], logs(stage)


def test_a_wrong_type_of_a_trace_parameter_is_blamed_on_its_line(built: Callable, tmp_path: Path) -> None:
    make_tree(tmp_path, OLD["4.19-x86_64"])
    stage = make_stage(tmp_path, OLD["4.19-x86_64"])
    shutil.copytree(built("4.19-x86_64")[0] / "generated", stage / "generated")
    wrong = TEXTS.replace(b"trace.param.type = int\n", b"trace.param.type = nonsense\n")
    write_payload(stage, parse_payload(wrong, "texts.data"), OLD["4.19-x86_64"])
    assert build(stage, "texts")[-1] == ["failed", "texts"]
    blamed = re.findall(r"^(\S+?):(\d+):\d+: error: ", logs(stage), re.M)
    assert blamed[0] == ("texts.data", "16")
    assert {file for file, _line in blamed} == {"texts.data"}


@pytest.mark.parametrize(
    ("has", "lacks", "wrong"),
    [
        ("3.2-x86_64", "2.6.31-x86_64", "cp_controller"),  # struct kernel_param_ops, a file for sysfs
        ("4.19-x86_64", "3.2-x86_64", "cp_controller"),  # core_layout
        ("2.6.31-x86_64", "3.2-x86_64", "cp_controller"),
        ("4.19-x86_64", "3.2-x86_64", "my_payload2"),  # the size of a copy
        ("4.19-x86_64", "2.6.31-x86_64", "my_payload2"),
    ],
)
def test_answers_of_another_kernel_do_not_compile(
    has: str, lacks: str, wrong: str, built: Callable, tmp_path: Path
) -> None:
    make_tree(tmp_path, OLD[lacks])
    stage = make_stage(tmp_path, OLD[lacks])
    shutil.copytree(built(has)[0] / "generated", stage / "generated")
    assert build(stage, wrong)[-1] == ["failed", wrong]


def test_a_kernel_that_keeps_no_symbols_of_modules_is_refused_with_the_reason(tmp_path: Path) -> None:
    kernel = OLD["4.19-x86_64"]
    makefile = make_tree(tmp_path, kernel) / "Makefile"
    makefile.write_text(makefile.read_text().replace("-DCONFIG_KALLSYMS", ""))
    stage = make_stage(tmp_path, kernel)
    assert build(stage, "cp_controller")[-1] == ["failed", "cp_controller"]
    assert "#error \"this kernel was built without CONFIG_KALLSYMS" in (stage / "cp_controller.log").read_text()


AS_IT_IS = "return vmalloc(8);"


@pytest.mark.parametrize(
    ("body", "compiles_for"),
    [
        (AS_IT_IS, {"2.6.31-x86_64", "3.2-x86_64", "4.19-x86_64"}),
        ("return vzalloc(8);", {"3.2-x86_64", "4.19-x86_64"}),
        ("static struct kernel_param_ops ops; return &ops;", {"3.2-x86_64", "4.19-x86_64"}),
        ("return THIS_MODULE->module_core;", {"2.6.31-x86_64", "3.2-x86_64"}),
        ("return THIS_MODULE->core_layout.base;", {"4.19-x86_64"}),
        ("return THIS_MODULE->mem[0].base;", set()),
        ('pr_warn("new\\n"); return NULL;', set()),
        ("for (int i = 0; i < 3; i++) ; return NULL;", set()),
        ("vfree(NULL); int late = 0; return late ? vmalloc(1) : NULL;", set()),
        ("int unused; return NULL;", set()),
    ],
)
def test_what_an_old_kernel_lacks_does_not_compile(body: str, compiles_for: set[str], tmp_path: Path) -> None:
    for name in ("2.6.31-x86_64", "3.2-x86_64", "4.19-x86_64"):
        directory = tmp_path / name
        make_tree(directory, OLD[name])
        stage = directory / "stage"
        (stage / "one").mkdir(parents=True)
        (stage / "generated/kedr").mkdir(parents=True)
        (stage / "generated/kedr/config.h").write_text("")
        shutil.copy(KERNEL / "build.sh", stage)
        shutil.copytree(KERNEL / "probes", stage / "probes")
        (stage / "one" / "Kbuild").write_text("obj-m := one.o\n")
        head = "#include <linux/module.h>\n#include <linux/vmalloc.h>\nvoid *one(void);\n"
        (stage / "one" / "one.c").write_text(f"{head}void *one(void) {{ {body} }}\n")
        wanted = "built" if name in compiles_for else "failed"
        assert build(stage, "one")[-1][:2] == [wanted, "one"], f"{name}: {logs(stage)}"


def test_no_message_uses_a_conversion_that_old_kernels_do_not_know() -> None:
    newer = re.compile(r"%[-0-9*.]*p[A-Za-z]")
    sources = [path for path in KERNEL.rglob("*.[chj]*") if path.suffix in {".c", ".h", ".j2"}]
    assert sources
    found = [f"{path.relative_to(KERNEL)}: {word}" for path in sources for word in newer.findall(path.read_text())]
    assert found == []
