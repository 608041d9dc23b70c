# SPDX-License-Identifier: GPL-3.0-or-later
"""Python packages that only some things need, so that a control node may do without them.

Who uses one imports it with ``contextlib.suppress(ImportError)``, and calls ``need`` before its work begins.
"""

import importlib

from .errors import KedrError

COMMON = ("elftools", "jinja2", "jsonschema", "shtab", "yaml")
"""What requirements/common.txt installs; the others are in requirements/collect.txt."""


def need(*names: str) -> None:
    """Raise KedrError when one of the packages, or modules of packages, cannot be imported."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            raise KedrError(missing(name)) from None


def missing(name: str) -> str:
    """Return what to do about a package that is missing."""
    package = name.partition(".")[0]
    lists = "common.txt" if package in COMMON else "common.txt and collect.txt"
    return f"python3 has no module '{package}'; install what requirements/{lists} names"
