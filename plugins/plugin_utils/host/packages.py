# SPDX-License-Identifier: GPL-3.0-or-later
"""Package names per family of systems (``data/packages.yml``): read, checked, written for hosts and for people."""

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..base import datafile, paths
from ..base.datafile import Node
from ..base.errors import InputError

DEFAULT = paths.data("packages.yml")
MANAGERS = ("apt", "dnf", "zypper", "none")
"""Each but ``none`` has a program, ``sh/packages_NAME.sh``."""
NEEDED = ("headers", "compiler", "make", "libc", "elf", "kmod", "tar")
"""What every family names."""
OPTIONAL = ("compiler_version", "kernel", "kernel_extra", "multiversion")
PLACEHOLDERS = ("release", "version", "flavour", "-flavour", "gcc")
_LISTS = ("headers", "multiversion")
_WORD = re.compile(r"[a-z][a-z0-9._-]*\Z")
_COMMAND = re.compile(r"[a-z][A-Za-z0-9 -]*\Z")
_TEMPLATE = re.compile(r"[A-Za-z0-9{][A-Za-z0-9._+:{}-]*( = [A-Za-z0-9._+{}-]+)?\Z")


class Family(NamedTuple):
    """A family of systems: its name, words of os-release, manager, a person's command, names per purpose."""

    name: str
    ids: tuple[str, ...]
    manager: str
    command: str
    packages: dict[str, tuple[str, ...]]


def load(path: str = DEFAULT) -> list[Family]:
    """Return the families of a file; raises InputError naming file and line of every mistake."""
    problems: list[object] = []
    families: list[Family] = []
    root = datafile.load(path).mapping({"families": "list"})
    for node in root["families"].items():
        try:
            families.append(_family(node))
        except InputError as error:
            problems += error.problems
    seen: dict[str, str] = {}
    for family in families:
        for word in family.ids:
            if word in seen:
                problems.append(f"{path}:{root['families'].line}: '{word}' is in the ids of {seen[word]} and of "
                                f"{family.name}; once is allowed")
            seen[word] = family.name
    if problems:
        raise InputError(*problems)
    return families


def _family(node: Node) -> Family:
    kinds = dict.fromkeys(NEEDED, "any")
    values = node.mapping({"name": "text", "ids": "list", "manager": "text", "command": "text", **kinds},
                          dict.fromkeys(OPTIONAL, "any"))
    if values["manager"].value not in MANAGERS:
        raise values["manager"].error(f"no manager '{values['manager'].value}'; known are: {', '.join(MANAGERS)}")
    if values["manager"].value != "none" and "kernel" not in values:
        raise node.error("'kernel' is missing; a family with a manager needs it")
    if not _COMMAND.match(values["command"].text()):
        raise values["command"].error("'command' must be the words of a command")
    ids = tuple(_matching(word, _WORD, "a word of os-release") for word in values["ids"].items())
    packages = {what: _templates(values[what], what) for what in (*NEEDED, *OPTIONAL) if what in values}
    return Family(values["name"].text(), ids, values["manager"].value, values["command"].text(), packages)


def _templates(node: Node, what: str) -> tuple[str, ...]:
    if isinstance(node.value, list) and what not in _LISTS:
        raise node.error(f"'{what}' must be one package")
    return tuple(_template(item) for item in node.items())


def _template(node: Node) -> str:
    text = _matching(node, _TEMPLATE, "the name of a package or a capability 'NAME = VERSION'")
    for word in re.findall(r"\{([^}]*)\}", text):
        if word not in PLACEHOLDERS:
            raise node.error(f"unknown placeholder '{{{word}}}'; known are: "
                             + ", ".join(f"{{{name}}}" for name in PLACEHOLDERS))
    if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", text)):
        raise node.error(f"a brace of '{text}' has no partner")
    return text


def _matching(node: Node, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(node.value, str) or not pattern.match(node.value) or len(node.value) > 200:
        raise node.error(f"'{node.value}' is not {what}")
    return node.value


def lines(families: Iterable[Family]) -> list[str]:
    """Return the lines that a host gets: ``NUMBER WHAT VALUE``, for ids, manager and every purpose."""
    said = []
    for number, family in enumerate(families):
        said += [f"{number} name {family.name}", f"{number} ids {' '.join(family.ids)}",
                 f"{number} manager {family.manager}"]
        said += [f"{number} {what} {name}" for what, names in family.packages.items() for name in names]
    return said


def programs(families: Iterable[Family]) -> list[str]:
    """Return the names of the sh programs that install packages on a host of one of `families`."""
    managers = dict.fromkeys(family.manager for family in families if family.manager != "none")
    return ["prepared", "packages_choose", *(f"packages_{name}" for name in managers), "host_packages"]


def family_of(families: Iterable[Family], words: Iterable[str]) -> Family | None:
    """Return the family that the first of `words` (ID and ID_LIKE of os-release) belongs to."""
    known = {word: family for family in reversed(list(families)) for word in family.ids}
    return next((known[word] for word in words if word in known), None)


def advice(families: Iterable[Family], facts: Mapping[str, Any], purposes: Iterable[str]) -> str:
    """Return the command by which a person installs `purposes` on the host of `facts`, or nothing if unknown."""
    family = family_of(families, [facts.get("os_id", ""), *facts.get("os_like", [])])
    if family is None:
        return ""
    release = str(facts.get("release", ""))
    flavour = str(facts.get("flavour", ""))
    version = release.removesuffix(flavour)[:-1] if flavour else release
    values = {"release": release, "version": version, "flavour": flavour or "default",
              "-flavour": f"-{flavour}" if flavour else "", "gcc": ""}
    names = [shlex.quote(re.sub(r"\{([^}]*)\}", lambda match: values[match[1]], family.packages[what][-1]))
             for what in purposes]
    return f"{family.command} {' '.join(names)}"
