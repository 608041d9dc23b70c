# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a host's kernel: the dictionary that is made of the answer of a host."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ..base.errors import ForeignError
from ..base.foreign import printable
from . import modules, packages
from .shell import Answer

PURPOSES = (*packages.NEEDED, "compiler_version")
_PRIVATE = re.compile(r"/(tmp|var/tmp|run|root)/kedr-[0-9A-Za-z-]+\Z")
_INSTANCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")
_TREE = re.compile(r"/[A-Za-z0-9/._+~-]+\Z")
_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*\Z")
_COMPILER = re.compile(r"\S*gcc|\S*linux-gnu|[^@]*clang")
"""How a compiler's name begins; distributions write their own before that of clang."""
MAX_VERSION = 2000
"""Characters of ``/proc/version`` that are looked at; a kernel's has some hundreds."""
MAX_OS_RELEASE = 10_000
"""Characters of ``os-release`` that are looked at; a system's has some hundreds."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def facts_of_answer(answer: Answer) -> dict[str, Any]:
    """Return the facts in `answer`; raises ForeignError when a name in it cannot be one."""
    system = parse_os_release(answer.text("os_release"))
    lockdown = re.search(r"\[(\w+)\]", answer.one("lockdown")[:200])
    sums = [answer.one("config_sum"), answer.one("symvers_sum")]
    tree = answer.one("kernel_tree")
    return {
        "release": _checked(_RELEASE, answer.one("release"), "kernel release"),
        "flavour": _plain(answer.one("flavour")),
        "build": _plain(answer.one("build")),
        "machine": _checked(_RELEASE, answer.one("machine"), "machine"),
        "system": system.get("PRETTY_NAME", "unknown"),
        "os_id": system.get("ID", ""),
        "os_like": system.get("ID_LIKE", "").split(),
        "os_version": system.get("VERSION_ID", ""),
        "compiler": _plain(answer.one("compiler")),
        "kernel_compiler": kernel_compiler(answer.text("version")),
        "kernel_tree": _checked(_TREE, tree, "kernel tree") if tree else "",
        "config_sum": _plain(":".join(sums) if sums[0] else ""),
        "exports": _names(_IDENTIFIER, answer.text("exports").split(), "exported symbol"),
        "config": _names(_IDENTIFIER, answer.text("config").split(), "configuration symbol"),
        "tracefs": _plain(answer.one("tracefs")),
        "instances": answer.one("instances") == "yes",
        "clocks": [word.strip("[]") for word in _plain(answer.text("clocks")).split()],
        "taint": answer.number("taint"),
        "modules": module_names(answer.text("modules")),
        "lockdown": lockdown.group(1) if lockdown else "",
        "sig_enforce": answer.one("sig_enforce") == "Y",
        "trusted_keys": [_plain(line.strip()) for line in answer.text("keys").splitlines() if line.strip()],
        "lacks": lacking(answer.all("lacks")),
        "cpus": answer.number("cpus"),
        "boot_id": _plain(answer.one("boot")),
        "uptime": seconds(answer.one("uptime")),
        "tools": {name: yes == "yes" for name, _blank, yes in
                  (line.partition(" ") for line in answer.all("tool"))},
        "leftovers": {
            "modules": [{"name": name} for name in _names(modules.NAME, answer.all("left_module"), "module")],
            "instances": _names(_INSTANCE, answer.all("left_instance"), "trace instance"),
            "programs": _names(_PRIVATE, answer.all("ended_program"), "private directory"),
        },
        "target_loaded": answer.one("target_loaded") == "yes",
        "root": answer.one("root") == "yes",
        "marker": answer.one("marker") == "yes",
    }


def lacking(purposes: list[str]) -> list[str]:
    """Return `purposes` of packages as a host named them; raises ForeignError for an unknown one."""
    for name in purposes:
        if name not in PURPOSES:
            raise ForeignError(f"the host says that it lacks '{printable(name, 80)}', which means nothing")
    return purposes


def module_names(text: str) -> list[str]:
    """Return the names in the text of ``/proc/modules``, sorted."""
    return sorted(_names(modules.NAME, [line.split()[0] for line in text.splitlines() if line.strip()], "module"))


def parse_os_release(text: str) -> dict[str, str]:
    """Return the assignments of an ``os-release`` file; other lines are left out."""
    found = {}
    for line in text[:MAX_OS_RELEASE].splitlines():
        name, equals, value = line.partition("=")
        if not equals or not _IDENTIFIER.match(name):
            continue
        try:
            found[name] = _plain("".join(shlex.split(value)))
        except ValueError:
            found[name] = _plain(value.strip("\"'"))
    return found


def kernel_compiler(version: str) -> str:
    """Return the compiler that ``/proc/version`` names, or nothing."""
    for group in _groups(version[:MAX_VERSION]):
        if _COMPILER.match(re.sub(r"\([^()]*\)", "", group)):
            return _plain(group.strip())
    return ""


def _groups(text: str) -> Iterator[str]:
    """Yield what stands in brackets that are in no others."""
    depth = start = 0
    for place, char in enumerate(text):
        depth += {"(": 1, ")": -1 if depth else 0}.get(char, 0)
        if char == "(" and depth == 1:
            start = place + 1
        elif char == ")" and start and not depth:
            yield text[start:place]
            start = 0


def clang(facts: Mapping[str, Any]) -> str:
    """Return the clang that built the kernel that `facts` describe, or nothing when it was another compiler."""
    found = re.search(r"clang version [0-9][0-9.]*", str(facts.get("kernel_compiler", "")))
    if found:
        return found.group().replace(" version", "")
    return "clang" if "CONFIG_CC_IS_CLANG" in facts.get("config", []) else ""


def headers_package(facts: Mapping[str, Any]) -> str:
    """Return what installs the kernel's headers on the system that `facts` describe."""
    return packages.advice(packages.load(), facts, ["headers"]) or \
        f"the package with the headers of kernel {facts['release']}"


def compiler_packages(facts: Mapping[str, Any]) -> str:
    """Return what installs gcc and make on the system that `facts` describe."""
    return packages.advice(packages.load(), facts, ["compiler", "make", "libc", "elf"]) or "gcc and make"


def _plain(text: str) -> str:
    return printable(text, 500)


def seconds(text: str) -> float:
    """Return a number of seconds as the kernel writes it; anything else is 0."""
    return float(text) if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text) else 0.0


def _checked(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.match(text) or ".." in text or len(text) > 200:
        raise ForeignError(f"the host named '{printable(text, 100)}' as its {what}")
    return text


def _names(pattern: re.Pattern[str], names: list[str], what: str) -> list[str]:
    return [_checked(pattern, name, what) for name in names]
