# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of search, writing, report and counters, and fuzz, all under the sanitizers of the compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import userspace
from prove import Kernel
from userspace import SANITIZERS

SEED = os.environ.get("KEDR_FUZZ_SEED", "20260101")
STREAMS, TEXTS = "100000", "20000"

PATCH = ("patch", *userspace.ARCH)
REPORT = (*userspace.PARTS, "symbol", "report")
COUNTERS = {"64 bits": ("-DBITS_PER_LONG=64", "-DKEDR_HAVE_THIS_CPU_INC"), "32 bits": ("-DBITS_PER_LONG=32",)}

SEARCHES = {"64 bits": (64, 0), "64 bits with call thunks": (64, 16), "32 bits": (32, 0)}


def names(file: str) -> list[str]:
    """The scenarios that a source of this folder lists."""
    text = (userspace.HERE / file).read_text()
    return [line.split("(")[1].split(")")[0] for line in text.splitlines() if line.startswith("\tSCENARIO(")]


@pytest.fixture(scope="module")
def searches(objects: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("search")
    return {
        name: userspace.program(place, "search_test", bits=bits, padding=padding, objects=objects, flags=SANITIZERS)
        for name, (bits, padding) in SEARCHES.items()
    }


@pytest.fixture(scope="module")
def writing(objects: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("patch")
    return userspace.program(place, "patch_test", parts=PATCH, objects=objects, flags=SANITIZERS)


@pytest.fixture(scope="module")
def reporting(objects: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("report")
    return userspace.program(place, "report_test", parts=REPORT, objects=objects, flags=SANITIZERS)


@pytest.fixture(scope="module")
def counters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    flags = (*SANITIZERS, "-DKEDR_HAVE_PARAM_OPS")
    return {
        name: userspace.program(tmp_path_factory.mktemp("calls"), "calls_test", parts=(), flags=(*flags, *kind))
        for name, kind in COUNTERS.items()
    }


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("scenario", names("search_test.c"))
def test_search(scenario: str, kind: str, searches: dict[str, Path]) -> None:
    done = run(searches[kind], scenario)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("scenario", names("patch_test.c"))
def test_writing(scenario: str, writing: Path) -> None:
    done = run(writing, scenario)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("scenario", names("report_test.c"))
def test_report(scenario: str, reporting: Path) -> None:
    done = run(reporting, scenario)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", COUNTERS)
@pytest.mark.parametrize("scenario", names("calls_test.c"))
def test_counting(scenario: str, kind: str, counters: dict[str, Path]) -> None:
    done = run(counters[kind], scenario)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_refusal_says_why_and_where(searches: dict[str, Path], writing: Path) -> None:
    said = {
        "a_replacement_out_of_reach_is_refused":
            "core text, offset 0x1: branch to function cannot reach the replacement, it is too far",
        "a_breakpoint_in_a_function_is_refused":
            "core text, a breakpoint at offset 0x1: was a kprobe set on it?",
        "a_byte_that_is_no_instruction_is_refused": "core text, offset 0x1 is not an instruction; bytes",
    }  # fmt: skip
    for scenario, text in said.items():
        assert f"cp_controller: module: refused: {text}" in run(searches["64 bits"], scenario).stderr
    assert "its text cannot be mapped (error -12)" in run(writing, "the_first_mapping_fails").stderr
    assert "the text could not be restored" in run(writing, "what_cannot_be_taken_back_is_an_error_too").stderr


# -- fuzz --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def code(some_modules: dict[str, Path]) -> list[str]:
    return sorted(some_modules)


def fuzz(program: Path, code: list[str], seed: str = SEED) -> subprocess.CompletedProcess[str]:
    return run(program, seed, STREAMS, TEXTS, *code)


@pytest.mark.parametrize("kind", SEARCHES)
def test_no_text_leads_the_decoder_or_the_search_astray(
    kind: str, kernel: Kernel, code: list[str], objects: Path, tmp_path: Path, told: list[str]
) -> None:
    bits, padding = SEARCHES[kind]
    assert kernel.bits == 64, "the texts come from modules of 64 bits"
    program = userspace.program(tmp_path, "fuzz", "load", bits=bits, padding=padding, objects=objects, flags=SANITIZERS)
    done = fuzz(program, code)
    told.append(f"fuzz, {kind}, seed {SEED} (KEDR_FUZZ_SEED): {done.stdout.strip()}")
    assert done.returncode == 0, f"seed {SEED}: {done.stdout}{done.stderr}"
    assert int(done.stdout.split(" with ")[2].split()[0]) > 1000, done.stdout


DECODER = "arch/x86/insn_length.c"

# What is broken: (file, text in it, part of that text, what is there instead).
MISTAKES = {
    "the end is not looked at": (DECODER, "if (end - at < ROOM)", "ROOM", "0"),
    "lengths have no limit": (DECODER, "!length || length > MAX_LENGTH ||", "length > MAX_LENGTH ||", ""),
    "what is cut off is taken": (DECODER, "|| length > end - at)", "length > end - at", "0"),
    "the search goes back": ("search.c", "walk->at += insn.length;", "insn.length", "insn.length - 1"),
    "the search does not see JMP": ("search.c", "if (insn.kind != KEDR_INSN_OTHER)", "!= KEDR_INSN_OTHER", "== 1"),
    "a site is not counted": ("search.c", "function->nr_sites[insn->kind]++;", "[insn->kind]++", "[0]++"),
    "memory is kept": ("search.c", "void kedr_sites_destroy(struct kedr_sites *sites)\n{\n\tvfree", "vfree", "(void)"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_by_fuzz(mistake: str, code: list[str], objects: Path, tmp_path: Path) -> None:
    file, text, part, instead = MISTAKES[mistake]
    controller = tmp_path / "controller"
    shutil.copytree(userspace.KERNEL / "controller", controller)
    source = (controller / file).read_text()
    assert source.count(text) == 1, f"{file} no longer has {text!r} once"
    (controller / file).write_text(source.replace(text, text.replace(part, instead)))
    program = userspace.program(tmp_path, "fuzz", "load", controller=controller, objects=objects, flags=SANITIZERS)
    assert fuzz(program, code).returncode != 0
