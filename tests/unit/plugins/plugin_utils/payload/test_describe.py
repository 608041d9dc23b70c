# SPDX-License-Identifier: GPL-3.0-or-later
"""kedr new: descriptions out of prototypes, which pass the checks, and what it refuses with which reason."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.btf import Btf
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.cdecl import parse_type
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.headers import Export, Tree
from ansible_collections.kedr.lab.plugins.plugin_utils.payload import draft
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.describe import (
    Argument,
    Described,
    Knowledge,
    RefusedError,
    describe,
)
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.draft import Preamble
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import Candidate, Extra
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.together import read_together
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.btf_writer import VARIADIC, Writer, elf
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.data_texts import parse_payload

ROOT = Path(paths.ROOT)
COMMAND = [sys.executable, str(ROOT / "bin" / "kedr"), "new"]


class Made(Writer):
    """A kernel with a few functions."""

    def __init__(self) -> None:
        super().__init__()
        self.ulong = self.integer("long unsigned int", 8)
        self.number = self.integer("int", 4)
        self.size = self.add("TYPEDEF", "size_t", self.ulong)
        self.gfp = self.add("TYPEDEF", "gfp_t", self.integer("unsigned int", 4))
        self.pointer = self.add("PTR")
        self.text = self.add("PTR", ref=self.add("CONST", ref=self.integer("char", 1)))
        self.pair = self.structure("pair", ("a", self.number))
        self.function("vmalloc_noprof", self.pointer, ("size", self.ulong))
        self.function("vfree", 0, ("addr", self.add("PTR", ref=self.add("CONST"))))
        self.function("printk", self.number, ("fmt", self.text), VARIADIC)
        self.function("by_value", 0, ("p", self.pair))
        self.function("gives_value", self.pair)
        callback = self.add("PTR", ref=self.prototype(self.number, ("", self.pointer)))
        self.function("each", self.number, ("data", self.pointer), ("fn", callback))


def knowledge(writer: Writer, **more: object) -> Knowledge:
    btf = Btf(writer.bytes())

    def find(symbol: str) -> tuple[Btf, int] | None:
        return (btf, btf.functions[symbol][0]) if symbol in btf.functions else None

    return Knowledge(find, **more)  # type: ignore[arg-type]


def one(parameters: Callable[[Made], list[tuple[str, int]]], returns: str = "") -> Described:
    made = Made()
    made.function("f", getattr(made, returns) if returns else 0, *parameters(made))
    return describe("f", knowledge(made))


def refusal(name: str, **more: object) -> str:
    with pytest.raises(RefusedError) as caught:
        describe(name, knowledge(Made(), **more))
    return f"{caught.value.kind}: {caught.value}"


# one function


def test_arguments_and_result_become_trace_parameters_with_their_conversions() -> None:
    found = one(lambda m: [("size", m.size), ("flags", m.gfp), ("s", m.text)], "pointer")
    assert found.arguments == (
        Argument("size_t", "size", "size_t", "%zu"),
        Argument("gfp_t", "flags", "gfp_t", "%x"),
        Argument("const char *", "s", "const char *", "%p"),  # not %s: it may be no text, or a user's
    )
    assert found.result == Argument("void *", "returnValue", "void *", "%p")


@pytest.mark.parametrize(
    ("build", "ctype", "recorded", "shown"),
    [
        (lambda m: m.integer("long long int", 8), "long long", "long long", "%lld"),
        (lambda m: m.add("TYPEDEF", "u64", m.integer("long long unsigned int", 8)), "u64", "u64", "%llu"),
        (lambda m: m.add("TYPEDEF", "my_id_t", m.ulong), "my_id_t", "my_id_t", "%lu"),
        (lambda m: m.add("CONST", ref=m.number), "const int", "int", "%d"),
        (lambda m: m.integer("_Bool", 1), "_Bool", "_Bool", "%d"),
        (lambda m: m.enum("e", 1), "enum e", "enum e", "%d"),
        (lambda m: m.add("TYPEDEF", "u128", m.integer("__int128 unsigned", 16)), "u128", "", ""),
        (lambda m: m.add("PTR", ref=m.structure("__va_list_tag")), "va_list", "", ""),
        (lambda m: m.add("TYPEDEF", "cb_t", m.add("PTR", ref=m.prototype(0))), "cb_t", "const void *", "%p"),
    ],
)
def test_each_type_is_recorded_as_it_can_be(
    build: Callable[[Made], int], ctype: str, recorded: str, shown: str
) -> None:
    assert one(lambda m: [("x", build(m))]).arguments == (Argument(ctype, "x", recorded, shown),)


def test_a_type_that_needs_brackets_gets_a_typedef() -> None:
    found = describe("each", knowledge(Made()))
    assert found.arguments[1] == Argument("each_fn_t", "fn", "const void *", "%p")
    assert found.typedefs == ("typedef int (*each_fn_t)(void *);",)


def test_names_that_c_or_the_generated_code_needs_are_changed() -> None:
    names = ["", "current", "returnValue", "ent", "f", "kedr_x", "same", "same", "common_pid"]
    found = one(lambda m: [(name, m.number) for name in names])
    assert [argument.name for argument in found.arguments] == [
        "arg1", "current_", "returnValue_", "ent_", "f_", "arg6", "same", "same_", "arg9",
    ]  # fmt: skip


def test_the_symbol_that_stands_for_a_function_gives_the_prototype() -> None:
    found = describe("vmalloc", knowledge(Made(), candidates={"vmalloc": [Candidate("vmalloc_noprof")]}))
    assert (found.name, found.symbol, found.arguments[0].name) == ("vmalloc", "vmalloc_noprof", "size")


@pytest.mark.parametrize(("name", "symbol"), [("__get_user_4", "__get_user_4"), ("load", "__asan_load8")])
def test_a_function_that_c_cannot_replace_is_refused_by_each_of_its_names(name: str, symbol: str) -> None:
    made = Made()
    made.function(symbol, made.number)
    with pytest.raises(RefusedError, match=f"{symbol} cannot be replaced: ") as caught:
        describe(name, knowledge(made, candidates={"load": [Candidate(symbol)]}))
    assert caught.value.kind == "convention"


def group(name: str, returns: str = "") -> list[str]:
    """The lines of a description from function.name to the first blank one."""
    made = Made()
    made.function(name, getattr(made, returns) if returns else 0)
    text = draft.write(Preamble("m", "A", "x"), [describe(name, knowledge(made))], {name: "linux/x.h"}, {})
    return text.split("[group]\n")[1].split("\n\n")[0].split("\ntrace.")[0].split("\n")


@pytest.mark.parametrize(
    "name",
    "kfree kvfree vfree kmem_cache_free up up_read mutex_unlock downgrade_write complete complete_all put_device dput "
    "kobject_put free_netdev unregister_netdev rtnl_link_unregister consume_skb kfree_skb_reason kthread_exit".split(),
)
def test_what_gives_something_away_or_does_not_return_is_recorded_before_the_call(name: str) -> None:
    assert group(name) == [f"function.name = {name}", "returnsVoid = yes", "record = before"]
    assert "record = before" in draft.skeleton(Preamble("m", "A", "x"), [name])


@pytest.mark.parametrize("name", "kmalloc down update mutex_lock completion_done upgrade input".split())
def test_everything_else_is_recorded_after_the_call(name: str) -> None:
    assert group(name) == [f"function.name = {name}", "returnsVoid = yes"]
    assert "record" not in draft.skeleton(Preamble("m", "A", "x"), [name]).split("[group]")[1].split("# What")[0]


def test_a_result_is_kept_and_the_other_moment_is_shown() -> None:
    hint = "# If this gives something away, remove returnValue below and add: record = before"
    assert group("unregister_it", "number") == ["function.name = unregister_it", "returnType = int", hint]


def test_the_candidate_with_the_arguments_of_this_kernel_is_taken() -> None:
    made = Made()
    buckets = made.add("TYPEDEF", "kmem_buckets", made.structure(""))
    parameters = [("size", made.size), ("b", made.add("PTR", ref=buckets)), ("flags", made.gfp)]
    made.function("alloc_noprof", made.pointer, *parameters)
    candidates = [
        Candidate("alloc_noprof", arguments=(1, Extra(parse_type("kmem_token_t"), "token"), 2)),
        Candidate("alloc_noprof", arguments=(2, Extra(parse_type("kmem_buckets *"), "buckets"), 1)),
        Candidate("alloc_noprof"),
    ]
    found = describe("alloc", knowledge(made, candidates={"alloc": candidates}))
    assert [argument.name for argument in found.arguments] == ["flags", "size"]
    with pytest.raises(RefusedError, match=r"functions\.yml does not count on the arguments that alloc_noprof has"):
        describe("alloc", knowledge(made, candidates={"alloc": candidates[:1]}))


def test_what_cannot_be_described_is_refused_with_the_reason() -> None:
    assert refusal("printk") == "variadic: it is variadic: its arguments cannot be passed on"
    assert refusal("by_value") == "by value: p (struct pair) is a structure by value"
    assert refusal("gives_value") == "by value: its result (struct pair) is a structure by value"
    assert refusal("none") == "unknown: the BTF has no function none"
    assert refusal("a b").startswith("name: is not a name of a function; a C identifier is")


def test_a_misspelt_function_has_a_suggestion() -> None:
    assert refusal("vfre", names=["vmalloc", "vfree"]).endswith("no function vfre, did you mean 'vfree'?")


def test_what_the_kernel_does_not_export_is_refused() -> None:
    exports = {"vmalloc_noprof": Export("vmlinux", ""), "jiffies": Export("vmlinux", "")}
    assert refusal("vfree", exports=exports).endswith("does not export vfree; modules cannot call it")
    assert "it is a variable or assembly" in refusal("jiffies", exports=exports)


def test_a_type_without_a_name_is_refused() -> None:
    with pytest.raises(RefusedError, match="its prototype has a type without a name, which C cannot name"):
        one(lambda m: [("x", m.add("PTR", ref=m.structure("")))])


# the text


def test_what_is_written_passes_the_checks_and_says_the_same() -> None:
    made = Made()
    kernel = knowledge(made)
    functions = [describe(name, kernel) for name in ("vmalloc_noprof", "vfree", "each")]
    module = Preamble("my_pay", "Some", "About.")
    headers = {"vmalloc_noprof": "linux/vmalloc.h", "vfree": "linux/vmalloc.h"}
    text = draft.write(module, functions, headers, {"printk": "it is variadic"})
    payload = parse_payload(text.encode(), "a.data")
    assert [function.name for function in payload.functions] == ["vmalloc_noprof", "vfree", "each"]
    assert payload.headers[0].text == "#include <linux/vmalloc.h>\ntypedef int (*each_fn_t)(void *);"
    assert payload.functions[0].own.format == "vmalloc_noprof(%lu), result: %p"
    assert "# Not described: printk: it is variadic\n" in text
    assert "which header declares each: add\n# header = #include <linux/...>\n" in text


def test_a_namespace_is_imported_in_a_way_that_every_kernel_knows() -> None:
    kernel = knowledge(Made(), exports={"vfree": Export("vmlinux", "DMA_BUF")})
    text = draft.write(Preamble("m", "J", "A"), [describe("vfree", kernel)], {}, {})
    assert 'MODULE_INFO(import_ns, "DMA_BUF");' in parse_payload(text.encode(), "a").headers[0].text


def test_no_more_is_recorded_than_a_record_can_hold() -> None:
    found = one(lambda m: [(f"a{number}", m.number) for number in range(15)], "number")
    payload = parse_payload(draft.write(Preamble("m", "J", "A"), [found], {}, {}).encode(), "a.data")
    (function,) = payload.functions
    assert len(function.arguments) == 15
    assert [param.name for param in function.own.params] == [*(f"a{number}" for number in range(11)), "returnValue"]
    assert function.own.format.endswith(", ...), result: %d")


def test_a_skeleton_passes_the_checks() -> None:
    text = draft.skeleton(Preamble("m", "J", "A"), ["vmalloc", "vzalloc"])
    assert [function.name for function in parse_payload(text.encode(), "a").functions] == ["vmalloc", "vzalloc"]
    filled = text.replace("returnsVoid = yes\n", "").replace('trace.formatString = "vmalloc()"\n', "").replace(
        'trace.formatString = "vzalloc()"\n', ""
    )
    names = ("header", "#", "<<", "returnType", "arg", "trace")
    filled = "\n".join(
        line[2:] if line.startswith("# ") and line[2:].startswith(names) else line for line in filled.split("\n")
    )
    (first, second) = parse_payload(filled.encode(), "a.data").functions
    assert first.own.format == "vmalloc(%zu), result: %p"
    assert len(second.own.params) == 2


# the build tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A build tree that is split as distributions do."""
    common, own = tmp_path / "usr" / "headers-common", tmp_path / "usr" / "headers-own"
    for folder in (common / "include" / "linux", common / "include" / "net", common / "arch/x86/include/asm", own):
        folder.mkdir(parents=True)
    (own / "include" / "generated").mkdir(parents=True)
    (own / "Makefile").write_text("include /usr/src/headers-common/Makefile\n")
    symvers = ["vmalloc_noprof", "vfree", "by_value", "printk", "jiffies"]
    (own / "Module.symvers").write_text(
        "".join(f"0x00000000\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n" for name in symvers)
        + "0x00000000\town_function\tdrivers/own\tEXPORT_SYMBOL_GPL\tOWN_SPACE\n"
    )
    (common / "include/linux/vmalloc.h").write_text(
        "/* void vfree(int) is told of here */\n#define vmalloc(...) alloc_hooks(vmalloc_noprof(__VA_ARGS__))\n"
        "extern void *vmalloc_noprof(unsigned long size) __alloc_size(1);\n"
        "extern void\nvfree(const void *addr);\nstatic inline void g(void *p) { vfree(p); }\n"
    )
    (common / "include/net/other.h").write_text("void vfree(const void *addr);\nint returned(void);\n")
    (common / "include/linux/inline.h").write_text(
        "static inline int inlined(int x)\n{\n\treturn called(x);\n}\nint y = called(1);\n"
    )
    (common / "arch/x86/include/asm/io.h").write_text("void __printf(1, 2) on_io(int x, int (*fn)(void));\n")
    (common / "arch/x86/include/asm/only.h").write_text("void only(void);\n")
    (common / "include/linux/io.h").write_text("#include <asm/io.h>\n")
    (common / "include/linux/only.h").write_text("\n")
    return own


