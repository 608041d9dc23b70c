# SPDX-License-Identifier: GPL-3.0-or-later
"""Sites are counted from relocations, and the controller's report is compared with them."""

from __future__ import annotations

import io
import pathlib
import subprocess

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import patched, relocations, sites
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.patched import parse_report
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.place import Key, Place
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.relocations import expected_sites

SOURCE = r"""
extern void kfree(const void *);
extern void *__kmalloc(unsigned long, unsigned int);
extern void up(void *);
extern int printk(const char *, ...);
void *kept;
int use(void) { kept = __kmalloc(5, 6); kfree(kept); kfree(0); return 1; }
void tail(void *p) { printk("x"); kfree(p); }
__attribute__((section(".init.text"))) int init_module(void) { kept = __kmalloc(1, 2); return !kept; }
__attribute__((section(".exit.text"))) void cleanup_module(void) { kfree(kept); }
void (*table[])(const void *) = { kfree, kfree };
void (*address(void))(const void *) { return kfree; }
__asm__(".pushsection .altinstr_replacement,\"ax\"\n\tcall kfree\n\tjmp kfree\n\t.popsection\n"
        ".pushsection .text\n\tje up\n\t.popsection\n"
        ".pushsection .debug_thing\n\t.long kfree\n\t.popsection\n");
"""


def build(directory: pathlib.Path, source: str, *flags: str) -> bytes:
    path = directory / "module.c"
    path.write_text(source)
    command = ["gcc", "-c", "-O2", "-fno-pic", "-fno-asynchronous-unwind-tables", "-fcf-protection=none", *flags]
    subprocess.run([*command, "-o", directory / "module.o", path], check=True)
    return (directory / "module.o").read_bytes()


def count(data: bytes, *symbols: str) -> relocations.Expected:
    return expected_sites(io.BytesIO(data), symbols)


@pytest.mark.parametrize(("flags", "calls"), [(("-m64", "-mcmodel=kernel"), 2), (("-m32",), 3)], ids=["x86_64", "i386"])
def test_calls_and_tail_jumps_are_counted_by_area(tmp_path: pathlib.Path, flags: tuple[str, ...], calls: int) -> None:
    found = count(build(tmp_path, SOURCE, *flags), "kfree", "__kmalloc", "up")
    # use: two calls; tail: a jump; cleanup_module: a jump, or a call where arguments are on the stack.
    assert found.sites == {
        Key("kfree", "call", "core"): calls,
        Key("kfree", "jmp", "core"): 4 - calls,
        Key("__kmalloc", "call", "core"): 1,
        Key("__kmalloc", "call", "init"): 1,
        Key("up", "jcc", "core"): 1,
    }
    assert found.total("kfree") == 4
    # Two in the table, one in the code of address().
    assert found.pointers == {"kfree": 3}
    assert not found.others
    assert found.text["init"] > 0


LAYOUT = r"""
__asm__(".section .init.text,\"ax\"\n\t.balign 16\n\tcall up\n"
        ".section .text.late,\"ax\"\n\t.balign 64\n\tcall up\n\tje up\n"
        ".section .init.rest,\"ax\"\n\t.balign 8\n\tnop\n\tjmp up\n"
        ".section .text.last,\"ax\"\n\tjmp up\n"
        ".text\n\tnop\n\tcall up\n");
"""


@pytest.mark.parametrize("flags", [("-m64", "-mcmodel=kernel"), ("-m32",)], ids=["x86_64", "i386"])
def test_a_place_is_where_the_kernel_puts_it(tmp_path: pathlib.Path, flags: tuple[str, ...]) -> None:
    """Sections of an area follow each other as in the file, each aligned; the compiler's .text comes first."""
    found = count(build(tmp_path, LAYOUT, *flags), "up")
    assert sorted(found.places) == [
        Place("up", "call", "core", 1),
        Place("up", "call", "core", 64),
        Place("up", "call", "init", 0),
        Place("up", "jcc", "core", 69),
        Place("up", "jmp", "core", 75),
        Place("up", "jmp", "init", 9),
    ]


