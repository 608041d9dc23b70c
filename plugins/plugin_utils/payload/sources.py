# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads: from a .data file to the sources of a kernel module. This file is the door, the rooms are behind.

payload_model: what a payload is · payload_read: reading and checking it · functions: its symbols on one
kernel · payload_render: the generated sources, by our templates · payload_mist: by the user's MiST templates.
"""

from __future__ import annotations

import os

from .functions import (
    FunctionDb,
    ResolvedPayload,
    candidate_config,
    candidate_symbols,
    check_resolved_together,
    load_functions,
    resolve,
)
from .mist_sets import render_set, template_sets
from .model import Code, Function, Param, Payload, PayloadError, Problem
from .read import check_together, load_payload, parse_payload
from .render import FILES, plan, render, render_file


def render_by(resolved: ResolvedPayload, template_dir: str, our_templates: str) -> dict[str, str]:
    """The sources of a payload module by the templates in a directory, Jinja2 files or MiST template sets.

    What the directory has no template for comes from `our_templates` when it holds template sets. ValueError
    names the template that cannot be used.
    """
    sets = template_sets(template_dir)
    if not sets:
        return render(resolved, template_dir)
    sources = {name: render_set(resolved, os.path.join(template_dir, name)) for name in sets}
    for name in FILES:
        if name not in sources:
            own = os.path.isfile(os.path.join(template_dir, f"{name}.j2"))
            sources[name] = render_file(resolved, template_dir if own else our_templates, name)
    return sources


def is_ours(template_dir: str, our_templates: str) -> bool:
    """Is payload.c made by our own template, when the templates in a directory are used?

    ValueError names a template that cannot be used.
    """
    if os.path.realpath(template_dir) == os.path.realpath(our_templates):
        return True
    sets = template_sets(template_dir)
    own = os.path.isfile(os.path.join(template_dir, "payload.c.j2"))
    return bool(sets) and "payload.c" not in sets and not own


__all__ = [
    "Code",
    "Function",
    "FunctionDb",
    "Param",
    "Payload",
    "PayloadError",
    "Problem",
    "ResolvedPayload",
    "candidate_config",
    "candidate_symbols",
    "check_resolved_together",
    "check_together",
    "is_ours",
    "load_functions",
    "load_payload",
    "parse_payload",
    "plan",
    "render",
    "render_by",
    "resolve",
]
