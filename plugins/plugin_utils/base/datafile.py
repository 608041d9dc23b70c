# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML files of this collection, read with the line of every value so that a mistake is named file:line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from .errors import InputError, Problem


@dataclass(frozen=True)
class Node:
    """A value and where it stands: ``value`` is dict[key, Node], list[Node] or a scalar."""

    value: Any
    path: str
    line: int

    def error(self, text: str) -> InputError:
        """A mistake at this place."""
        return InputError(Problem(self.path, self.line, text))

    def mapping(self, required: Mapping[str, str], optional: Mapping[str, str] | None = None) -> dict[str, Node]:
        """The named values.  ``required`` and ``optional`` are {key: kind}; see ``kinds`` in this module."""
        if not isinstance(self.value, dict):
            raise self.error("a mapping 'name: value' is expected here")
        allowed = {**required, **(optional or {})}
        names = ", ".join(allowed)
        for key, node in self.value.items():
            if key not in allowed:
                raise node.error(f"unknown key '{key}'; allowed are: {names}")
            node.check(allowed[key], f"'{key}'")
        for key in required:
            if key not in self.value:
                raise self.error(f"'{key}' is missing; needed are: {', '.join(required)}")
        return dict(self.value)

    def check(self, kind: str, title: str) -> None:
        """Raise unless the value is of this kind."""
        fits, what = _KINDS[kind]
        if not fits(self.value):
            raise self.error(f"{title} must be {what}")

    def items(self) -> Iterator[Node]:
        """The values of a list; a single value counts as a list of one."""
        yield from self.value if isinstance(self.value, list) else [self]

    def text(self) -> str:
        """A text with its line breaks folded."""
        return " ".join(str(self.value).split())


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value, re.ASCII) is not None


_KINDS = {
    "text": (lambda value: isinstance(value, str) and bool(value.strip()), "a text that is not empty"),
    "name": (_is_name, "a name of letters, digits and '_' (a C identifier)"),
    "word": (lambda value: isinstance(value, str) and re.fullmatch(r"\S+", value) is not None, "a word without blanks"),
    "count": (lambda value: _is_int(value) and value >= 0, "a whole number, 0 or more"),
    "int": (_is_int, "a whole number"),
    "list": (lambda value: isinstance(value, list), "a list"),
    "mapping": (lambda value: isinstance(value, dict), "a mapping 'name: value'"),
    "one or many": (lambda value: isinstance(value, (dict, list)) and bool(value), "a mapping or a list"),
    "any": (lambda value: True, "anything"),
}


def load(path: str) -> Node:
    """Read a YAML file.  Raises InputError for a file that cannot be read and for what is not valid YAML."""
    try:
        with open(path, encoding="utf-8") as stream:
            return parse(stream.read(), path)
    except OSError as error:
        raise InputError(Problem(path, 0, f"cannot be read: {error.strerror or error}")) from None
    except UnicodeDecodeError as error:
        raise InputError(Problem(path, 0, f"is not UTF-8 text (byte {error.start})")) from None


def parse(text: str, path: str) -> Node:
    """Read YAML text; ``path`` is used in messages."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise InputError(Problem(path, 1, "the file is empty"))
        return _convert(loader, root, path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise InputError(Problem(path, line, f"is not valid YAML: {error.problem or error.context}")) from None
    except yaml.YAMLError as error:
        raise InputError(Problem(path, 0, f"is not valid YAML: {' '.join(str(error).split())}")) from None
    finally:
        loader.dispose()


def _convert(loader: yaml.SafeLoader, node: yaml.Node, path: str) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        values: dict[Any, Node] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError(Problem(path, key_line, "a key must be a plain word or number"))
            key = loader.construct_object(key_node)
            if key in values:
                raise InputError(Problem(path, key_line, f"'{key}' is given twice; once is allowed"))
            converted = _convert(loader, value_node, path)
            values[key] = Node(converted.value, path, key_line)
        return Node(values, path, line)
    if isinstance(node, yaml.SequenceNode):
        return Node([_convert(loader, item, path) for item in node.value], path, line)
    return Node(loader.construct_object(node), path, line)
