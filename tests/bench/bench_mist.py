# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what mist_gen costs beside the original program. Usage: bench_mist.py [RUNS [KIND...]].

The inputs are made here, the same as those that the original (C++, optimised) was measured with on
another machine of this class. Each row is the median of RUNS (default 7) runs; the output's hash is
compared. The first row is Python alone, the second one the command without arguments.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PROGRAM = Path(__file__).parents[2] / "bin" / "mist_gen"


class Original(NamedTuple):
    """The original's CPU seconds and peak memory; the start of its output's SHA-256."""

    seconds: float
    kib: int
    digest: str


# Memory is never below what the measuring program itself had: 40,676 KiB.
ORIGINAL = {
    ("stubs", 2000): Original(0.0625, 20904, "b289663e4a79e442"),
    ("stubs", 20000): Original(0.5865, 133932, "e48c8e3191da43d5"),
    ("csv", 2000): Original(0.0154, 40676, "5c74f4dd80063f80"),
    ("csv", 20000): Original(0.1261, 40676, "a896cba8cbacbaa3"),
    ("wide", 2000): Original(0.0093, 40676, "1422a341ced8d7e2"),
    ("wide", 20000): Original(0.0665, 40676, "cc5594e43749b9a6"),
    ("globals", 2000): Original(0.0079, 40676, "10310fcda415e2ac"),
    ("globals", 20000): Original(0.0513, 40676, "67a009c1632d5323"),
    ("longval", 2000): Original(0.0082, 40676, "ff1bb679eea11e1f"),
    ("longval", 20000): Original(0.4212, 40676, "375e9b6ceeedab87"),
    ("deepif", 2000): Original(0.0141, 40676, "e9851260e2b19c46"),
    ("deepif", 20000): Original(0.3692, 436068, "9287643aff29b3d2"),
    ("chain", 200): Original(0.0044, 40676, "ba2fcb5b84c7b511"),
    ("chain", 2000): Original(0.0233, 40676, "0bec7d5106151139"),
    ("ifs", 2000): Original(0.0124, 40676, "2acd2d769198849c"),
    ("ifs", 20000): Original(0.1083, 45808, "7c36a00bc7574536"),
}

TYPES = "int,unsigned long,const char *,struct node *,size_t,u32,void *,long long,bool,enum color".split(",")


class Input(NamedTuple):
    """Templates by the path of their file, without its suffix, and the lines of the data file."""

    templates: dict[str, str]
    lines: list[str]


def stubs(number: int) -> Input:
    """Functions with ten arguments each, an index of their names and a table."""
    document = (
        "/* <$unit$>: <$count$> functions */\n\n<$block : join(\\n\\n)$>\n\n"
        "static const char *const names[] = {\n<$quoted : join(,\\n)$>\n};\n\n"
        "static void *const table[] = {\n<$entry : join(,\\n)$>\n};\n"
    )
    block = (
        "static <$rtype$>\nstub_<$fn$>(<$params$>)\n{\n<$setup$>\n"
        "<$if noret$><$else$>\t<$ret$> r = <$endif$><$fn$>(<$arg.name : join(, )$>);\n"
        '\tlog_call("<$fn$>", <$logged$>);\n<$if noret$><$else$>\treturn r;\n<$endif$>}'
    )
    templates = {
        "document/document": document,
        "document/quoted": '\t"<$fn$>"',
        "document/entry": "\t[ID_<$fn$>] = (void *)stub_<$fn$>",
        "block/block": block,
        "block/rtype": "<$if noret$>void<$else$><$ret$><$endif$>",
        "block/params": "<$if concat(arg.name)$><$param : join(, )$><$else$>void<$endif$>",
        "block/param": "<$arg.type$> <$arg.name$>",
        "block/logged": "<$logarg : join(, )$>",
        "block/logarg": "(long)<$arg.name$>",
    }
    lines = ["# generated", "unit = perf_unit", f"count = {number}"]
    for function in range(number):
        lines += ["", "[group]", f"\tfn = func_{function:06d}"]
        lines.append(f"\tret = {TYPES[function % 10]}" if function % 3 else "\tnoret = yes")
        for argument in range(10):
            lines.append(f"\targ.type = {TYPES[(function + argument) % 10]}")
            lines.append(f"\targ.name = a{argument}_{function % 97}")
        lines += ["\tsetup =>>", f"\tint depth = {function % 7};", f"\t/* prepare call {function} */"]
        lines += ["\tenter(depth);", "\t<<"]
    return Input(templates, lines)


def csv(number: int) -> Input:
    """A row for each group, with an optional column and a list."""
    row = '<$id$>,"<$name$>",<$if grade$><$grade$><$else$>n/a<$endif$>,<$tag : join(;)$>'
    templates = {"document/document": "id,name,grade,tags\n<$block : join(\\n)$>\n", "block/block": row}
    lines = []
    for person in range(number):
        lines += ["[group]", f"id = {person}", f"name = Person {person * 7919 % 10007}"]
        if person % 4:
            lines.append(f"grade = {person % 6}")
        lines += [f"tag = t{person * tag % 11}" for tag in range(1, 1 + person % 5)]
    return Input(templates, lines)