UNREACHED = r"""
extern void kfree(const void *);
extern void up(void *);
int use(void);
int use(void) { kfree(0); return 1; }
__asm__(".text\n\tcall __SCT__might_sleep\n\tjmp __SCT__might_sleep\n"
        "\tcall __x86_indirect_thunk_rax\n\tjmp __x86_indirect_thunk_r11\n\tcall __x86_return_thunk\n"
        "\txbegin up\n"
        ".section .static_call_sites,\"a\"\n\t.long __SCT__might_sleep - .\n"
        ".section .discard.reachable,\"a\"\n\t.long up - .\n"
        ".text\n");
"""


@pytest.mark.parametrize("flags", [("-m64", "-mcmodel=kernel"), ("-m32",)], ids=["x86_64", "i386"])
def test_what_cannot_be_intercepted_is_counted_by_function_and_kind(
    tmp_path: pathlib.Path, flags: tuple[str, ...]
) -> None:
    symbols = {"kfree": "kfree", "up": "up", "might_sleep": "might_sleep", "vmalloc": "vmalloc_noprof"}
    found = count(build(tmp_path, UNREACHED, *flags), *symbols.values())
    nothing = {"pointers": 0, "other": 0, "static_calls": 0, "unreferenced": False}
    assert found.unreached(symbols) == {
        "up": {**nothing, "other": 1},
        "might_sleep": {**nothing, "static_calls": 2},
        "vmalloc": {**nothing, "unreferenced": True},
    }
    assert found.indirect == 2
    assert found.total("might_sleep") == 0


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("leaq up(%rip), %rdi", "pointers"),
        ("leaq up(%rip), %r13", "pointers"),
        ("movq $up, %rdi", "pointers"),
        ("pushq $up", "pointers"),
        ("cmpq up(%rip), %rdi", "other"),
        ("xbegin up", "other"),
        ("call *up(%rip)", "other"),
        (".data; .quad up", "pointers"),
    ],
)
def test_an_address_that_is_taken_is_told_from_other_references(tmp_path: pathlib.Path, code: str, kind: str) -> None:
    source = f'__asm__(".text; {code}; .text");'
    found = count(build(tmp_path, source, "-m64", "-mcmodel=kernel"), "up").unreached({"up": "up"})
    counts = {"pointers": 0, "other": 0, "static_calls": 0, "unreferenced": False}
    assert found == {"up": {**counts, kind: 1}}


@pytest.mark.parametrize("flags", [("-m64", "-mcmodel=kernel"), ("-m32",)], ids=["x86_64", "i386"])
@pytest.mark.parametrize("jump", ["jo", "jne", "jg"])
def test_conditional_tail_jumps_are_sites(tmp_path: pathlib.Path, jump: str, flags: tuple[str, ...]) -> None:
    source = f'__asm__(".section .init.text, \\"ax\\"; {jump} up; call up; .text");'
    found = count(build(tmp_path, source, *flags), "up")
    assert found.sites == {Key("up", "jcc", "init"): 1, Key("up", "call", "init"): 1}
    assert found.unreached({"up": "up"}) == {}


def test_the_jump_of_a_static_call_is_told_and_is_not_a_site(tmp_path: pathlib.Path) -> None:
    source = r"""
    __asm__(".section .static_call.text, \"ax\"\n__SCT__mine: .byte 0xe9\n\t.long up - (. + 4)\n"
            ".byte 0x0f, 0xb9, 0xcc\n.text\n\tcall __SCT__mine\n\tcall up\n");
    """
    found = count(build(tmp_path, source, "-m64", "-mcmodel=kernel"), "up")
    assert found.sites == {Key("up", "call", "core"): 1}
    assert found.trampolines == {"up": 1}
    assert found.unreached({"up": "up"}) == {
        "up": {"pointers": 0, "other": 0, "static_calls": 1, "unreferenced": False}
    }


