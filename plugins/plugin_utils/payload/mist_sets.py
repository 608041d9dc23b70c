# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of a payload module by the user's MiST template sets: a directory NAME/ in it makes the file NAME.

A set is fed with the groups of the data file as they stand there. Each group has besides what is known of its
function on the kernel: ``symbol.name``, and the pairs ``symbol.arg.type`` and ``symbol.arg.name`` of all its arguments.
"""

import os
import re

from ..base.errors import ForeignError, about
from ..mist.data import Group
from ..mist.generate import Document
from ..mist.template import MistError, load
from .model import ResolvedFunction, ResolvedPayload
from .replacement import passed

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")
_PARTS = ("document", "block")


def template_sets(directory: str) -> list[str]:
    """Return the names of the files that the template sets in a directory make, sorted.

    Raises ForeignError, which names the directory, when it cannot be read or a set in it cannot make a file.
    """
    with about(directory):
        names = sorted(os.listdir(directory))
    found = [name for name in names if _is_set(os.path.join(directory, name))]
    if not found and _is_set(directory):
        raise ForeignError("is itself a template set; give the directory above it", directory)
    for name in found:
        if not _FILE_NAME.match(name):
            raise ForeignError(f"a template set cannot make a file {name!r}; letters, digits, . _ - only", directory)
    return found


def _is_set(directory: str) -> bool:
    return any(os.path.isdir(os.path.join(directory, part)) for part in _PARTS)


def render_set(resolved: ResolvedPayload, directory: str) -> str:
    """Return what one template set makes of a payload. Raises ForeignError with what is wrong in the set.

    Bytes that are not UTF-8 become lone surrogates, as in file names.
    """
    try:
        document = Document(*load(os.fsencode(directory)))
        for names, values in _groups(resolved):
            document.add(names, values)
        text = document.text()
    except MistError as error:
        raise ForeignError(str(error)) from None  # MiST knows no errors of ours: it must start fast
    return text.decode("utf-8", "surrogateescape")


def _groups(resolved: ResolvedPayload) -> list[tuple[list[bytes], list[bytes]]]:
    """Return names and values of each group; a function that the kernel does not have is left out with its group."""
    start, *groups = resolved.payload.groups
    there = {one.function.name: one for one in resolved.functions}
    made = [_named(start, [])]
    for function, group in zip(resolved.payload.functions, groups, strict=True):
        if function.name in there:
            made.append(_named(group, _facts(there[function.name])))
    return made


def _facts(one: ResolvedFunction) -> list[tuple[str, str]]:
    """Return what is known of a function on one kernel."""
    facts = [("symbol.name", one.symbol)]
    for ctype, name in passed(one):
        facts += [("symbol.arg.type", ctype), ("symbol.arg.name", name)]
    return facts


def _named(group: Group, facts: list[tuple[str, str]]) -> tuple[list[bytes], list[bytes]]:
    names = [item.name for item in group.items] + [name.encode() for name, _value in facts]
    return names, [item.value for item in group.items] + [value.encode() for _name, value in facts]
