# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles parts of the controller in user space, together with a test program of this folder.

The sources of the controller are compiled as they are. What they include of the kernel is stand_in.h, what the
probes would answer is in CONFIG.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNEL = HERE.parents[1] / "kernel"
ARCH = ("arch/x86/branch", "arch/x86/insn_length", "arch/x86/opcodes")
PARTS = (*ARCH, "search", "lookup", "area")
CONFIG = ("MODULE_MEM", "MODULE_KALLSYMS", "MODULE_NOINSTR")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-pointer-arith", "-Wno-sign-compare", "-Wno-unused-parameter")

# How the search is watched: its calls of the decoder go to a function of the test.
WATCHED = ("-Dkedr_arch_decode=watched_decode",)


class BuildError(Exception):
    """The compiler refused a source; the text is what it said."""


def headers(directory: Path, sources: Sequence[Path]) -> Path:
    """Make a folder in which every <linux/...> that the sources include is stand_in.h; returns the folder.

    <linux/errno.h> stays that of the system: the C library's <errno.h>, which stand_in.h includes, leads there.
    """
    include = directory / "include"
    for source in [*sources, KERNEL / "controller" / "controller.h", *(KERNEL / "include").rglob("*.h")]:
        for name in re.findall(r"^#include <((?:linux|asm)/[\w/]+\.h)>", source.read_text(), re.MULTILINE):
            if name == "linux/errno.h":
                continue
            place = include / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text('#include "stand_in.h"\n')
    config = include / "kedr" / "config.h"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("".join(f"#define KEDR_HAVE_{name} 1\n" for name in CONFIG))
    return include


def program(
    directory: Path,
    name: str,
    *more: str,
    bits: int = 64,
    padding: int = 0,
    flags: Sequence[str] = (),
    parts: Sequence[str] = PARTS,
    controller: Path = KERNEL / "controller",
    objects: Path | None = None,
) -> Path:
    """Compile NAME.c and MORE of this folder with parts of the controller; returns the program.

    `bits` says what kind of code the controller expects; the program itself runs natively.  `padding` is the
    number of bytes before functions on kernels with call depth tracking, 0 on others.  `objects` is a folder where
    object files of several programs are kept, named by what they are made from.
    """
    place = directory / f"{name}-{bits}-{padding}"
    place.mkdir(parents=True, exist_ok=True)
    sources = [controller / f"{part}.c" for part in parts]
    defines = ["-DCONFIG_X86_64"] if bits == 64 else []
    if padding:
        defines += ["-DCONFIG_CALL_THUNKS", f"-DCONFIG_FUNCTION_PADDING_BYTES={padding}"]
    include = headers(place, sources)
    options = ["-O2", *WARNINGS, *defines, *flags]
    places = [f"-I{path}" for path in (HERE, include, KERNEL / "include", controller)]
    made = []
    for source in [*sources, *(HERE / f"{each}.c" for each in (name, "stand_in", *more))]:
        watched = WATCHED if source.name == "search.c" else ()
        own = [source, *sorted(controller.rglob("*.h")), *sorted(HERE.glob("*.h"))]
        made.append(compiled(own, [*options, *watched], places, objects or place))
    run(["cc", *flags, "-o", str(place / name), *map(str, made)])
    return place / name


def compiled(own: Sequence[Path], options: Sequence[str], places: Sequence[str], objects: Path) -> Path:
    """Compile the first of some files, a source and its headers, unless the folder has its object.

    The name of an object tells what it is made from.
    """
    text = b"".join(path.read_bytes() for path in own) + " ".join(options).encode()
    target = objects / f"{own[0].stem}-{hashlib.sha256(text).hexdigest()[:16]}.o"
    if not target.exists():
        run(["cc", *options, *places, "-c", "-o", str(target), str(own[0])])
    return target


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(done.stderr)
