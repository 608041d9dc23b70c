# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument specs of actions, read from the documentation of their modules."""

import importlib
from collections.abc import Mapping
from typing import Any

import yaml

_PLUGINS = "ansible_collections.kedr.lab.plugins"


def argument_spec(action: str, fragment: str = "") -> dict[str, Any]:
    """Return the argument spec of `action`, as its documentation and that of `fragment`, if it has one, say it."""
    texts = [importlib.import_module(f"{_PLUGINS}.modules.{action}").DOCUMENTATION]
    if fragment:
        shared = importlib.import_module(f"{_PLUGINS}.doc_fragments.{fragment}")
        texts.insert(0, shared.ModuleDocFragment.DOCUMENTATION)
    spec: dict[str, Any] = {}
    for text in texts:
        spec.update(spec_of_options(yaml.safe_load(text).get("options") or {}))
    return spec


def spec_of_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the argument spec of documented `options`."""
    spec = {}
    for name, option in options.items():
        entry = {key: option[key] for key in ("type", "required", "default", "choices", "elements")
                 if key in option}
        if "suboptions" in option:
            entry["options"] = spec_of_options(option["suboptions"])
        spec[name] = entry
    return spec
