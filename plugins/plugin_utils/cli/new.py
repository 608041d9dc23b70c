# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``kedr new``: names of functions in, a payload description out."""

import argparse
import os
import pwd
import stat
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..base import confine, paths
from ..base.errors import InputError
from ..base.files import whole_file
from ..base.foreign import printable
from ..base.output import write_all
from ..base.packages import need
from ..ctypes.btf import Btf
from ..ctypes.btf_file import read_btf
from ..ctypes.cdecl import is_identifier
from ..ctypes.headers import Export, Tree
from ..payload import describe, draft, special
from ..payload.describe import Described, Knowledge, RefusedError
from ..payload.lint import line_of
from ..payload.model import FunctionDb
from ..payload.read import read_payload

LIMITS = confine.Limits(memory=256 << 20, drops=False, files=True)
"""Limits for reading a kernel; the user's own permissions decide about files."""
_SUFFIXES = (".ko", ".ko.xz", ".ko.gz", ".ko.zst")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = (
        "Prototypes are those of the kernel's BTF. Without it a skeleton is written that says what to fill in. "
        "Exit status: 0 when a function was described, 1 when none could be, 2 for wrong use."
    )
    parser.add_argument("function", metavar="FUNCTION", nargs="*", help="function to intercept")
    parser.add_argument("--vmlinux", metavar="FILE", help="the kernel: raw BTF as /sys/kernel/btf/vmlinux, or an image")
    parser.add_argument(
        "--btf", metavar="FILE", action="append", default=[],
        help="a module (.ko, compressed or not, or raw BTF); or, with --headers, the directory of all modules",
    )  # fmt: skip
    parser.add_argument("--headers", metavar="DIR", help="the kernel's build tree, to find headers and exports in")
    parser.add_argument("--functions", metavar="FILE", help="table of symbols (default: the collection's)")
    parser.add_argument("--module", metavar="NAME", help="name of the payload (default: my_FUNCTION)")
    parser.add_argument("--author", metavar="NAME", help="author of the payload (default: the user's name)")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (default: standard output)")
    parser.add_argument("-f", "--force", action="store_true", help="replace the output file if it is there")
    parser.add_argument("--survey", action="store_true", help="count what can be described of all exports of --headers")


def run(options: argparse.Namespace) -> int:
    """Write a description; returns 1 when no function can be described.  Raises KedrError, OSError."""
    if bool(options.function) == options.survey:
        raise InputError("name functions, or give --survey and none")
    if options.function and not options.vmlinux and (options.headers or options.functions):
        raise InputError("--headers and --functions need the kernel's types; give them with --vmlinux")
    return _survey(options) if options.survey else _new(options)


def _say(text: str) -> None:
    print(printable(f"kedr new: {text}"), file=sys.stderr)


# What is known


class Kernel:
    """The BTF files of one kernel.  Those of modules are read when a function needs them."""

    def __init__(self, vmlinux: str | None, modules: Sequence[str], exports: Mapping[str, Export]) -> None:
        self.exports = exports
        self.base = read_btf(vmlinux) if vmlinux else None
        self.folders = [path for path in modules if os.path.isdir(path)]
        if self.folders and not exports:
            raise InputError(f"{self.folders[0]}: a directory of modules needs --headers with a Module.symvers")
        self.parts = [self.base] if self.base else []
        self.parts += [self.module(path) for path in modules if path not in self.folders]
        self.read: dict[str, Btf | None] = {}

    def module(self, path: str) -> Btf:
        """Read the BTF of one module file.  Raises InputError, ForeignError."""
        if self.base is None:
            raise InputError(f"{path}: the BTF of a module needs that of its kernel; give it with --vmlinux")
        return read_btf(path, self.base)

    def find(self, symbol: str) -> tuple[Btf, int] | None:
        """Return the BTF that has a function, and the function's number in it."""
        for btf in self.parts:
            if symbol in btf.functions:
                return btf, btf.functions[symbol][0]
        export = self.exports.get(symbol)
        btf_of_module = self.exporter(export.module) if export and self.folders else None
        if btf_of_module and symbol in btf_of_module.functions:
            return btf_of_module, btf_of_module.functions[symbol][0]
        return None

    def exporter(self, module: str) -> Btf | None:
        """Return the BTF of a module, named as in Module.symvers; None if its file is missing."""
        if module not in self.read:
            places = [os.path.join(folder, *more, module) for folder in self.folders for more in ((), ("kernel",))]
            files = [place + suffix for place in places for suffix in _SUFFIXES]
            path = next((path for path in files if os.path.isfile(path)), None)
            self.read[module] = self.module(path) if path else None
        return self.read[module]


def _candidates(path: str) -> FunctionDb:
    need("yaml")
    from ..payload.functions import load_functions

    return load_functions(path)


def _knowledge(options: argparse.Namespace) -> tuple[Knowledge, Tree | None]:
    tree = Tree(options.headers) if options.headers else None
    exports = tree.exports() if tree else {}
    kernel = Kernel(options.vmlinux, options.btf, exports)
    table = options.functions or paths.data("functions.yml")
    candidates = _candidates(table)
    own = exports or {name for btf in kernel.parts for name in btf.functions}
    return Knowledge(kernel.find, exports, candidates, [*candidates, *own]), tree


# One description


