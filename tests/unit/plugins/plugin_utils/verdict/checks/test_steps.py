# SPDX-License-Identifier: GPL-3.0-or-later
"""Every step has its record; one that is not ok decides, with its kind and its reason."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.steps import append_step
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import verify

from ...run_dir import FACTS, RunDir, step


def test_no_steps_at_all_is_no_result(run: RunDir) -> None:
    run.write("steps.jsonl", "")
    assert run.row()["verdict"] == "NO-RESULT"


@pytest.mark.parametrize("name", verify.STEPS)
def test_a_step_without_a_record_is_no_result(run: RunDir, name: str) -> None:
    run.steps([step(one) for one in verify.STEPS if one != name])
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert name in row["reason"]


@pytest.mark.parametrize(("kind", "expected"), [("FAIL", "FAIL"), ("INFRA", "INFRA"), ("SKIP", "SKIP"), ("", "FAIL")])
@pytest.mark.parametrize("name", verify.STEPS)
def test_a_failed_step_decides_with_its_kind_and_reason(run: RunDir, name: str, kind: str, expected: str) -> None:
    run.steps(
        [step(one) if one != name else step(one, "failed", kind=kind, reason="it broke") for one in verify.STEPS]
    )
    row = run.row()
    assert (row["verdict"], row["reason"]) == (expected, f"{name}: it broke")


def test_a_refused_host_is_skipped_with_the_reason(run: RunDir) -> None:
    run.ended("load", "refused", kind="SKIP", reason="not marked as a test host")
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("SKIP", "load: not marked as a test host")


def test_a_host_lost_before_any_load_is_infra(run: RunDir) -> None:
    run.ended("build", "unreachable", reason="Connection timed out")
    row = run.row()
    assert row["verdict"] == "INFRA"
    assert "Connection timed out" in row["reason"]


@pytest.mark.parametrize("name", ["load", "target", "exercise", "collect"])
def test_a_host_lost_after_a_load_is_a_crash(run: RunDir, name: str) -> None:
    run.ended(name, "unreachable", reason="Connection reset")
    row = run.row()
    assert row["verdict"] == "CRASH"
    assert f"lost contact at step {name}; no console" in row["reason"]


CUT = [
    *(step(name) for name in verify.STEPS[:6]),
    step("exercise", "unreachable", reason="Connection reset"),
    *(step(name) for name in verify.STEPS[7:]),
]


def test_a_host_that_answers_again_in_the_same_boot_was_only_cut_off(run: RunDir) -> None:
    run.steps(CUT)
    row = run.row()
    assert row["verdict"] == "INFRA"
    assert row["reason"] == "exercise: lost contact at step exercise, and the host lived on: Connection reset"


def test_a_host_that_answers_again_in_another_boot_has_crashed(run: RunDir) -> None:
    run.steps([{**one, "boot": "another"} if one["step"] in verify.STEPS[7:] else one for one in CUT])
    row = run.row()
    assert row["verdict"] == "CRASH"
    assert row["reason"] == "unload_target: the host was restarted after the step target"


@pytest.mark.parametrize("name", verify.STEPS[3:])
def test_a_host_that_was_restarted_between_two_steps_has_crashed(run: RunDir, name: str) -> None:
    since = verify.STEPS.index(name)
    run.steps([step(one, **({"boot": "b"} if at >= since else {})) for at, one in enumerate(verify.STEPS)])
    row = run.row()
    assert row["verdict"] == "CRASH"
    assert f"{name}: the host was restarted after the step" in row["reason"]


def test_a_restart_that_the_run_itself_made_before_it_read_the_facts_is_no_crash(run: RunDir) -> None:
    run.steps([step("facts", boot="older"), step("reboot", boot="older"), *(step(name) for name in verify.STEPS)])
    assert run.row()["verdict"] == "OK"


def test_without_a_boot_id_a_restart_would_not_be_noticed(run: RunDir) -> None:
    run.steps([step(name, boot="") for name in verify.STEPS])
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"] == "steps.jsonl: no step says which boot of the host it ran in"
    run.write("facts.json", {**FACTS, "boot_id": ""})
    run.received = False
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert "no 'boot_id': it is not known whether the host was restarted" in row["reason"]


def sealed(run: RunDir) -> list[str]:
    """Write the steps of a run as the actions do, with checksums; returns the lines."""
    path = run.host / "steps.jsonl"
    run.receive()
    steps = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    for one in steps:
        append_step(str(run.host), one)
    return path.read_text().splitlines(keepends=True)


def test_records_of_steps_that_have_their_checksums_are_ok(run: RunDir) -> None:
    assert all('"sum": "' in line for line in sealed(run))
    assert run.row()["verdict"] == "OK"


@pytest.mark.parametrize("change", [
    lambda lines: [*lines[:3], lines[3].replace('"seconds": 1', '"seconds": 2'), *lines[4:]],
    lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    lambda lines: [*lines[:3], *lines[4:]],
    lambda lines: [*lines[:3], lines[3].replace('"sum"', '"sun"'), *lines[4:]],
])  # fmt: skip
def test_a_changed_record_of_a_step_is_no_result(run: RunDir, change: Callable[[list[str]], list[str]]) -> None:
    lines = sealed(run)
    changed = change(lines)
    assert changed != lines
    run.write("steps.jsonl", "".join(changed))
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"].startswith("steps.jsonl: ")


def test_a_kernel_that_takes_signed_modules_only_is_skipped(run: RunDir) -> None:
    reason = "module.sig_enforce is on: only signed modules are loaded"
    run.steps(
        [
            *(step(name) for name in ("facts", "render", "build")),
            step("load", status="failed", kind="SKIP", reason=reason),
        ]
    )
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("SKIP", f"load: {reason}")
