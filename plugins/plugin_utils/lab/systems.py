# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the matrix: data/systems.yml and files like it, read strictly; their hosts, groups and variables.

A mistake is reported as ``file:line`` with what is allowed there. Rows are data, perhaps of somebody else: they name
only files beside them, and set no variable that would run a program on the control node.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from ..base import paths
from ..base.datafile import Node, load
from ..base.errors import InputError, KedrError
from ..host import modules, ssh_legacy
from .places import cache_root, is_inside, kernels_dir
from .spec import NAME, load_guests

PLUGIN = "kedr.lab.systems"
GROUPS = ("seed", "base", "variant", "target", "cloud")
"""Parts of the matrix."""

ARCHITECTURES = ("i386", "x86_64")
SHIPPED = paths.data("systems.yml")
"""The rows that come with the collection."""

_SERIES = re.compile(r"\b(2\.6\.[0-9]+|[0-9]+\.(?:[0-9]+|x))\b")
_LOCAL = ("localhost", "127.0.0.1", "::1")
"""What Ansible calls the control node."""

_FILE_KEYS = {"plugin": "text", "systems": "list"}
_WORDS = {"name": "text", "system": "text", "kernel": "text", "arch": "text", "group": "text", "why": "text"}
_MORE = {
    "variant": "text", "image": "mapping", "guest": "mapping", "remote": "mapping", "target": "text",
    "target_params": "mapping", "payloads": "list", "expect": "text", "exercise": "text", "console": "text",
    "ssh": "text", "checked": "text",
}