def test_only_the_symbols_asked_for_are_counted(tmp_path: pathlib.Path) -> None:
    assert {key.symbol for key in count(build(tmp_path, SOURCE), "__kmalloc").sites} == {"__kmalloc"}


def test_a_function_of_the_modules_own_is_not_the_exported_one(tmp_path: pathlib.Path) -> None:
    source = (
        '__attribute__((noinline, section(".other"))) void up(void *p) { *(int *)p = 1; }\n'
        "void use(void *p) { up(p); *(int *)p = 2; }\n"
    )
    assert count(build(tmp_path, source), "up").sites == {}


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"no ELF at all" * 100, b"\x7fELF" + b"\xff" * 200])
def test_what_is_no_module_is_refused(data: bytes) -> None:
    with pytest.raises(ForeignError, match=r"ELF|module"):
        count(data, "kfree")


def test_every_cut_of_a_module_is_refused_or_counts_less(tmp_path: pathlib.Path) -> None:
    data = build(tmp_path, SOURCE)
    whole = count(data, "kfree").total("kfree")
    for length in range(0, len(data), 97):
        try:
            found = count(data[:length], "kfree").total("kfree")
        except ForeignError:
            continue
        assert found <= whole


def test_a_program_is_no_module(tmp_path: pathlib.Path) -> None:
    (tmp_path / "p.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", tmp_path / "p", tmp_path / "p.c"], check=True)
    with pytest.raises(ForeignError, match="not a relocatable"):
        count((tmp_path / "p").read_bytes(), "main")


REPORT = """target cp_target
text core 0x7f4 scanned 2036
text init 0x11a scanned 282
nanoseconds 48211
site __kmalloc_noprof call init 0x42 to kedr_repl___kmalloc+0x0 my_payload1
site kfree call core 0x10 to kedr_repl_kfree+0x0 my_payload1
site kfree jmp core 0x25 to kedr_repl_kfree+0x0 my_payload1
function __kmalloc_noprof call 1 jmp 0
function kfree call 1 jmp 1
function up call 0 jmp 0
"""
SYMBOLS = {"__kmalloc": "__kmalloc_noprof", "kfree": "kfree", "up": "up"}
EXPECTED = relocations.Expected(
    [
        Place("__kmalloc_noprof", "call", "init", 0x42),
        Place("kfree", "call", "core", 0x10),
        Place("kfree", "jmp", "core", 0x25),
    ]
)


def test_the_report_is_read_whole() -> None:
    report = parse_report(REPORT)["cp_target"]
    assert report.text == {"core": (0x7F4, 2036), "init": (0x11A, 282)}
    assert report.sites[0] == patched.Patched(
        "__kmalloc_noprof", "call", "init", 0x42, "kedr_repl___kmalloc", 0, "my_payload1"
    )
    assert report.functions["kfree"] == {"call": 1, "jmp": 1, "jcc": 0}
    assert not report.static_calls and not report.noinstr


@pytest.mark.parametrize(
    ("to", "destination"),
    [
        ("kfree+0x0 -", ("kfree", 0, "")),
        ("kedr_repl_kfree.cold+0x1f my_payload1", ("kedr_repl_kfree.cold", 0x1F, "my_payload1")),
        ("0xffffffffc0123456 -", ("", 0xFFFFFFFFC0123456, "")),
    ],
)
def test_a_site_leads_to_what_the_text_says(to: str, destination: tuple[str, int, str]) -> None:
    text = REPORT.replace("jmp core 0x25 to kedr_repl_kfree+0x0 my_payload1", f"jmp core 0x25 to {to}")
    (site,) = [one for one in parse_report(text)["cp_target"].sites if one.kind == "jmp"]
    assert (site.to, site.to_offset, site.to_module) == destination


