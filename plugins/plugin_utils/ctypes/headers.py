# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel's build tree says: which symbols it exports, and which header declares a function."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..base.errors import ForeignError

_INCLUDE = re.compile(r"^[ \t]*include[ \t]+(\S+)/Makefile[ \t]*$", re.MULTILINE)
_COMMENT = re.compile(rb"/\*.*?(?:\*/|\Z)|//[^\n]*", re.DOTALL)
_DIRECTIVE = re.compile(rb"^[ \t]*#[^\n\\]*(?:\\.[^\n\\]*)*", re.MULTILINE | re.DOTALL)
_BRACKETS = re.compile(rb"\([^()]*\)")
_HEAD = re.compile(rb"[\d\s*]*[A-Za-z_][\w\s*]*\Z")
_HEAD_MAX = 500  # bytes between the statement before and the name
_CALLING = re.compile(rb"\b(?:return|else|case|goto|typedef|define|if|while|for|do|switch)\b|=")
_MAKEFILE_MAX = 1 << 16
_HEADER_MAX = 4 << 20  # bytes; the longest of 7.3 has 550 kB
_SKIPPED = ("generated", "config", "uapi", "trace", "kunit", "kvm", "dt-bindings")


@dataclass(frozen=True)
class Export:
    """Who exports a symbol: a module's path without suffix or vmlinux; the namespace is '' for most."""

    module: str
    namespace: str


@dataclass(frozen=True, order=True)
class Declaration:
    """Where a function is declared; ``nothing`` says that it takes and returns nothing."""

    rank: tuple[int, int, str]
    header: str
    nothing: bool


class Tree:
    """The build tree of a kernel, as /lib/modules/RELEASE/build."""

    def __init__(self, path: str) -> None:
        """Look at the tree; ForeignError if there are no headers in it."""
        self.path = path
        self.roots = [root for root in self._roots() if os.path.isdir(os.path.join(root, "include"))]
        if not any(os.path.isdir(os.path.join(root, "include", "linux")) for root in self.roots):
            raise ForeignError(f"{path}: is not a kernel's build tree; give a directory as /lib/modules/RELEASE/build")

    def _roots(self) -> Iterator[str]:
        """Return the tree itself, and the one that its Makefile includes or ``source`` names."""
        yield self.path
        yield os.path.join(self.path, "source")
        try:
            with open(os.path.join(self.path, "Makefile"), encoding="utf-8", errors="replace") as file:
                makefile = file.read(_MAKEFILE_MAX)
        except OSError:
            return
        for directory in _INCLUDE.findall(makefile):
            yield directory
            yield os.path.join(os.path.dirname(os.path.realpath(self.path)), os.path.basename(directory))

    def exports(self) -> dict[str, Export]:
        """Return every exported symbol by Module.symvers; empty without that file."""
        found: dict[str, Export] = {}
        try:
            with open(os.path.join(self.path, "Module.symvers"), encoding="utf-8", errors="replace") as file:
                for line in file:
                    fields = line.rstrip("\n").split("\t")
                    if len(fields) >= 4:
                        found[fields[1]] = Export(fields[2], fields[4] if len(fields) > 4 else "")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ForeignError(f"{self.path}/Module.symvers: cannot be read: {error.strerror}") from None
        return found

    def declared(self, names: Iterable[str]) -> dict[str, Declaration]:
        """Return the declaration of each function that has one, with its header as in ``#include <...>``."""
        wanted = {name: name.encode() for name in names}
        best: dict[str, Declaration] = {}
        if not wanted:
            return {}
        for path, include in self._headers():
            data = _read(path)
            named = [name for name, text in wanted.items() if text in data]
            code = _code(data) if named else b""
            for name in named:
                nothing = _declares(code, wanted[name])
                if nothing is not None:
                    one = Declaration(_rank(include), include, nothing)
                    best[name] = min(best.get(name, one), one)
        return {name: replace(one, header=self._public(one.header)) for name, one in best.items()}

    def _public(self, include: str) -> str:
        """Return the header that is meant to be included for one of a machine: <linux/io.h> for <asm/io.h>."""
        folder, _slash, name = include.rpartition("/")
        wanted = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*<asm/" + re.escape(name.encode()) + rb">", re.MULTILINE)
        for root in self.roots if folder == "asm" else []:
            if wanted.search(_read(os.path.join(root, "include", "linux", name))):
                return f"linux/{name}"
        return include

    def _headers(self) -> Iterator[tuple[str, str]]:
        """Return path of each header and how a program includes it."""
        seen: set[str] = set()
        for root in self.roots:
            folders = [os.path.join(root, "include")]
            arch = os.path.join(root, "arch")
            if os.path.isdir(arch):
                folders += [os.path.join(arch, name, "include") for name in sorted(os.listdir(arch))]
            for folder in folders:
                real = os.path.realpath(folder)
                if real in seen:
                    continue
                seen.add(real)
                yield from _below(real)


def _below(folder: str) -> Iterator[tuple[str, str]]:
    for directory, folders, files in os.walk(folder):
        relative = os.path.relpath(directory, folder)
        folders[:] = sorted(name for name in folders if relative != "." or name not in _SKIPPED)
        for name in sorted(files):
            if name.endswith(".h"):
                include = os.path.normpath(os.path.join(relative, name)).replace("asm-generic/", "asm/")
                yield os.path.join(directory, name), include


def _rank(include: str) -> tuple[int, int, str]:
    """Return a key that sorts headers for everybody before those of one subsystem or machine."""
    folders = include.split("/")
    if folders[0] == "linux":
        return len(folders), len(include), include
    return 10 + len(folders), len(include), include


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEADER_MAX)
    except OSError:
        return b""


def _code(data: bytes) -> bytes:
    """Return a header without comments and preprocessor lines, each of which ends a statement here."""
    return _DIRECTIVE.sub(b";", _COMMENT.sub(b" ", data))


def _declares(code: bytes, name: bytes) -> bool | None:
    """Return whether a function takes and returns nothing; None without a prototype, or when it is inline."""
    for match in re.finditer(rb"\b" + re.escape(name) + rb"\s*\(", code):
        start = max(code.rfind(mark, 0, match.start()) for mark in (b";", b"{", b"}")) + 1
        head = code[max(start, match.start() - _HEAD_MAX) : match.start()]
        if not _is_head(head):
            continue
        end = _closing(code, match.end())
        tail = code[end : end + 500]
        stop = re.search(rb"[;{=]", tail)
        if end and stop and stop.group() == b";":
            parameters = code[match.end() : end - 1].strip()
            return parameters in (b"", b"void") and b"*" not in head and b"void" in head.split()
    return None


def _is_head(text: bytes) -> bool:
    """Return whether this can stand before the name in a declaration: words, stars, attributes in brackets."""
    for _depth in range(3):
        text = _BRACKETS.sub(b" ", text)
    return _HEAD.match(text) is not None and not _CALLING.search(text)


def _closing(code: bytes, position: int) -> int:
    """Return the place after the bracket that closes the one before ``position``, 0 if there is none."""
    depth = 1
    for match in re.finditer(rb"[()]", code[position : position + 5000]):
        depth += 1 if match.group() == b"(" else -1
        if not depth:
            return position + match.end()
    return 0
