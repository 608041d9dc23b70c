# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof itself: it counts right, and it finds a decoder or a search that is wrong."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path

import padding
import pytest
import relocations
import userspace
from elftools.elf.elffile import ELFFile
from prove import Kernel, Tally, compare_batch, describe, kernels, main, report_sites
from relocations import Site

CONTROLLER = userspace.KERNEL / "controller"

# One of each that the proof must tell apart, in code and in init code, with text that is no code between functions.
SAMPLE = """
    .text
    .globl first
    .type first, @function
first:
    call kmalloc
    lea kfree(%rip), %rax
    jmp kfree
    .type second, @function
second:
    call first
    call page_of_stubs+32
    mov $0xe8, %eax
    ret
    .section .altinstr_replacement, "ax"
    call kfree
    .section .init.text, "ax"
    .type third, @function
third:
    call kfree
    jmp __x86_return_thunk
    .data
    .quad kfree
"""


@pytest.fixture(scope="module")
def program(kernel: Kernel, objects: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("prove")
    return userspace.program(directory, "prove", "load", padding=kernel.padding, objects=objects)


def assembled(directory: Path, text: str) -> Path:
    source, module = directory / "sample.s", directory / "sample.ko"
    source.write_text(text)
    subprocess.run(["as", "--64", "-o", str(module), str(source)], check=True)
    return module


def test_each_kind_of_branch_is_counted_where_it_belongs(program: Path, tmp_path: Path) -> None:
    module = assembled(tmp_path, SAMPLE)
    tally = compare_batch(program, {str(module): module})
    assert tally.holds, tally.shown
    assert tally.sites == {
        ("call", "exported"): 2,
        ("jmp", "exported"): 1,
        ("jmp", "rewritten"): 1,
        ("call", "alternatives"): 1,
    }
    assert (tally.instructions, tally.sections, tally.others) == (10, 3, 1)
    assert tally.inside == {"page_of_stubs": 1}


def test_a_conditional_tail_call_is_a_site(program: Path, tmp_path: Path) -> None:
    module = assembled(tmp_path, ".text\n jz kfree\n jne 1f\n1: ret\n")
    tally = compare_batch(program, {str(module): module})
    assert tally.holds, tally.shown
    assert tally.sites == {("jcc", "exported"): 1}
    assert "0 CALL and 0 JMP, 1 Jcc to 1 exported functions" in describe(Kernel("1.2.3-test", (), 64, 0), tally)


def test_the_jump_of_a_static_call_is_counted_apart(program: Path, tmp_path: Path) -> None:
    text = """
        .text
        call kfree
        .section .static_call.text, "ax"
        .type __SCT__mine, @function
    __SCT__mine:
        .byte 0xe9
        .long kfree - (. + 4)
        .byte 0x0f, 0xb9, 0xcc
    """
    module = assembled(tmp_path, text)
    tally = compare_batch(program, {str(module): module})
    assert tally.holds, tally.shown
    assert (tally.sites, tally.trampolines) == ({("call", "exported"): 1}, 1)


def test_a_breakpoint_makes_the_proof_fail(program: Path, tmp_path: Path) -> None:
    module = assembled(tmp_path, ".text\n nop\n int3\n ret\n")
    tally = compare_batch(program, {str(module): module})
    assert not tally.holds
    assert any("a breakpoint at offset 0x1: was a kprobe set on it?" in text for text in tally.shown)


def test_code_that_is_not_decodable_makes_the_proof_fail(program: Path, tmp_path: Path) -> None:
    module = assembled(tmp_path, ".text\n nop\n .byte 0x06\n ret\n")
    tally = compare_batch(program, {str(module): module})
    assert not tally.holds
    assert any("offset 0x1 is not an instruction" in text for text in tally.shown)


def test_sites_that_only_one_side_knows_are_listed_with_their_place() -> None:
    named = relocations.Named(sections={3: ".text"}, symbols=["", "kfree", "kmalloc"])
    named.sites = {Site(3, 1, "call", 1), Site(3, 16, "jmp", 2)}
    tally = Tally()
    report_sites(tally, Path("m.ko"), named, {Site(3, 1, "call", 1), Site(3, 32, "call", 1)})
    assert (tally.missing, tally.extra, tally.holds) == (1, 1, False)
    assert tally.shown == ["m.ko: .text+0x10: missing: jmp to kmalloc", "m.ko: .text+0x20: extra: call to kfree"]


def test_the_counts_of_a_broken_proof_cannot_be_taken_for_good_ones() -> None:
    kernel = Kernel("1.2.3-test", (), 64, 0)
    assert "0 differences" in describe(kernel, Tally()) and "none missing, none extra" in describe(kernel, Tally())
    assert "1 MISSING, 2 EXTRA" in describe(kernel, Tally(missing=1, extra=2))


def test_a_tree_without_modules_is_told_from_a_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert f"{tmp_path}: no modules" in capsys.readouterr().err


def test_a_damaged_module_is_told_from_a_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = assembled(tmp_path, SAMPLE).read_bytes()
    (tmp_path / "sample.ko").write_bytes(whole[: len(whole) // 2])
    assert main(["-j1", str(tmp_path)]) == 2
    assert "sample.ko" not in capsys.readouterr().out


def test_all_modules_of_a_directory_are_taken_and_links_are_not_followed(kernel: Kernel, tmp_path: Path) -> None:
    for name in ("a.ko", "sub/b.ko.xz", "sub/c.ko.zst", "d.ko.gz", "modules.dep"):
        (tmp_path / "5.0" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(kernel.modules[0], tmp_path / "5.0" / name)
    (tmp_path / "5.0" / "build").symlink_to(tmp_path)
    from prove import module_files

    assert [path.name for path in module_files(tmp_path / "5.0")] == ["a.ko", "d.ko.gz", "b.ko.xz", "c.ko.zst"]
    assert kernels(Path(kernel.modules[0].parents[0]))[0].modules


BRANCH, DECODER, OPCODES = (f"{part}.c" for part in userspace.ARCH)

# What is broken: (file, text in it, part of that text, what is there instead). Each could be a slip of the pen.
MISTAKES = {
    "a JMP has a short displacement": (OPCODES, "B, B, B, B, J, J, F | I, B, 0", "J, J,", "J, B,"),
    "a displacement of 4 bytes has 3": (DECODER, "if (modrm >= 0x80)\n\t\td->next += 4;", "4;", "3;"),
    "there is no SIB byte": (DECODER, "if (base == 4)", "4", "8"),
    "nothing is relative to the instruction": (DECODER, "else if (base == 5)", "5", "8"),
    "the operand size is not looked at": (DECODER, "if (shape & Z)\n\t\tsize += narrow ? 2", "2", "4"),
    "REX.W widens no immediate": (DECODER, "size += d->wide ? 8 :", "8", "4"),
    "all of group 3 have an immediate": (DECODER, "(shape & G) && (modrm & 0x30)", "0x30", "0"),
    "0F 3A has no immediate": (DECODER, "MAP_0F3A;\n\t\td->opcode = take(d);\n\t\treturn M | B", "M | B", "M"),
    "C7 has a short immediate": (OPCODES, "W, 0, X, X, M | B, M | Z,", "M | Z", "M | B"),
    "0F BA has no immediate": (OPCODES, "M, M, M | B, M, M, M, M, M,\n\t/* C0 */", "M | B", "M"),
    "0F 1F has no operand": (OPCODES, "M, M, M,\n\t/* 20 */ R", "M, M, M,", "M, M, 0,"),
    "REX is no prefix": (DECODER, "(byte & 0xf0) == 0x40", "0x40", "0x50"),
    "VEX of three bytes knows one map": (DECODER, "d->map = take(d) & 0x1f;", "& 0x1f", "& 0x01"),
    "VEX of two bytes means another map": (DECODER, "{\n\ttake(d);\n\td->map = MAP_0F;", "0F;", "0F3A;"),
    "JMP is not looked at": ("search.c", "insn.kind != KEDR_INSN_OTHER", "!= KEDR_INSN_OTHER", "== KEDR_INSN_CALL"),
    "a site lies one byte later": ("search.c", "walk->at + insn->field_at;\n\tsite->old", "field_at;", "field_at + 1;"),
    "destinations are off by one": (BRANCH, "return at + sizeof(field) + (long)", "at +", "at + 1 +"),
    "JMP is taken for CALL": ("search.c", "site->kind = insn->kind;", "insn->kind", "KEDR_INSN_CALL"),
    "each INT3 is taken for a breakpoint": (BRANCH, "if (!is_start &&", "!is_start", "is_start"),
    "starts of functions are not known": ("area.c", "symbol->st_value >= area->base", ">=", "<"),
    "the first function is not found": ("lookup.c", "return slot->address ?", "slot->address", "slot->function"),
}


def broken(directory: Path, file: str, text: str, part: str, instead: str) -> Path:
    """A copy of the controller with one mistake."""
    controller = directory / "controller"
    shutil.copytree(CONTROLLER, controller)
    source = (controller / file).read_text()
    assert source.count(text) == 1, f"{file} no longer has {text!r} once"
    (controller / file).write_text(source.replace(text, text.replace(part, instead)))
    return controller


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_controller_is_found(
    mistake: str, kernel: Kernel, some_modules: dict[str, Path], objects: Path, tmp_path: Path
) -> None:
    controller = broken(tmp_path, *MISTAKES[mistake])
    program = userspace.program(
        tmp_path, "prove", "load", padding=kernel.padding, controller=controller, objects=objects
    )
    assert not compare_batch(program, some_modules).holds


def test_the_same_modules_hold_without_a_mistake(program: Path, some_modules: dict[str, Path]) -> None:
    tally = compare_batch(program, some_modules)
    assert tally.holds, tally.shown
    assert tally.modules == len(some_modules)
    assert tally.instructions > 20000


def test_what_the_data_files_name_has_padding_where_calls_may_enter_it(kernel: Kernel, tree: Path) -> None:
    assert kernel.padding == padding.PADDING, "the lab's default kernel has call depth tracking"
    image = ELFFile(io.BytesIO(padding.vmlinux((tree / "boot" / f"vmlinuz-{kernel.release}").read_bytes())))
    exported = dict(padding.exports(image))
    named = set(re.findall(r"\w+", (userspace.KERNEL.parent / "data" / "functions.yml").read_text()))
    wanted = {name: at for name, at in exported.items() if name in named}
    assert len(wanted) > 10
    assert padding.bare(image.get_section_by_name(".text"), wanted) == []
    assert "__x86_return_thunk" in padding.bare(image.get_section_by_name(".text"), exported)