def _new(options: argparse.Namespace) -> int:
    names = list(dict.fromkeys(options.function))
    if options.vmlinux or options.btf:
        text, described, refused = _confined(lambda: _from_btf(names, options))
    else:
        text, described, refused = _empty(names, options)
    for name, reason in refused.items():
        _say(f"{name}: {reason}")
    if not described:
        _say("error: none of the functions can be described; nothing was written")
        return 1
    problems = read_payload(text.encode("utf-8", "surrogateescape"), options.output or "<output>").problems
    if problems:
        raise InputError("the description would not be right:\n" + "\n".join(map(line_of, problems)))
    _write(text.encode("utf-8", "surrogateescape"), options.output, options.force)
    return 0


def _confined(read: Callable[[], Any]) -> Any:
    """Return what ``read`` returns, with limited memory and time: the files of a kernel may hold anything."""
    return confine.call(read, LIMITS)


def _from_btf(names: Sequence[str], options: argparse.Namespace) -> tuple[str, list[str], dict[str, str]]:
    knowledge, tree = _knowledge(options)
    described: dict[str, Described] = {}
    refused: dict[str, str] = {}
    for name in names:
        try:
            one = describe.describe(name, knowledge)
        except RefusedError as error:
            refused[name] = str(error)
            continue
        owner = described.setdefault(one.symbol, one)
        if owner is not one:
            refused[name] = f"is {one.symbol} as {owner.name} is; a symbol is replaced once"
    declarations = tree.declared(described) if tree else {}
    wrong = {symbol: describe.assembly(one, declarations) for symbol, one in described.items()}
    refused |= {described[symbol].name: reason for symbol, reason in wrong.items() if reason}
    functions = [one for symbol, one in described.items() if not wrong[symbol]]
    headers = {symbol: one.header for symbol, one in declarations.items() if not wrong.get(symbol)}
    about = "Made by kedr new from the types of a kernel; docs/writing-a-payload.md says what may be changed."
    accepted = [one.name for one in functions]
    module = _module(options, accepted or names, about)
    return draft.write(module, functions, headers, refused), accepted, refused


def _empty(names: Sequence[str], options: argparse.Namespace) -> tuple[str, list[str], dict[str, str]]:
    refused = {name: "is not a name of a function" for name in names if not is_identifier(name)}
    refused |= {name: f"{name} cannot be replaced: {reason}" for name in names if (reason := special.denied(name))}
    accepted = [name for name in names if name not in refused]
    about = "Made by kedr new without the types of a kernel: fill in what the comments show."
    return draft.skeleton(_module(options, accepted or names, about), accepted), accepted, refused


def _module(options: argparse.Namespace, names: Sequence[str], about: str) -> draft.Preamble:
    author = options.author or _user()
    for option, value in (("--author", author), ("--module", options.module or "")):
        if not value.isprintable() or value.endswith("\\"):
            raise InputError(f"{option} must be one line of printable characters that does not end with a backslash")
    return draft.Preamble(options.module or draft.module_name(names), author, about)


def _user() -> str:
    """Return the name of the user who runs the command."""
    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        return "unknown"
    name = entry.pw_gecos.split(",")[0].strip() or entry.pw_name
    return name if name.isprintable() and not name.endswith("\\") else "unknown"


def _write(data: bytes, path: str | None, force: bool) -> None:
    """Write all or nothing: a file that is there stays as it is until the new one is whole."""
    if path is None:
        write_all(1, data)
        return
    try:
        if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            _write_into(path, data)
        else:
            _replace(os.path.realpath(path), data, force)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def _write_into(path: str, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        write_all(handle, data)
    finally:
        os.close(handle)


def _replace(path: str, data: bytes, force: bool) -> None:
    if os.path.exists(path) and not force:
        raise InputError(f"{path}: is there already; give another name, or --force to replace it")
    with whole_file(path, mode=0o666) as stream:
        stream.write(data)


# All exports


def _survey(options: argparse.Namespace) -> int:
    """Print how many of the exported functions can be described, and why the others cannot."""
    print("\n".join(_confined(lambda: _surveyed(options))))
    return 0


def _surveyed(options: argparse.Namespace) -> list[str]:
    if not options.headers or not options.vmlinux:
        raise InputError("--survey needs --vmlinux and --headers, and --btf for the functions of modules")
    knowledge, tree = _knowledge(options)
    if not knowledge.exports:
        raise InputError(f"{options.headers}: has no Module.symvers, so it is not known what the kernel exports")
    plain = Knowledge(knowledge.find, knowledge.exports)
    kinds_of: dict[str, str] = {}
    bare: dict[str, Described] = {}
    for symbol in knowledge.exports:
        try:
            one = describe.describe(symbol, plain)
            kinds_of[symbol] = "describable"
        except RefusedError as error:
            kinds_of[symbol] = error.kind
            continue
        if one.bare:
            bare[symbol] = one
    declarations = tree.declared(bare) if tree else {}
    kinds_of |= {symbol: "assembly" for symbol, one in bare.items() if describe.assembly(one, declarations)}
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for symbol, export in knowledge.exports.items():
        counts[export.module == "vmlinux"][kinds_of[symbol]] += 1
    kinds = [kind for kind, _count in (counts[True] + counts[False]).most_common()]
    lines = [f"{'':24}{'kernel':>8}{'modules':>9}{'all':>8}"]
    for kind in [*kinds, ""]:
        kernel, modules = (count[kind] if kind else count.total() for count in (counts[True], counts[False]))
        lines.append(f"{_KINDS.get(kind, kind):24}{kernel:8}{modules:9}{kernel + modules:8}")
    return lines


_KINDS = {
    "": "exported symbols", "by value": "structure by value", "convention": "convention of its own",
    "unspeakable": "type without a name", "unknown": "no function in the BTF", "name": "no name of a function",
}
