# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads: from a .data file to the sources of a kernel module. This file is the door, the rooms are behind.

payload_model: what a payload is · payload_read: reading and checking it · functions: its symbols on one
kernel · payload_render: the generated sources.
"""

from __future__ import annotations

from .functions import (
    FunctionDb,
    ResolvedPayload,
    candidate_config,
    candidate_symbols,
    check_resolved_together,
    load_functions,
    resolve,
)
from .payload_model import Code, Function, Param, Payload, PayloadError, Problem
from .payload_read import check_together, load_payload, parse_payload
from .payload_render import plan, render

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
    "load_functions",
    "load_payload",
    "parse_payload",
    "plan",
    "render",
    "resolve",
]
