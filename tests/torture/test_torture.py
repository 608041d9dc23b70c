# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller, payloads and target survive what may happen to modules. The scenarios are in tests/torture/guest."""

from __future__ import annotations

import re

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.splats import Splat
from guests import OURS

ROUNDS = {
    "cycles": {"stock": 1000, "debug": 100},
    "races": {"stock": 100, "debug": 20},
    "failing_init": {"stock": 50, "debug": 10},
    "kills": {"stock": 300, "debug": 60},
    "several": {"stock": 100, "debug": 20},
    "readers": {"stock": 100, "debug": 20},
    "toggles": {"stock": 100, "debug": 20},
    "ooms": {"stock": 16, "debug": 8},
    "faults": {"debug": 10000},
}
"""Rounds by scenario and kernel. Fewer under emulation with checkers. Only the debug kernel can inject faults."""

EXPECTED = {
    # The controller tells why it refuses.
    "races": {"controller", "not patched"},
    # Names are set at any moment, also while a target is on its way.
    "readers": {"not patched"},
    # The kernel shows its state when it kills, and when an allocation fails.
    "ooms": {"out of memory", "call trace", "controller"},
    # So do its objects and its trace events that cannot be made.
    "faults": {"out of memory", "call trace", "controller", "kobject", "tracing"},
}
"""Complaints of the kernel that a scenario provokes, by the names of their rules in data/splats.yml."""

OF_THE_KERNEL = {"faults": re.compile(r"WARNING: .* at (event_define_fields|event_file_put)\+")}
"""Warnings of code that is none of ours: the kernel's own trace events, when it has no memory to make a module's."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" not in metafunc.fixturenames:
        return
    kernels = metafunc.config.getoption("kernel") or ["stock", "debug"]
    cases = [(kernel, scenario) for kernel in kernels for scenario, rounds in ROUNDS.items() if kernel in rounds]
    metafunc.parametrize(("kernel", "scenario"), cases)


def without_warnings(splats: list[Splat], told: re.Pattern[str] | None) -> list[Splat]:
    """Leave out the warnings whose text ``told`` finds, from where each was cut to the end of its trace."""
    kept: list[Splat] = []
    warning: list[Splat] = []
    for splat in splats:
        warning.append(splat)
        if "[ cut here ]" not in warning[0].text or "[ end trace " in splat.text:
            kept += [] if told and any(told.search(one.text) for one in warning) else warning
            warning = []
    return kept + warning


def test_only_the_named_warnings_are_left_out() -> None:
    def warning(function: str) -> list[Splat]:
        texts = ["---[ cut here ]---", f"WARNING: CPU: 1 PID: 2 at {function}+0x1/0x2", "---[ end trace 0 ]---"]
        return [Splat(1, "warning", text, False) for text in texts]

    other, lone = warning("kfree"), Splat(1, "bug", "BUG: at event_file_put+0x1", False)
    told = OF_THE_KERNEL["faults"]
    assert without_warnings([lone, *warning("event_file_put"), *other, *warning("event_file_put")[:2]], told) == [
        lone, *other, *warning("event_file_put")[:2]
    ]  # fmt: skip
    assert without_warnings(other, None) == other


def test_nothing_is_lost_held_or_corrupted(torture_on, kernel, scenario, request, capsys) -> None:
    torture = torture_on(kernel)
    rounds = request.config.getoption("rounds") or ROUNDS[scenario][torture.kernel]
    marker = f"kedr-torture: {scenario} begins"
    torture.mark(marker)
    verdict = torture.run(scenario, rounds)
    complaints = [
        splat
        for splat in without_warnings(torture.complaints_since(marker), OF_THE_KERNEL.get(scenario))
        if splat.rule not in EXPECTED.get(scenario, set())
    ]
    leaks = torture.leaks() if torture.kernel == "debug" and verdict.ok else ""
    said = "".join(f" {name}={number}" for name, number in verdict.figures.items())
    with capsys.disabled():
        word = "ok" if verdict.ok and not complaints and not leaks else "BAD"
        print(f"\n{torture.kernel} {scenario} {word}{said} complaints={len(complaints)}", end=" ")
        if torture.kernel == "debug":
            print(f"leaks={leaks.count('unreferenced object')}", end=" ")
    assert verdict.ok, verdict.output
    assert not complaints, "\n".join(splat.text for splat in complaints)
    assert not leaks, leaks
    left = {line.split()[0] for line in torture.ssh("cat /proc/modules").splitlines()}
    assert not left.intersection(OURS)