def _is(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not _is_bool(value) and 0 < value < 65536


_USER = (_is(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}"), "the name of a user")
_BOOL = (_is_bool, "true or false")
_REMOTE = {
    "ansible_host": (_is(r"[A-Za-z0-9_:][A-Za-z0-9._:%-]{0,254}"), "the name or the address of a host"),
    "ansible_port": (_is_port, "a number from 1 to 65535"),
    "ansible_user": _USER,
    "ansible_ssh_private_key_file": (_is(r"~?/[A-Za-z0-9._/ @+-]+"), "an absolute path, or one that begins with ~/"),
    "ansible_ssh_executable": (lambda value: value in ssh_legacy.CLIENTS, f"one of {', '.join(ssh_legacy.CLIENTS)}"),
    "ansible_become": _BOOL,
    "ansible_become_method": (_is("sudo|su"), "sudo or su"),
    "ansible_become_user": _USER,
    "host_install_packages": _BOOL,
    "kedr_test_host": _BOOL,
    "kedr_upgrade_kernel": _BOOL,
}
"""The variables that ``remote`` may hold: a check of the value, and words for what it must be."""


@dataclass(frozen=True)
class Row:
    """One system. Files are absolute paths; ``image`` and ``guest`` are as the lab takes them.

    ``remote`` holds inventory variables.
    """

    name: str
    system: str
    kernel: str
    arch: str
    group: str
    why: str
    place: Node
    variant: str = ""
    image: Mapping[str, Any] | None = None
    guest: Mapping[str, Any] = field(default_factory=dict)
    remote: Mapping[str, Any] | None = None
    target: str = ""
    target_params: Mapping[str, str] = field(default_factory=dict)
    payloads: tuple[str, ...] = ()
    expect: str = ""
    exercise: str = ""
    console: str = ""
    ssh: str = ""
    checked: str = ""

    @property
    def is_host(self) -> bool:
        """Can the row be run at all?"""
        return self.image is not None or self.remote is not None

    def groups(self) -> list[str]:
        """Names of the inventory groups that the row's host is in."""
        found = [self.group, "embedded" if self.image is not None else "remote", self.arch]
        found += [safe_group(self.system.split()[0]), safe_group(self.system)]
        series = _SERIES.search(self.kernel)
        if series:
            found.append(safe_group(f"kernel_{series[1]}"))
        return list(dict.fromkeys(found))

    def about(self) -> dict[str, str]:
        """Return what reports say of the row."""
        words = {name: getattr(self, name) for name in ("name", "system", "kernel", "arch", "group", "why", "variant")}
        return {name: text for name, text in words.items() if text}

    def variables(self) -> dict[str, Any]:
        """Variables of the row's host.  Raises InputError when its SSH options cannot be found out."""
        found: dict[str, Any] = {"kedr_row": self.about(), "kedr_system": self.system}
        if self.image is not None:
            guest = {"name": self.name, "image": dict(self.image), **self.guest}
            found.update(kedr_guest=guest, kedr_embedded=True, kedr_test_host=True)
            if "cloud" in self.image:  # modules are built in it, with what the vendor's repositories have
                found["host_install_packages"] = True
        chosen = {
            "kedr_target": self.target, "kedr_target_params": dict(self.target_params),
            "kedr_payloads": list(self.payloads), "kedr_expect": self.expect, "kedr_exercise": self.exercise,
            "kedr_console_shows": self.console,
        }
        found.update((name, value) for name, value in chosen.items() if value)
        return {**found, **(self.remote or {}), **self._ssh_variables()}

    def _ssh_variables(self) -> dict[str, str]:
        if not self.ssh or self.remote is None:
            return {}
        try:
            return ssh_legacy.variables(self.remote)
        except KedrError as error:
            raise self.place.error(str(error)) from error


def safe_group(words: str) -> str:
    """Words as the name of an inventory group: ``Debian 11`` is ``debian_11``."""
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return name if name[:1].isalpha() else f"_{name}"


def about_shipped() -> list[dict[str, str]]:
    """Return what reports say of each row of data/systems.yml.  Raises InputError for a mistake in that file."""
    return [row.about() for row in load_systems(SHIPPED)]


def load_systems(path: str) -> list[Row]:
    """Read the rows of one file.  Raises InputError with all mistakes."""
    given = load(path).mapping(_FILE_KEYS, {"shipped": "any"})
    if given["plugin"].value != PLUGIN:
        raise given["plugin"].error(f"'plugin' must be {PLUGIN}")
    shipped = given.get("shipped")
    if shipped is not None and not isinstance(shipped.value, bool):
        raise shipped.error("'shipped' must be true or false")
    rows = _rows(given["systems"])
    if shipped is None or not shipped.value:
        return rows
    if os.path.realpath(path) == os.path.realpath(SHIPPED):
        raise shipped.error("'shipped' is for files of your own: these are the shipped rows")
    own = {row.name: row for row in rows}
    taken = [own.pop(row.name, row) for row in load_systems(SHIPPED)] + list(own.values())
    _check_names(taken, [])
    return taken


def _rows(systems: Node) -> list[Row]:
    rows: dict[str, Row] = {}
    problems: list[object] = []
    for node in systems.items():
        try:
            row = _row(node)
            if row.name in rows:
                raise node.error(f"the name '{row.name}' is used in line {rows[row.name].place.line} already")
            rows[row.name] = row
        except InputError as error:
            problems += error.problems
    _check_names(rows.values(), problems)
    return list(rows.values())


def _check_names(rows: Collection[Row], problems: list[object]) -> None:
    """Raise InputError with ``problems`` and the rows that are named as a group is."""
    groups = {group for row in rows for group in [*row.groups(), "all", "ungrouped"]}
    for row in rows:
        if _LOCAL[0] in row.groups() or row.name in _LOCAL:
            text = f"neither name nor system may be {_LOCAL[0]}: this is the control node"
            problems += row.place.error(text).problems
        if row.name in groups:
            problems += row.place.error(f"a row cannot be named '{row.name}': this is the name of a group").problems
    if problems:
        raise InputError(*problems)


def _row(node: Node) -> Row:
    given = node.mapping(_WORDS, _MORE)
    words = {name: value.text() for name, value in given.items() if isinstance(value.value, str)}
    if not NAME.match(words["name"]):
        raise given["name"].error("'name' must be letters, digits, '.', '_' and '-', at most 64, as a host's name")
    for name, text in words.items():
        if not text.isprintable():
            raise given[name].error(f"'{name}' holds a character that cannot be printed")
    if "target" in given and not modules.WRITTEN.match(words["target"]):
        raise given["target"].error("'target' must be the name of a kernel module: letters, digits, '_' and '-'")
    _choice(given["arch"], "arch", ARCHITECTURES)
    _choice(given["group"], "group", GROUPS)
    if "guest" in given and "image" not in given:
        raise given["guest"].error("'guest' is for rows with an 'image'")
    if "console" in given and "image" not in given:
        raise given["console"].error("'console' is for rows with an 'image'")
    if "image" in given and "remote" in given:
        raise given["remote"].error("a row has 'image' (a guest here) or 'remote' (a host elsewhere), not both")
    if "ssh" in given:
        _choice(given["ssh"], "ssh", (ssh_legacy.LEGACY,))
        if "image" in given:
            raise given["ssh"].error("'ssh' is for rows with 'remote': guests of the lab need no old algorithms")
    for name in ("expect", "exercise"):
        if name in given:
            words[name] = _file(given[name])
    row = Row(
        **words,
        place=node,
        image=plain(given["image"]) if "image" in given else None,
        guest=plain(given["guest"]) if "guest" in given else {},
        remote=_remote(given["remote"]) if "remote" in given else None,
        target_params=_params(given["target_params"]) if "target_params" in given else {},
        payloads=tuple(_file(item) for item in given["payloads"].items()) if "payloads" in given else (),
    )
    _check_guest(row, given)
    return row


def _choice(node: Node, name: str, allowed: Iterable[str]) -> None:
    if node.value not in allowed:
        raise node.error(f"'{name}' is '{node.value}'; allowed are: {', '.join(allowed)}")


def _file(node: Node) -> str:
    node.check("text", "a file")
    path = os.path.normpath(os.path.join(_beside(node), node.value))
    if os.path.isabs(node.value) or not is_inside(path, _beside(node)):
        raise node.error(f"{node.value} is not beside this file; a row names files in its file's directory and below")
    if not os.path.isfile(path):
        raise node.error(f"there is no file {node.value}; paths are relative to this file")
    return path


def _beside(node: Node) -> str:
    return os.path.dirname(os.path.abspath(node.path))


def _params(node: Node) -> dict[str, str]:
    for name, value in node.value.items():
        if not isinstance(name, str) or isinstance(value.value, (dict, list)) or value.value is None:
            raise value.error("a parameter of a module is a name and a single value")
        if not modules.WRITTEN.match(name) or not str(value.value).isprintable():
            raise value.error("a parameter is named by letters, digits, '_' and '-', and its value can be printed")
    return {name: _word(value.value) for name, value in node.value.items()}


def _word(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _remote(node: Node) -> dict[str, Any]:
    for name, value in node.value.items():
        if name not in _REMOTE:
            raise value.error(
                f"'remote' holds variables of the inventory, and a row may not set '{name}'; allowed are: "
                f"{', '.join(_REMOTE)}. Put any other into an inventory of your own"
            )
        fits, what = _REMOTE[name]
        if not fits(value.value):
            raise value.error(f"'{name}' must be {what}")
    return dict(plain(node))


def _check_guest(row: Row, given: Mapping[str, Node]) -> None:
    if row.image is None:
        return
    if "name" in row.guest or "image" in row.guest:
        raise given["guest"].error("'guest' has neither a name nor an image: these are the row's")
    try:
        load_guests([{"name": row.name, "image": row.image, **row.guest}], {})
    except InputError as error:
        where = given["image"] if str(error).startswith("image") or "guest" not in given else given["guest"]
        raise where.error(str(error)) from None
    _check_places(given["image"])
    if row.guest.get("network") == "open" and not row.image.get("cloud"):
        raise given["guest"].error("'network' is open for cloud images only: a guest that is built here needs none")
    wanted = {"amd64": "x86_64", "i386": "i386"}.get(str(row.image.get("architecture", "amd64")))
    if row.arch != wanted:
        raise given["arch"].error(f"'arch' is {row.arch}, and the image is one of {wanted}")


def _check_places(image: Node) -> None:
    """Refuse an image that is made of any file of the control node; its options are known to be sound."""
    try:
        cache = cache_root("", os.environ)
    except KedrError as error:
        raise image.error(str(error)) from None
    tree, cloud = image.value.get("kernel_tree"), image.value.get("cloud")
    if tree and tree.value and not is_inside(tree.value, kernels_dir(cache)):
        raise tree.error(f"'kernel_tree' must be a directory of {kernels_dir(cache)}")
    for node in cloud.value.values() if cloud and cloud.value else ():
        path = unquote(urlsplit(str(node.value)).path)
        if str(node.value).startswith("file:") and not any(is_inside(path, place) for place in (cache, _beside(node))):
            raise node.error(f"{node.value} is neither beside this file nor in {cache}")


def plain(node: Node) -> Any:
    """A value of a data file without the places of its parts."""
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value
