# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that died is a crash, unless it was not running when the run began."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import about_shipped
from ansible_collections.kedr.lab.plugins.plugin_utils.report import rows
from ansible_collections.kedr.lab.plugins.plugin_utils.report import text as report

from ...run_dir import CONSOLE, RunDir, said, step


def test_a_guest_whose_process_is_gone_is_a_crash_with_its_console(run: RunDir) -> None:
    run.ended("trace", "unreachable", reason="Connection reset")
    run.embed("".join(f"[    1.{number:06d}] line {number}\r\n" for number in range(40)), alive=False)
    row = run.row()
    assert row["verdict"] == "CRASH"
    assert "QEMU process has ended" in row["reason"]
    assert row["console"] == [f"line {number}" for number in range(25, 40)]
    assert "| line 39" in report.terminal(rows.lines([row], about_shipped))


def test_a_guest_that_was_never_reached_and_is_gone_is_a_crash(run: RunDir) -> None:
    run.ended("facts", "unreachable", reason="Connection refused")
    run.embed("booting\n", alive=False)
    assert run.row()["verdict"] == "CRASH"


def test_a_living_guest_that_was_never_reached_is_infra(run: RunDir) -> None:
    run.ended("facts", "unreachable", reason="Connection refused")
    run.embed("booting\n", alive=True)
    assert run.row()["verdict"] == "INFRA"


def test_a_panic_after_the_last_step_is_a_crash(run: RunDir) -> None:
    run.embed("[    5.1] Kernel panic - not syncing: Fatal exception\n", False)
    assert run.row()["verdict"] == "CRASH"


def test_a_guest_that_lives_to_the_end_is_ok(run: RunDir) -> None:
    run.embed(CONSOLE, alive=True)
    row = run.row()
    assert row["verdict"] == "OK", row
    assert "guest.json: the guest lived to the end of the run" in said(row, "ok")


def test_a_guest_that_died_after_the_last_step_is_a_crash(run: RunDir) -> None:
    run.embed("booting\nthe last words\n", alive=False)
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("CRASH", "the guest died after the last step")
    assert row["console"][-1] == "the last words"
    assert said(row, "fail") == ["guest.json: the guest's QEMU process has ended"]


def test_a_guest_that_died_after_a_step_that_failed_is_a_crash(run: RunDir) -> None:
    run.ended("exercise", "failed", kind="FAIL", reason="it broke")
    run.embed("booting\n", alive=False)
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("CRASH", "exercise: it broke; later the guest died")


@pytest.mark.parametrize("content", [None, "", "{}", '{"alive": null}', '{"alive": 1}', "[]"])
def test_a_guest_of_which_it_is_not_known_that_it_lives_is_no_result(run: RunDir, content: str | None) -> None:
    run.embed(CONSOLE, alive=True)
    (run.host / "guest.json").unlink()
    if content is not None:
        run.write("guest.json", content)
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"].startswith("guest.json: ")


@pytest.mark.parametrize("seen", [True, False])
def test_a_guest_that_was_not_running_when_the_run_began_is_infra(run: RunDir, seen: bool) -> None:
    run.info["alive"] = False
    run.steps([step("facts", "unreachable", reason="Connection refused")])
    run.embed("an earlier boot\n", alive=False)
    if not seen:
        run.host.rename(run.path / "gone")
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("INFRA", "the guest is not running; start it with make lab-up")
    assert said(row, "fail") == []


def test_a_guest_that_did_a_step_was_running_whatever_was_seen_when_the_run_began(run: RunDir) -> None:
    run.info["alive"] = False
    run.embed("booting\n", alive=False)
    assert run.row()["verdict"] == "CRASH"


def test_a_machine_that_is_no_guest_needs_no_process(run: RunDir) -> None:
    run.info["alive"] = False
    assert run.row()["verdict"] == "OK"
