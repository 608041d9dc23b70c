# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats of a run decide, if the log of the whole run is there."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import case
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict.checks import logs

from ...run_dir import CONSOLE, DMESG, RUN_ID, RunDir, said


@pytest.mark.parametrize("status", ["unreachable", "failed"])
def test_a_panic_on_the_console_is_a_crash(run: RunDir, status: str) -> None:
    run.ended("exercise", status, kind="FAIL", reason="exercise said nothing")
    run.embed("[    5.0] sysrq: Trigger a crash\n[    5.1] Kernel panic - not syncing: sysrq triggered crash\n", True)
    row = run.row()
    assert row["verdict"] == "CRASH"
    assert "sysrq triggered crash" in row["reason"]
    assert row["console"][-1] == "Kernel panic - not syncing: sysrq triggered crash"


def test_a_panic_of_an_earlier_run_is_not_of_this_run(run: RunDir) -> None:
    run.embed(f"[    5.1] Kernel panic - not syncing: Fatal exception\n[    9.1] kedr: run {RUN_ID} begins\n", True)
    row = run.row()
    assert row["verdict"] == "OK", row
    assert any("before this run" in text for text in said(row, "note"))


def test_a_variant_that_the_console_confirms_is_ok(run: RunDir) -> None:
    run.info["console_shows"] = "Brought up 1 node, 2 CPUs"
    run.embed("[    0.6] smp: Brought up 1 node, 2 CPUs\r\n" + CONSOLE, True)
    row = run.row()
    assert row["verdict"] == "OK", row
    assert "console.log: the variant is in force: smp: Brought up 1 node, 2 CPUs" in said(row, "ok")


def test_a_variant_that_the_console_does_not_show_fails(run: RunDir) -> None:
    run.info["console_shows"] = "Brought up 1 node, 2 CPUs"
    run.embed("[    0.6] smp: Brought up 1 node, 1 CPU\n" + CONSOLE, True)
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert "no line shows 'Brought up 1 node, 2 CPUs'" in row["reason"]


def test_a_guest_without_a_console_is_no_result(run: RunDir) -> None:
    run.info["embedded"] = True
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"].startswith("console.log: ")


def test_a_console_that_ends_before_the_run_does_not_show_that_the_kernel_was_quiet(run: RunDir) -> None:
    run.embed("[    0.000000] booting\n", True)
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"] == f"console.log: no line 'kedr: run {RUN_ID} begins': what this run caused is not known"


def test_a_console_that_was_altered_after_it_was_kept_is_no_result(run: RunDir) -> None:
    run.embed(CONSOLE + "BUG: something\n", True)
    digest = hashlib.sha256((run.host / "console.log").read_bytes()).hexdigest()
    size = (run.host / "console.log").stat().st_size
    run.write("guest.json", {"alive": True, "console": {"bytes": size, "sha256": digest}})
    run.write("console.log", CONSOLE + "BAG: something\n")
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"].startswith("console.log: the file is not what was kept of the console")


def test_a_guest_may_go_on_writing_to_its_console_after_it_was_kept(run: RunDir) -> None:
    run.embed(CONSOLE + "reboot: Power down\n", True)
    digest = hashlib.sha256(CONSOLE.encode()).hexdigest()
    run.write("guest.json", {"alive": True, "console": {"bytes": len(CONSOLE), "sha256": digest}})
    assert run.row()["verdict"] == "OK"


def test_splats_from_before_the_run_do_not_decide(run: RunDir) -> None:
    run.replace("dmesg.txt", "[    0.000000]", "[    0.000000] BUG: old\n[    0.000001]")
    row = run.row()
    assert row["verdict"] == "OK"
    assert "dmesg.txt: 1 lines of splats from before this run" in said(row, "note")


def test_a_log_is_looked_through_up_to_a_limit_and_the_verdict_says_so(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_LOG", 1 << 20)
    run.write("dmesg.txt", DMESG + "x" * (1 << 20) + "\n")
    assert run.row()["reason"] == "dmesg.txt: the log has 1 MiB, of which the first 1 were looked through"
    run.write("dmesg.txt", DMESG.replace("cfake: 2", "BUG: KASAN 2") + "x" * (1 << 20) + "\n")
    run.received = False
    assert run.row()["verdict"] == "FAIL"


def test_errors_of_the_modules_under_test_are_told_and_counted(run: RunDir) -> None:
    begin, rest = DMESG.split("cfake: 2 devices", 1)
    line = "cp_target: no such block\n<3>[   11.000000] "
    run.write("dmesg.txt", f"{begin}cfake: 2 devices\n<3>[   11.000000] {line * 14}{line[:24]}{rest}")
    row = run.row()
    assert row["verdict"] == "OK"
    notes = [text for text in said(row, "note") if "level error" in text]
    assert len(notes) == case.MAX_NAMED + 1
    assert notes[-1] == "dmesg.txt: 15 lines of these modules at level error or worse in all"