def test_what_few_targets_have_is_read_too() -> None:
    text = REPORT.replace(
        "function up call 0 jmp 0\n",
        "site up jcc core 0x30 to kedr_repl_up+0x0 my_payload3\n"
        "function up call 0 jmp 0 jcc 1\nstatic_call up 2\nnoinstr up 1\n",
    )
    report = parse_report(text)["cp_target"]
    assert report.functions["up"] == {"call": 0, "jmp": 0, "jcc": 1}
    assert report.branches("up") == {"call": 0, "jmp": 1}
    assert report.branches("kfree") == {"call": 1, "jmp": 1}
    assert report.branches("never_named") == {"call": 0, "jmp": 0}
    assert (report.static_calls, report.noinstr) == ({"up": 2}, {"up": 1})
    expected = relocations.Expected([*EXPECTED.places, Place("up", "jcc", "core", 0x30)], trampolines={"up": 2})
    assert sites.compare(expected, report, SYMBOLS) == []
    assert sites.compare(EXPECTED, report, SYMBOLS) == [
        "up: 1 jcc sites patched in the core text, the relocations name 0",
        "up: the jcc at core 0x30 is not where a relocation names it",
        "up: 2 trampolines of static calls reported, the relocations name 0",
    ]


def test_equal_sites_differ_in_nothing() -> None:
    assert sites.compare(EXPECTED, parse_report(REPORT)["cp_target"], SYMBOLS) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "site kfree jmp core 0x25 to kedr_repl_kfree+0x0 my_payload1\n"
            "function __kmalloc_noprof call 1 jmp 0\nfunction kfree call 1 jmp 1",
            "function __kmalloc_noprof call 1 jmp 0\nfunction kfree call 1 jmp 0",
            "kfree: 0 jmp sites patched in the core text, the relocations name 1",
        ),
        ("site kfree jmp core 0x25", "site kfree jmp init 0x25", "kfree: 0 jmp sites patched in the core text"),
        ("kfree call core 0x10", "kfree call core 0x11", "the call at core 0x11 is not where a relocation names it"),
        ("function up call 0 jmp 0\n", "", "up: the controller reports nothing about it"),
        (
            "function up call 0 jmp 0",
            "site up call core 0x77 to kedr_repl_up+0x0 my_payload3\nfunction up call 1 jmp 0",
            "up: 1 call sites patched in the core text, the relocations name 0",
        ),
    ],
)
def test_a_difference_names_function_kind_and_area(old: str, new: str, said: str) -> None:
    assert old in REPORT
    report = parse_report(REPORT.replace(old, new))["cp_target"]
    assert any(said in text for text in sites.compare(EXPECTED, report, SYMBOLS))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("function kfree call 1 jmp 1", "function kfree call 2 jmp 1", "kfree counts call 2 jmp 1"),
        ("function kfree call 1 jmp 1\n", "", "sites of kfree are listed"),
        ("function kfree call 1 jmp 1", "function kfree call 1 jmp 1 jcc 1", "counts call 1 jmp 1 jcc 1, listed are"),
        (" to kedr_repl_kfree+0x0 my_payload1\nfunction", "\nfunction", "line 7"),
        ("kedr_repl_kfree+0x0 my_payload1\nfunction", "kedr_repl_kfree my_payload1\nfunction", "line 7"),
        ("nanoseconds 48211", "nanoseconds many", "line 4"),
        ("target cp_target\n", "", "line 1.*before the first 'target'"),
        ("site kfree jmp core 0x25", "site kfree call core 0x10", "twice"),
        ("jmp 0\nfunction kfree", "jmp 0\nwhatever\nfunction kfree", "line 9"),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(old: str, new: str, said: str) -> None:
    assert old in REPORT
    with pytest.raises(ForeignError, match=said):
        parse_report(REPORT.replace(old, new))


def test_a_report_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ForeignError, match="cut off"):
        parse_report(REPORT[:-1])
