# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that enters a build root; tests/security and tests/kernels run it."""

from __future__ import annotations

import os

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.host import build_root


@pytest.mark.parametrize(("user", "before"), [(0, []), (1000, ["sudo", "-n"])])
def test_a_build_root_is_entered_as_root_or_through_sudo_with_a_limit_on_time(
    monkeypatch: pytest.MonkeyPatch, user: int, before: list[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    line = build_root.command("/tree", "make", 60)
    assert line[: len(before) + 5] == [*before, "timeout", "--foreground", "-s", "KILL", "60"]
    assert line[-3:-1] == ["/tree", "make"]
    assert 60600 <= int(line[-1]) < 61100