def wide(number: int) -> Input:
    """One group with long lists."""
    templates = {
        "document/document": "<$block$>\n",
        "block/block": "f(<$pair : join(,\\n  )$>)",
        "block/pair": "<$t$> <$n$><$if d$> = <$d$><$endif$>",
    }
    lines = ["[group]"]
    for argument in range(number):
        default = argument if argument % 2 else ""
        lines += [f"t = {TYPES[argument % 10]}", f"n = v{argument}", f"d = {default}"]
    return Input(templates, lines)


def global_lists(number: int) -> Input:
    """Long lists of globals, no groups."""
    templates = {
        "document/document": "<$row : join(\\n)$>\n",
        "document/row": "<$k$> -> <$v$><$if note$> (<$note$>)<$endif$>",
        "block/block": "",
    }
    lines = []
    for key in range(number):
        lines += [f"k = key{key}", f"v = value{key}", f"note = {'odd' if key % 2 else ''}"]
    return Input(templates, lines)


def longval(number: int) -> Input:
    """One value of many lines."""
    body = [f"line {line} of the long value" for line in range(number)]
    templates = {"document/document": "<$block$>\n", "block/block": "<$text$>"}
    return Input(templates, ["[group]", "text =>>", *body, "<<"])


def deepif(number: int) -> Input:
    """Conditions in conditions."""
    opened = "".join(f"<$if a$>{'xyz'[level % 3]}" for level in range(number))
    templates = {"document/document": "<$block$>\n", "block/block": opened + "<$endif$>" * number}
    return Input(templates, ["[group]", "a = 1"])


def chain(number: int) -> Input:
    """Templates that each use the next one."""
    templates = {"document/document": "<$block$>\n", "block/block": "<$t0$>"}
    for link in range(number - 1):
        templates[f"block/t{link}"] = f"<$t{link + 1}$>."
    templates[f"block/t{number - 1}"] = "end."
    return Input(templates, ["[group]", "a = 1"])


def ifs(number: int) -> Input:
    """Conditions in a row."""
    row = "".join(f"<$if p{place % 50}$>+<$else$>-<$endif$>" for place in range(number))
    values = [f"p{place} = {'y' if place % 3 else ''}" for place in range(50)]
    return Input({"document/document": "<$block$>\n", "block/block": row}, ["[group]", *values])


KINDS = {
    "stubs": stubs,
    "csv": csv,
    "wide": wide,
    "globals": global_lists,
    "longval": longval,
    "deepif": deepif,
    "chain": chain,
    "ifs": ifs,
}


def prepare(kind: str, number: int, folder: Path) -> None:
    """Write an input: the folder `templates` and the file `input.data`."""
    made = KINDS[kind](number)
    for group in ("document", "block"):
        (folder / "templates" / group).mkdir(parents=True)
    for name, text in made.templates.items():
        (folder / "templates" / f"{name}.tpl").write_text(text, newline="")
    (folder / "input.data").write_text("".join(f"{line}\n" for line in made.lines), newline="")


class Measured(NamedTuple):
    """Median CPU seconds, greatest peak memory in KiB, the output's SHA-256."""

    seconds: float
    kib: int
    digest: str


def measure(command: list[str], runs: int) -> Measured:
    """Run a command several times."""
    seconds: list[float] = []
    kib = 0
    while len(seconds) < runs:
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(command, stdout=out)
            _pid, status, usage = os.wait4(process.pid, 0)
            if status:
                sys.exit(f"{' '.join(command)} failed")
            out.seek(0)
            digest = hashlib.file_digest(out, "sha256").hexdigest()
        seconds.append(usage.ru_utime + usage.ru_stime)
        kib = max(kib, usage.ru_maxrss)
    return Measured(statistics.median(seconds), kib, digest)


def row(kind: str, number: int, runs: int) -> str:
    """Measure one input; returns the row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        # A process's peak memory begins with that of the one that started it. So this one stays small.
        subprocess.run([sys.executable, __file__, "prepare", kind, str(number), folder], check=True)
        ours = measure([str(PROGRAM), f"{folder}/templates", f"{folder}/input.data"], runs)
    cells = f"{kind:8} {number:6} {ours.seconds:9.4f} {ours.kib:8}"
    original = ORIGINAL.get((kind, number))
    if original is None:
        return f"{cells} {'-':>9} {'-':>8} {'-':>6} {'-':>6}  -"
    ratios = f"{ours.seconds / original.seconds:6.2f} {ours.kib / original.kib:6.2f}"
    same = ours.digest.startswith(original.digest)
    return f"{cells} {original.seconds:9.4f} {original.kib:8} {ratios}  {'same' if same else 'DIFFERS'}"


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["prepare"]:
        return prepare(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    kinds = sys.argv[2:] or list(KINDS)
    print("                 mist_gen             original            ours / original")
    print("kind          n   CPU [s]      KiB   CPU [s]      KiB    CPU    mem  output")
    for label, command in (("python", [sys.executable, "-c", "pass"]), ("usage", [str(PROGRAM)])):
        idle = measure(command, 3 * runs)
        print(f"{label:8} {'':6} {idle.seconds:9.4f} {idle.kib:8}")
    for kind in kinds:
        sizes = sorted({2000, 20000} | {number for known, number in ORIGINAL if known == kind})
        for number in sizes:
            print(row(kind, number, runs), flush=True)
    return None


if __name__ == "__main__":
    main()
