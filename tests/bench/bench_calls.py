# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints, as Markdown, what a call of kfree(NULL) and the load of a target cost on a guest.

    bench_calls.py CACHE [SYSTEM as JSON, a row of lab_guests]

One guest, one run: every way of watching takes its turn in each round, and the best round counts. Both the watched
module and a module that nobody watches are measured. Under software emulation only the ratios mean something.
"""

from __future__ import annotations

import json
import lzma
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import yaml
from elftools.elf.elffile import ELFFile

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from guests import DATA, ROOT, Lab, playbook, start_lab, stop_lab

CALLS = HERE / "calls"
ROUNDS = 5
HOST = "bench"
TARGET = "xfs"
COUNTS = (1, 10, 1000)
LIMIT = 3000  # seconds for one program on the guest
WAYS = {
    "plain": "plain",
    "intercepted-off": "intercepted, event off",
    "intercepted-on": "intercepted, event on",
    "kprobe": "kprobe event",
    "kretprobe": "kretprobe event",
    "fprobe": "fprobe event",
    "function": "tracer `function`",
    "function_graph": "tracer `function_graph`",
}


# -- what is built -----------------------------------------------------------------------------------


def imports(module: Path) -> set[str]:
    """Symbols that a compressed module takes from elsewhere."""
    plain = module.with_suffix("")
    with tempfile.NamedTemporaryFile(suffix=plain.name) as file:
        file.write(lzma.decompress(module.read_bytes()))
        file.flush()
        table = ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name for symbol in table.iter_symbols() if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name}


def exported_functions(lab: Lab, headers: Path) -> set[str]:
    """Functions of the kernel itself that any module may use; names with __ may be more than functions."""
    text = lab.ssh(HOST, "awk '$2 == \"T\" && NF == 3 { print $3 }' /proc/kallsyms")
    code = {name for name in text.split() if not name.startswith("__")}
    rows = (line.split("\t") for line in (headers / "Module.symvers").read_text().splitlines())
    return {row[1] for row in rows if row[2] == "vmlinux" and not row[4].strip()} & code


def write_sources(directory: Path, payloads: dict[str, list[str]]) -> list[dict]:
    """Sources of the bench's own modules; returns them as kmod_build wants them."""
    modules = []
    for name in ("bench_target", "bench_other"):
        modules.append(source(directory / name, name, CALLS / "loop.c"))
    for name, functions in payloads.items():
        module = source(directory / name, name, CALLS / "many.c")
        (directory / name / "list.h").write_text("".join(f"F({one})\n" for one in functions))
        modules.append({**module, "needs": ["cp_controller"]})
    return modules


def source(directory: Path, name: str, file: Path) -> dict:
    directory.mkdir()
    shutil.copy(file, directory)
    flags = "ccflags-y := -I$(src)/../include -I$(src)/../generated -I$(src)"
    aside = "OBJECT_FILES_NON_STANDARD := y"  # jumps between functions are not what objtool expects of C
    (directory / "Kbuild").write_text(f"obj-m := {name}.o\n{name}-y := {file.stem}.o\n{flags}\n{aside}\n")
    return {"name": name, "source": str(directory)}


def build(lab: Lab, directory: Path, cache: Path, more: list[dict]) -> dict[str, bytes]:
    """Build controller, payload and the bench's modules for the guest; returns {name: .ko}."""
    kernel, payload = str(ROOT / "kernel"), str(DATA / "my_payload1.data")
    needed = [
        {"name": "cp_controller", "source": f"{kernel}/controller"},
        {"name": "my_payload1", "source": "{{ rendered.sources.my_payload1 }}", "needs": ["cp_controller"]},
        *more,
    ]
    options = {"facts": "{{ read.facts }}", "kernel_dir": kernel, "cache_dir": str(cache), "modules": needed}
    tasks = [
        {"kedr.lab.kernel_facts": {"payloads": [payload]}, "register": "read"},
        {"kedr.lab.payload_render": {"payloads": [payload], "facts": "{{ read.facts }}", "dest": str(directory / "c")},
         "register": "rendered"},
        {"kedr.lab.kmod_build": {**options, "build_root": "{{ kedr_build_root }}", "run_dir": str(directory)}},
    ]
    path = directory / "build.yml"
    path.write_text(yaml.safe_dump([{"hosts": HOST, "gather_facts": False, "tasks": tasks}]))
    done = playbook("-i", str(lab.inventory), str(path), lab=lab.directory)
    if done.returncode:
        sys.exit(f"bench_calls.py: the modules cannot be built:\n{done.stdout}{done.stderr}")
    return {file.stem: file.read_bytes() for file in (directory / HOST / "modules").glob("*.ko")}


