# SPDX-License-Identifier: GPL-3.0-or-later
"""Proves the decoder and the search of the controller on all modules of kernels.

    prove.py [-j N] [--controller DIR] TREE...

A TREE is the root of an installed system or one directory lib/modules/RELEASE.  For every module below it:

- the search of the controller, compiled in user space, goes over the module's text as the kernel lays it out, with
  every imported symbol as a function to be replaced;
- the instructions that it sees must start where objdump shows instructions, in all sections of code;
- the CALL, JMP and conditional jumps that it finds must be those that the relocations name: none missing, none more;
- for kernels with call depth tracking the same must be found when all calls enter the padding of functions.

Prints the counts of each kernel.  Exit status: 0 if nothing differs, 1 if something does (the first differences are
listed), 2 if it cannot be told.  Needs a C compiler, binutils, pyelftools; zstd for modules that it compresses.
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import relocations
import userspace
from relocations import PADDING, Site

BATCH = 8 << 20  # bytes of compressed modules that one run of objdump gets, about
SHOWN = 20  # differences that are listed
OBJDUMP = ["objdump", "-d", "-w", "-z", "--no-show-raw-insn"]
ALTERNATIVES = ".altinstr_replacement"
"""Pieces of code that the kernel copies over other code where the processor suits; they never run in place."""

REWRITTEN = ("__fentry__", "mcount", "__x86_return_thunk", "__x86_indirect_thunk", "__SCT__")
"""Beginnings of symbols whose branches the kernel rewrites itself, while loading a module or later."""


class ProofError(Exception):
    """It cannot be told whether the proof holds; the text says why."""


NUMBERS = (
    *("modules", "sections", "instructions", "bytes", "early", "others", "trampolines", "exports", "bare"),
    *("differences", "missing", "extra"),
)


@dataclass
class Tally:
    """Counts of modules.

    ``sites`` is {(kind, group): number}, ``functions`` {group: names}, ``inside`` {symbol: number}.  ``missing`` and
    ``extra`` count sites, ``differences`` everything else that must not be.
    """

    modules: int = 0
    sections: int = 0
    instructions: int = 0
    bytes: int = 0
    early: int = 0
    others: int = 0
    trampolines: int = 0
    exports: int = 0
    bare: int = 0
    differences: int = 0
    missing: int = 0
    extra: int = 0
    inside: Counter[str] = field(default_factory=Counter)
    sites: Counter[tuple[str, str]] = field(default_factory=Counter)
    functions: dict[str, set[str]] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.inside.update(other.inside)
        self.sites.update(other.sites)
        for group, names in other.functions.items():
            self.functions.setdefault(group, set()).update(names)
        self.shown += other.shown[: SHOWN - len(self.shown)]

    def show(self, text: str) -> None:
        if len(self.shown) < SHOWN:
            self.shown.append(text)

    @property
    def holds(self) -> bool:
        return not (self.differences or self.missing or self.extra)


@dataclass(frozen=True)
class Kernel:
    """A directory lib/modules/RELEASE and the modules in it.  ``bits`` and ``padding`` as for userspace.program."""

    release: str
    modules: tuple[Path, ...]
    bits: int
    padding: int


# -- modules ---------------------------------------------------------------------------------------


def plain(path: Path) -> bytes:
    """The bytes of a module file, decompressed as its name says."""
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        done = subprocess.run(["zstd", "-qdc", str(path)], capture_output=True, check=False)
        if done.returncode:
            raise ProofError(f"{path}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout
    return path.read_bytes()


def module_files(directory: Path) -> list[Path]:
    """All module files below a directory, not following links (which lead to headers and sources)."""
    found = []
    for place, _directories, names in os.walk(directory):
        found += [Path(place, name) for name in names if name.endswith((".ko", ".ko.xz", ".ko.zst", ".ko.gz"))]
    return sorted(found)


def kernels(tree: Path) -> list[Kernel]:
    """The kernels of a tree: of a system's root, or the one whose directory of modules it is."""
    under = tree / "lib" / "modules"
    directories = sorted(path for path in under.iterdir() if path.is_dir()) if under.is_dir() else [tree]
    found = []
    for directory in directories:
        modules = module_files(directory)
        if modules:
            found.append(Kernel(directory.name, tuple(modules), *traits(modules)))
    if not found:
        raise ProofError(f"{tree}: no modules; give the root of a system or a directory lib/modules/RELEASE")
    return found