def test_the_header_that_declares_a_function_is_found(tree: Path) -> None:
    names = ["vmalloc_noprof", "vfree", "inlined", "called", "on_io", "only", "none", "returned"]
    assert {name: one.header for name, one in Tree(str(tree)).declared(names).items()} == {
        "vmalloc_noprof": "linux/vmalloc.h",
        "vfree": "linux/vmalloc.h",
        "on_io": "linux/io.h",
        "only": "asm/only.h",
        "returned": "net/other.h",
    }


def test_a_call_is_no_declaration(tree: Path) -> None:
    header = tree.parent / "headers-common/include/linux/a.h"
    for before in ("if (x)", "while (x)", "for (;;)", "do", "switch (x)", "else"):
        header.write_text(f"static inline void g(void)\n{{\n\t{before}\n\t\tcalled(x);\n}}\n")
        assert Tree(str(tree)).declared(["called"]) == {}, before


def test_a_declaration_tells_whether_there_are_arguments_or_a_result(tree: Path) -> None:
    (tree.parent / "headers-common/include/linux/a.h").write_text(
        "extern void a(void);\nvoid b();\nvoid *c(void);\nint d(void);\nvoid __must_hold(x) e(int);\n"
    )
    found = Tree(str(tree)).declared(["a", "b", "c", "d", "e"])
    assert {name: one.nothing for name, one in found.items()} == {
        "a": True, "b": True, "c": False, "d": False, "e": False,
    }  # fmt: skip