def send(lab: Lab, modules: dict[str, bytes]) -> None:
    lab.ssh(HOST, "mkdir -p /tmp/bench")
    files = {f"{name}.ko": content for name, content in modules.items()}
    files |= {script.name: script.read_bytes() for script in CALLS.glob("*.sh")}
    for name, content in files.items():
        lab.ssh(HOST, f"cat >/tmp/bench/{name}", stdin=content)


# -- what is measured --------------------------------------------------------------------------------


def measure_calls(lab: Lab) -> Iterator[str]:
    """A table of nanoseconds per call."""
    best: dict[tuple[str, str], float] = {}
    lacking: dict[str, str] = {}
    for line in lab.ssh(HOST, f"sh /tmp/bench/measure.sh /tmp/bench {ROUNDS}", limit=LIMIT).splitlines():
        words = line.split()
        if words[0] == "none":
            lacking[words[1]] = line.partition(f"none {words[1]} ")[2]
            continue
        key = words[1], words[2]
        best[key] = min(best.get(key, 1e30), int(words[3]) / int(words[4]))
    plain = {caller: best["plain", caller] for caller in ("target", "other")}
    yield "| way | watched module, ns per call | ratio | another module, ns per call | ratio |"
    yield "|---|---:|---:|---:|---:|"
    for way, title in WAYS.items():
        if way in lacking:
            yield f"| {title} | not measured: {lacking[way]} | | | |"
            continue
        cells = (f"{best[way, caller]:.0f} | {best[way, caller] / plain[caller]:.2f}" for caller in plain)
        yield f"| {title} | {' | '.join(cells)} |"


def measure_loads(lab: Lab, payloads: dict[str, list[str]]) -> Iterator[str]:
    """A table of milliseconds per MB of text."""
    names = " ".join(payloads)
    text = lab.ssh(HOST, f"sh /tmp/bench/load.sh /tmp/bench {ROUNDS} {TARGET} {names}", limit=LIMIT)
    rows = [line.split() for line in text.splitlines()]
    yield "| functions | call sites written | text, bytes | best time, ms | ms per MB | ratio |"
    yield "|---:|---:|---:|---:|---:|---:|"
    first = 0.0
    for name, functions in payloads.items():
        mine = [row for row in rows if row[1] == name]
        nanoseconds, size = min(int(row[2]) for row in mine), int(mine[0][3])
        each = nanoseconds / size  # ns per byte is ms per MB
        first = first or each
        cells = len(functions), mine[0][4], size, f"{nanoseconds / 1e6:.1f}", f"{each:.1f}", f"{each / first:.2f}"
        yield f"| {' | '.join(map(str, cells))} |"


def one(paths: Iterable[Path]) -> Path:
    """The only path of some."""
    (path,) = paths
    return path


def measure(lab: Lab, directory: Path, cache: Path) -> Iterator[str]:
    root = Path(lab.hosts[HOST]["kedr_build_root"])
    release = lab.ssh(HOST, "uname -r").strip()
    usable = exported_functions(lab, root / "usr/src" / f"linux-headers-{release}")
    used = imports(one(root.glob(f"lib/modules/{release}/kernel/**/{TARGET}.ko.xz"))) & usable
    functions = ["kfree", *sorted(used - {"kfree"}), *sorted(usable - used)]
    payloads = {f"many_{count}": functions[:count] for count in COUNTS}
    send(lab, build(lab, directory, cache, write_sources(directory, payloads)))
    yield f"Kernel {release}, {machine(lab)}; {ROUNDS} rounds, best round."
    yield ""
    yield from measure_calls(lab)
    yield ""
    yield f"Loading {TARGET}, search and writing, as the controller reports them:"
    yield ""
    yield from measure_loads(lab, payloads)


def machine(lab: Lab) -> str:
    """Processors and their model, and whether they are emulated."""
    model = re.search(r"model name\s*: (.*)", lab.ssh(HOST, "cat /proc/cpuinfo"))
    count = lab.ssh(HOST, "nproc").strip()
    return f"processors: {count} ({model[1] if model else 'unknown'})"


def on_a_guest(figures: Callable[[Lab, Path, Path], Iterator[str]]) -> None:
    """Print what a measurement yields of a guest of its own.  Arguments of the program: CACHE [GUEST, as JSON]"""
    cache = Path(sys.argv[1])
    guest = {"name": HOST, **(json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        lab = start_lab(directory / "lab", [guest])
        try:
            for line in figures(lab, directory, cache):
                print(line, flush=True)
        finally:
            stop_lab(lab)


if __name__ == "__main__":
    on_a_guest(measure)
