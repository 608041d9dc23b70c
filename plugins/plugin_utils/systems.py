# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows of the matrix: data/systems.yml and files like it, read strictly; their hosts, groups and variables.

A mistake is told as ``file:line`` with what is allowed there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils import ssh_legacy
from ansible_collections.kedr.lab.plugins.plugin_utils.datafile import DataFileError, Node, load
from ansible_collections.kedr.lab.plugins.plugin_utils.lab_spec import LabInputError, load_guests

PLUGIN = "kedr.lab.systems"
GROUPS = ("seed", "base", "variant", "target", "cloud")
"""Parts of the matrix."""

ARCHITECTURES = ("i386", "x86_64")
SHIPPED = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", "..", "data", "systems.yml"))
"""The rows that come with the collection."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\Z")
_SERIES = re.compile(r"\b(2\.6\.[0-9]+|[0-9]+\.(?:[0-9]+|x))\b")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FILE_KEYS = {"plugin": "text", "systems": "list"}
_WORDS = {"name": "text", "system": "text", "kernel": "text", "arch": "text", "group": "text", "why": "text"}
_MORE = {
    "variant": "text",
    "image": "mapping",
    "guest": "mapping",
    "remote": "mapping",
    "target": "text",
    "target_params": "mapping",
    "payloads": "list",
    "expect": "text",
    "exercise": "text",
    "console": "text",
    "ssh": "text",
    "checked": "text",
}


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
        """What reports tell of the row, in words."""
        words = {name: getattr(self, name) for name in ("name", "system", "kernel", "arch", "group", "why", "variant")}
        return {name: text for name, text in words.items() if text}

    def variables(self) -> dict[str, Any]:
        """Variables of the row's host.  Raises DataFileError when its SSH options cannot be found out."""
        found: dict[str, Any] = {"kedr_row": self.about(), "kedr_system": self.system}
        if self.image is not None:
            guest = {"name": self.name, "image": dict(self.image), **self.guest}
            found.update(kedr_guest=guest, kedr_embedded=True, kedr_test_host=True)
            if "cloud" in self.image:  # modules are built in it, with what the vendor's repositories have
                found["host_install_packages"] = True
        chosen = {
            "kedr_target": self.target,
            "kedr_target_params": dict(self.target_params),
            "kedr_payloads": list(self.payloads),
            "kedr_expect": self.expect,
            "kedr_exercise": self.exercise,
            "kedr_console_shows": self.console,
        }
        found.update((name, value) for name, value in chosen.items() if value)
        return {**found, **(self.remote or {}), **self._ssh_variables()}

    def _ssh_variables(self) -> dict[str, str]:
        if not self.ssh or self.remote is None:
            return {}
        try:
            return ssh_legacy.variables(self.remote)
        except ssh_legacy.NoClientError as error:
            raise self.place.error(str(error)) from error


def safe_group(words: str) -> str:
    """Words as the name of an inventory group: ``Debian 11`` is ``debian_11``."""
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return name if name[:1].isalpha() else f"_{name}"


def load_systems(path: str) -> list[Row]:
    """Read the rows of one file.  Raises DataFileError with all mistakes."""
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
    problems: list[str] = []
    for node in systems.items():
        try:
            row = _row(node)
            if row.name in rows:
                raise node.error(f"the name '{row.name}' is used in line {rows[row.name].place.line} already")
            rows[row.name] = row
        except DataFileError as error:
            problems += error.problems
    _check_names(rows.values(), problems)
    return list(rows.values())


def _check_names(rows: Collection[Row], problems: list[str]) -> None:
    """Raise DataFileError with ``problems`` and the rows that are named as a group is."""
    groups = {group for row in rows for group in [*row.groups(), "all", "ungrouped"]}
    for row in rows:
        if row.name in groups:
            problems += row.place.error(f"a row cannot be named '{row.name}': this is the name of a group").problems
    if problems:
        raise DataFileError(problems)


def _row(node: Node) -> Row:
    given = node.mapping(_WORDS, _MORE)
    words = {name: value.text() for name, value in given.items() if isinstance(value.value, str)}
    if not _NAME.match(words["name"]):
        raise given["name"].error("'name' must be letters, digits, '.', '_' and '-', at most 64, as a host's name")
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
    path = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(node.path)), node.value))
    if not os.path.isfile(path):
        raise node.error(f"there is no file {node.value}; paths are relative to this file")
    return path


def _params(node: Node) -> dict[str, str]:
    for name, value in node.value.items():
        if not isinstance(name, str) or isinstance(value.value, (dict, list)) or value.value is None:
            raise value.error("a parameter of a module is a name and a single value")
    return {name: _word(value.value) for name, value in node.value.items()}


def _word(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _remote(node: Node) -> dict[str, Any]:
    for name, value in node.value.items():
        if not isinstance(name, str) or not _VARIABLE.match(name):
            raise value.error("'remote' holds variables of the inventory, such as ansible_host")
    found: dict[str, Any] = plain(node)
    if not isinstance(found.get("kedr_test_host", False), bool):
        raise node.value["kedr_test_host"].error("'kedr_test_host' must be true or false")
    return found


def _check_guest(row: Row, given: Mapping[str, Node]) -> None:
    if row.image is None:
        return
    if "name" in row.guest or "image" in row.guest:
        raise given["guest"].error("'guest' has neither a name nor an image: these are the row's")
    try:
        load_guests([{"name": row.name, "image": row.image, **row.guest}], {})
    except LabInputError as error:
        where = given["image"] if str(error).startswith("image") or "guest" not in given else given["guest"]
        raise where.error(str(error)) from None
    wanted = {"amd64": "x86_64", "i386": "i386"}.get(str(row.image.get("architecture", "amd64")))
    if row.arch != wanted:
        raise given["arch"].error(f"'arch' is {row.arch}, and the image is one of {wanted}")


def plain(node: Node) -> Any:
    """A value of a data file without the places of its parts."""
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value
