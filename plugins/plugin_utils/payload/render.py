# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated sources of a payload module, by Jinja2 templates or by the user's MiST template sets.

Templates only arrange: what they arrange is decided in replacement.py and by the payload's kind.
"""

import os
import re
from typing import Any

import jinja2

from ..base import paths
from ..base.errors import ForeignError
from ..ctypes.cdecl import escape
from .kinds.registry import KINDS
from .mist_sets import render_set, template_sets
from .model import ResolvedFunction, ResolvedPayload
from .replacement import name_of

TEMPLATES = os.path.join(paths.ROOT, "kernel", "templates")
"""The directory of the collection's own templates."""
_HERE = "#line @here@"  # replaced by the place it stands at


def render(resolved: ResolvedPayload, template_dir: str = TEMPLATES) -> dict[str, str]:
    """Return the sources of a payload module by file name; the same payload always gives the same bytes.

    ``template_dir`` holds Jinja2 files FILE.j2 or MiST template sets FILE/, or a directory with them for each kind.
    For what it has no template set, the collection's own template is taken. Raises ForeignError, which names the
    template that cannot be used.
    """
    folder = _folder(resolved, template_dir)
    sets = template_sets(folder)
    sources = {name: render_set(resolved, os.path.join(folder, name)) for name in sets}
    for name in KINDS[resolved.payload.kind].FILES:
        if name not in sources:
            own = not sets or _has_jinja(folder, name)
            sources[name] = _render_file(resolved, folder if own else _folder(resolved, TEMPLATES), name)
    return sources


def is_ours(resolved: ResolvedPayload, template_dir: str) -> bool:
    """Return whether payload.c is made by the collection's own template. Raises ForeignError as ``render`` does."""
    folder = _folder(resolved, template_dir)
    if os.path.realpath(folder) == os.path.realpath(_folder(resolved, TEMPLATES)):
        return True
    sets = template_sets(folder)
    return bool(sets) and "payload.c" not in sets and not _has_jinja(folder, "payload.c")


def plan(resolved: ResolvedPayload, template_dir: str = TEMPLATES) -> dict[str, Any]:
    """Return what the rendered module will do, as JSON data: module, its events and what could not be resolved.

    Only where the collection's own template makes payload.c are the names of the replacements known.
    """
    ours = is_ours(resolved, template_dir)
    return {
        "module": resolved.payload.module,
        "events": [_planned(resolved, one, ours) for one in resolved.functions],
        "unresolved": [{"function": one.function.name, "tried": list(one.tried)} for one in resolved.unresolved],
    }


def _planned(resolved: ResolvedPayload, one: ResolvedFunction, ours: bool) -> dict[str, Any]:
    return {
        "function": one.function.name,
        "symbol": one.symbol,
        **KINDS[resolved.payload.kind].plan(one),
        **({"replacement": name_of(one.function)} if ours else {}),
    }


def _folder(resolved: ResolvedPayload, template_dir: str) -> str:
    """Return the directory of the templates of a payload's kind: one of its name, or the given one itself."""
    own = os.path.join(template_dir, resolved.payload.kind)
    return own if os.path.isdir(own) else template_dir


def _has_jinja(folder: str, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, f"{name}.j2"))


def _render_file(resolved: ResolvedPayload, folder: str, name: str) -> str:
    path = os.path.join(folder, f"{name}.j2")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # C, not HTML
    )
    try:
        text = environment.get_template(f"{name}.j2").render(_view(resolved))
    except jinja2.TemplateNotFound as error:
        raise ForeignError(f"{os.path.join(folder, str(error.name))} does not exist") from None
    except OSError as error:
        raise ForeignError(f"cannot be read: {error.strerror or error}", path) from None
    except (jinja2.TemplateError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise ForeignError(str(error), f"{path}:{line}" if line else path) from None
    return _with_places(text, name)


def _with_places(text: str, name: str) -> str:
    """Let each mark after the user's code say where the generated text goes on."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if line == _HERE:
            lines[number - 1] = f'#line {number + 1} "{name}"'
    return "\n".join(lines)


def _view(resolved: ResolvedPayload) -> dict[str, Any]:
    """Return everything that a template may name."""
    payload = resolved.payload
    return {
        "module": payload.module,
        "guard": f"KEDR_TRACE_{payload.module.upper()}_H",
        "author": escape(payload.author),
        "license": escape(payload.license),
        "source": escape(payload.basename),
        "comment": _comment(payload.basename),
        "here": _HERE,
        "headers": list(payload.headers),
        "functions": [KINDS[payload.kind].view(one) for one in resolved.functions],
    }


def _comment(text: str) -> str:
    """Return ``text`` as it may stand in a C comment or a make comment."""
    return re.sub(r"[^A-Za-z0-9._ -]", "?", text)