def test_exports_are_read_with_their_module_and_namespace(tree: Path) -> None:
    exports = Tree(str(tree)).exports()
    assert exports["vfree"] == Export("vmlinux", "")
    assert exports["own_function"] == Export("drivers/own", "OWN_SPACE")


def test_a_directory_without_headers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignError, match="is not a kernel's build tree"):
        Tree(str(tmp_path))


# the command


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    made = Made()
    (tmp_path / "vmlinux").write_bytes(made.bytes())
    module = Writer(base=made)
    module.function("own_function", module.structure("own") and 0, ("p", module.add("PTR", ref=module.next - 1)))
    (tmp_path / "modules" / "kernel" / "drivers").mkdir(parents=True)
    (tmp_path / "modules" / "kernel" / "drivers" / "own.ko").write_bytes(elf({".BTF": module.bytes()}))
    return tmp_path / "vmlinux"


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_a_description_is_written_and_what_is_refused_is_told(kernel: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.data"
    done = run("vmalloc", "printk", "vfree", "vmalloc", "--vmlinux", kernel, "--author", "Some", "-o", out)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "kedr new: printk: it is variadic: its arguments cannot be passed on\n"
    (payload,), problems, _readable = read_together([str(out)])
    assert problems == []
    assert (payload.module, payload.author) == ("my_vmalloc", "Some")
    assert [function.name for function in payload.functions] == ["vmalloc", "vfree"]
    assert sorted(os.listdir(tmp_path)) == ["a.data", "modules", "vmlinux"]


def test_headers_and_modules_of_a_build_tree_are_used(kernel: Path, tree: Path) -> None:
    done = run("vfree", "own_function", "--vmlinux", kernel, "--headers", tree, "--btf", kernel.parent / "modules")
    assert done.returncode == 0, done.stderr
    assert "#include <linux/vmalloc.h>\nMODULE_INFO(import_ns, \"OWN_SPACE\");\n<<\n" in done.stdout
    assert "arg.type = struct own *\narg.name = p\n" in done.stdout


def test_assembly_which_the_btf_does_not_know_is_refused_by_its_declaration(tmp_path: Path, tree: Path) -> None:
    made = Made()
    made.function("in_assembly", 0)
    made.function("vfree_atomic", 0)
    (tmp_path / "btf").write_bytes(made.bytes())
    with (tree / "Module.symvers").open("a") as symvers:
        symvers.writelines(f"0x0\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n" for name in ("in_assembly", "vfree_atomic"))
    (tree.parent / "headers-common/include/linux/string.h").write_text(
        "extern void *in_assembly(void *, const void *, size_t);\nvoid vfree_atomic(void);\n"
    )
    command = ("in_assembly", "vfree_atomic", "--vmlinux", tmp_path / "btf")
    done = run(*command, "--headers", tree)
    reason = "in_assembly: it is assembly: the BTF gives it no arguments and no result, <linux/string.h> does\n"
    assert (done.returncode, done.stderr) == (0, f"kedr new: {reason}")
    assert f"# Not described: {reason}" in done.stdout
    assert done.stdout.count("[group]") == 1
    assert "of assembly too" not in done.stdout
    done = run(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("# The BTF says so of assembly too: compare") == 2
    done = run("--survey", "--vmlinux", tmp_path / "btf", "--headers", tree)
    assert ["assembly", "1", "0", "1"] in [line.split() for line in done.stdout.splitlines()]


def test_one_module_file_is_enough_for_its_functions(kernel: Path) -> None:
    module = kernel.parent / "modules/kernel/drivers/own.ko"
    done = run("own_function", "--vmlinux", kernel, "--btf", module)
    assert done.returncode == 0
    assert "function.name = own_function\nreturnsVoid = yes\n" in done.stdout
    done = run("own_function", "--btf", module)
    assert done.returncode == 2
    assert "needs that of its kernel; give it with --vmlinux" in done.stderr


def test_two_names_of_one_symbol_are_told(kernel: Path) -> None:
    done = run("vmalloc", "vmalloc_noprof", "--vmlinux", kernel)
    assert done.returncode == 0
    assert "vmalloc_noprof: is vmalloc_noprof as vmalloc is; a symbol is replaced once" in done.stderr


def test_nothing_is_written_when_no_function_can_be_described(kernel: Path, tmp_path: Path) -> None:
    done = run("printk", "by_value", "--vmlinux", kernel, "-o", tmp_path / "a.data")
    assert done.returncode == 1
    assert "by_value: p (struct pair) is a structure by value\n" in done.stderr
    assert done.stderr.endswith("error: none of the functions can be described; nothing was written\n")
    assert not (tmp_path / "a.data").exists()


def test_without_btf_a_skeleton_is_written(tmp_path: Path) -> None:
    done = run("vmalloc", "9", "--module", "mine", "-o", "a.data", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == "kedr new: 9: is not a name of a function\n"
    (payload,), problems, _readable = read_together([str(tmp_path / "a.data")])
    assert (problems, payload.module) == ([], "mine")


def test_a_file_that_is_there_is_not_replaced_unless_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "a.data"
    out.write_text("mine")
    done = run("vmalloc", "-o", out)
    assert done.returncode == 2
    assert f"{out}: is there already; give another name, or --force to replace it" in done.stderr
    assert out.read_text() == "mine"
    assert run("vmalloc", "--force", "-o", out).returncode == 0
    assert "vmalloc" in out.read_text()


def test_a_good_file_outlives_a_full_disk(tmp_path: Path) -> None:
    out = tmp_path / "a.data"
    out.write_text("mine")
    limited = 'ulimit -f 0; trap "" XFSZ; exec "$@"'  # a file may hold nothing: the nearest to a full disk
    command = ["sh", "-c", limited, "sh", *COMMAND, "vmalloc", "--force", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{out}: cannot be written: File too large" in done.stderr
    assert out.read_text() == "mine"
    assert os.listdir(tmp_path) == ["a.data"]


def test_a_device_that_is_full_is_told() -> None:
    done = run("vmalloc", "-o", "/dev/full")
    assert (done.returncode, done.stderr) == (
        2, "kedr new: error: /dev/full: cannot be written: No space left on device\n",
    )  # fmt: skip
    with open("/dev/full", "wb") as full:
        out = subprocess.run([*COMMAND, "vmalloc"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (out.returncode, out.stderr) == (
        2, "kedr new: error: cannot write the output: No space left on device\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name functions, or give --survey and none"),
        (["f", "--survey"], "name functions, or give --survey and none"),
        (["--survey"], "--survey needs --vmlinux and --headers"),
        (["f", "--module", "a b"], "module.name 'a b' is not a valid name of a module"),
        (["f", "--author", "a\nb"], "--author must be one line of printable characters"),
        (["f", "--author", "a\\"], "does not end with a backslash"),
        (["f", "--vmlinux", "none"], "none: cannot be read: No such file"),
        (["f", "--vmlinux", "."], ".: cannot be read: Is a directory"),
        (["f", "--vmlinux", "/dev/null"], "/dev/null: it is neither BTF nor an ELF file"),
        (["f", "--vmlinux", "vmlinux", "--btf", "."], "a directory of modules needs --headers"),
        (["f", "--vmlinux", "vmlinux", "--headers", "."], "is not a kernel's build tree"),
        (["f", "--vmlinux", "vmlinux", "--functions", "none"], "none: cannot be read"),
        (["f", "--headers", "."], "--headers and --functions need the kernel's types"),
        (["f", "--functions", "none"], "give them with --vmlinux"),
        (["f", "-o", "none/a.data"], "a.data: cannot be written: No such file"),
    ],
)
def test_wrong_use_is_told_in_words(kernel: Path, arguments: list[str], words: str) -> None:
    done = run(*arguments, cwd=kernel.parent)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_survey_counts_all_exports(kernel: Path, tree: Path) -> None:
    done = run("--survey", "--vmlinux", kernel, "--headers", tree, "--btf", kernel.parent / "modules")
    assert done.returncode == 0
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["kernel", "modules", "all"],
        ["describable", "2", "1", "3"],
        ["structure", "by", "value", "1", "0", "1"],
        ["variadic", "1", "0", "1"],
        ["no", "function", "in", "the", "BTF", "1", "0", "1"],
        ["exported", "symbols", "5", "1", "6"],
    ]


def test_a_skeleton_needs_nothing_but_python_and_the_rest_says_what_it_needs(tmp_path: Path) -> None:
    done = subprocess.run([COMMAND[0], "-IS", *COMMAND[1:], "vmalloc"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "raw").write_bytes(Made().bytes())
    (tmp_path / "elf").write_bytes(elf({".BTF": Made().bytes()}))
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'plugins')!r}); from plugin_utils.cli.main import main; "
    for name, package in (("raw", "yaml"), ("elf", "elftools")):
        asked = code + f"sys.exit(main(['new', 'vmalloc', '--vmlinux', {str(tmp_path / name)!r}]))"
        done = subprocess.run([COMMAND[0], "-IS", "-c", asked], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert f"python3 has no module '{package}'; install what requirements/common.txt names" in done.stderr
        assert done.stderr.count("\n") == 1
