# SPDX-License-Identifier: GPL-3.0-or-later
"""The marks by which the inventory says what may be done with a host."""

from typing import Any

UNMARKED = "not marked as a test host: set kedr_test_host: true in the inventory"
TEXT_MARK = ("not marked as a test host: kedr_test_host is text; "
             "write it as a boolean (YAML: true, INI: True)")


def marked(value: Any) -> bool:
    """Return whether the inventory's `kedr_test_host` marks a test host: only a real true does."""
    return value is True


def refusal(value: Any) -> str:
    """Return why a host whose `kedr_test_host` is `value` is refused, and what to do about it."""
    return TEXT_MARK if isinstance(value, str) and value.strip() else UNMARKED
