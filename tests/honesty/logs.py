# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of the kernel that data/splats.yml has as cases."""

from __future__ import annotations

from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import load_policy
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.splats import judge
from guests import DATA

EVERY = {"every_denied_line": "deny", "every_panic_line": "panic", "every_allowed_line": "allow"}


def lines_of(way: str) -> list[dict[str, Any]]:
    """What ``kernel_says`` is given for the first case of each of the rules that a way is about.

    What another rule allows as a whole is left out: it is not a complaint.  The other cases are tried in test_splat.py.
    """
    policy = load_policy(str(DATA / "splats.yml"))
    rules = getattr(policy, EVERY[way])
    file = "console.log" if way == "every_panic_line" else "dmesg.txt"
    cases = [[case for case in rule.cases if way == "every_allowed_line" or judge(case, policy)] for rule in rules]
    return [{"each": found[0], "file": file} for found in cases if found]