def traits(modules: Sequence[Path]) -> tuple[int, int]:
    """Bits of a kernel and its padding: objtool lists the calls of modules only for call depth tracking."""
    middle = len(modules) // 2
    by_size = sorted(modules, key=lambda path: path.stat().st_size)
    contents = [plain(path) for path in by_size[max(0, middle - 4) : middle + 4]]
    bits = 64 if contents[0][4:5] == b"\2" else 32
    return bits, PADDING if any(b"\0.call_sites\0" in each or b".rela.call_sites" in each for each in contents) else 0


def batches(modules: Sequence[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for module in modules:
        batch.append(module)
        size += module.stat().st_size
        if size > BATCH // (1 if module.suffix == ".ko" else 4):
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


# -- one batch -------------------------------------------------------------------------------------


def prove_batch(program: Path, modules: list[Path]) -> Tally:
    """Prove some modules; runs in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="kedr-prove-") as name:
        files = {}
        for number, module in enumerate(modules):
            file = Path(name, f"{number}.ko")
            file.write_bytes(plain(module))
            files[str(file)] = module
        return compare_batch(program, files)


def compare_batch(program: Path, files: dict[str, Path]) -> Tally:
    """`files` is {plain file: the module that is named in messages}."""
    tally = Tally()
    with (
        subprocess.Popen([*OBJDUMP, *files], stdout=subprocess.PIPE) as objdump,
        subprocess.Popen([program, *files], stdin=objdump.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True) as search,
    ):  # fmt: skip
        assert objdump.stdout and search.stdout and search.stderr
        objdump.stdout.close()  # so that objdump ends when the search does
        lines: list[list[str]] = []
        for line in search.stdout:
            words = line.split()
            if words[0] == "module":
                compare(tally, files[words[4]], Path(words[4]), lines, words)
                lines = []
            else:
                lines.append(words)
        said = search.stderr.read()
    if search.returncode or objdump.returncode or tally.modules != len(files):
        refused(tally, files, said, search.returncode, objdump.returncode)
    return tally


def refused(tally: Tally, files: dict[str, Path], said: str, search: int, objdump: int) -> None:
    """The search ended early: a refusal is a difference, everything else cannot be judged."""
    for file, module in files.items():
        said = said.replace(file, str(module))
    if search != 4:
        raise ProofError(f"the search ended with status {search} and objdump with {objdump}: {said.strip()}")
    tally.differences += 1
    tally.show(said.strip())


def compare(tally: Tally, module: Path, file: Path, lines: list[list[str]], summary: list[str]) -> None:
    named = relocations.read(file)
    found = set()
    for words in lines:
        if words[0] == "site":
            found.add(Site(int(words[1]), int(words[2]), words[3], int(words[4])))
        elif words[0] == "early":
            tally.early += int(words[1])
        else:
            tally.differences += 1
            tally.show(f"{module}: {place(named, int(words[1]), int(words[2]))}: {MEANING[words[3]]}")
    tally.modules += 1
    tally.instructions += int(summary[1])
    tally.sections += int(summary[2])
    tally.bytes += int(summary[3])
    tally.others += named.others
    tally.trampolines += named.trampolines
    tally.exports += named.exports
    tally.bare += len(named.bare)
    count_sites(tally, named)
    tally.inside.update(named.inside)
    report_sites(tally, module, named, found)


MEANING = {
    "ours": "an instruction starts here, objdump shows none",
    "objdump": "objdump shows an instruction here, the search does not see it",
    "bad": "objdump cannot read the instruction",
    "unsearched": "a section of code that is not in the text",
    "early": "the site of this number is not found when calls enter the padding of functions",
}


def place(named: relocations.Named, section: int, offset: int) -> str:
    return f"{named.sections.get(section, f'section {section}')}+0x{offset:x}"


def count_sites(tally: Tally, named: relocations.Named) -> None:
    for site in named.sites:
        name = named.symbols[site.symbol]
        if named.sections[site.section].startswith(ALTERNATIVES):
            group = "alternatives"
        elif name.startswith(REWRITTEN):
            group = "rewritten"
        else:
            group = "exported"
        tally.sites[site.kind, group] += 1
        tally.functions.setdefault(group, set()).add(name)


def report_sites(tally: Tally, module: Path, named: relocations.Named, found: set[Site]) -> None:
    if found == named.sites:
        return
    for sites, what in ((named.sites - found, "missing"), (found - named.sites, "extra")):
        setattr(tally, what, getattr(tally, what) + len(sites))
        for site in sorted(sites):
            where = place(named, site.section, site.offset)
            tally.show(f"{module}: {where}: {what}: {site.kind} to {named.symbols[site.symbol]}")


# -- all of it -------------------------------------------------------------------------------------


def prove(kernel: Kernel, programs: Path, jobs: int, controller: Path) -> Tally:
    """Prove all modules of a kernel, `jobs` batches at a time."""
    program = userspace.program(
        programs, "prove", "load", bits=kernel.bits, padding=kernel.padding, controller=controller
    )
    tally = Tally()
    work = list(batches(kernel.modules))
    with ProcessPoolExecutor(jobs) as pool:
        for each in pool.map(prove_batch, [program] * len(work), work):
            tally.add(each)
    return tally


def number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def total(inside: Counter[str]) -> str:
    return ", ".join(f"{count} to {name}" for name, count in sorted(inside.items()))


def describe(kernel: Kernel, tally: Tally) -> str:
    """The counts of a kernel, in a line that can be compared and lines with the rest."""

    def sites(group: str, word: str = "of them") -> str:
        nr = len(tally.functions.get(group, ()))
        conditional = f", {tally.sites['jcc', group]} Jcc" if tally.sites["jcc", group] else ""
        return f"{tally.sites['call', group]} CALL and {tally.sites['jmp', group]} JMP{conditional} to {nr} {word}"

    outcome = "none missing, none extra"
    if tally.missing or tally.extra:
        outcome = f"{tally.missing} MISSING, {tally.extra} EXTRA"
    lines = [
        f"{kernel.release} ({kernel.bits} bits): {number(tally.modules, 'module')}, {tally.instructions} instructions, "
        f"{number(tally.differences, 'difference')}; {sites('exported', 'exported functions')}, {outcome}",
        f"  searched: {tally.bytes} bytes in {number(tally.sections, 'section')} of code",
        f"  the same for what the kernel rewrites (tracer, thunks, static calls): {sites('rewritten')}",
        f"  and for {ALTERNATIVES}, which never runs in place: {sites('alternatives')}",
        f"  no branch, and so out of reach: {tally.others} other references from code to what others export",
    ]
    if tally.trampolines:
        lines.append(f"  jumps of static calls to what others export, which are no sites: {tally.trampolines}")
    if tally.inside:
        lines.append(f"  branches into what is no function: {total(tally.inside)}")
    if kernel.padding:
        padded = f"{tally.exports - tally.bare} of {tally.exports} functions that these modules export have it"
        lines.append(f"  call depth tracking: the same when {number(tally.early, 'CALL')} enter padding; {padded}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Prove the decoder and the search on all modules of kernels.")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), metavar="N", help="batches at a time")
    parser.add_argument("--controller", type=Path, default=userspace.KERNEL / "controller", metavar="DIR",
                        help="sources of the controller to prove instead of those of the checkout")  # fmt: skip
    parser.add_argument("trees", type=Path, nargs="+", metavar="TREE")
    options = parser.parse_args(arguments)
    holds = True
    try:
        with tempfile.TemporaryDirectory(prefix="kedr-prove-") as programs:
            for tree in options.trees:
                for kernel in kernels(tree):
                    tally = prove(kernel, Path(programs), options.jobs, options.controller)
                    print(describe(kernel, tally), *(f"  {text}" for text in tally.shown), sep="\n", flush=True)
                    holds = holds and tally.holds
    except (ProofError, userspace.BuildError, OSError) as error:
        print(f"prove.py: {error}", file=sys.stderr)
        return 2
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
