# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of others may come and go."""

from __future__ import annotations

from ...run_dir import FACTS, MODULES, RunDir, said


def test_modules_of_others_that_came_or_went_are_told_and_fail_nothing(run: RunDir) -> None:
    run.write("facts.json", {**FACTS, "modules": ["ext4", "usbhid"]})
    run.write("end.json", {"taint": 12288, "modules": ["ext4", "zsmalloc", *MODULES]})
    row = run.row()
    assert row["verdict"] == "OK"
    assert "end.json: modules that came during the run and stayed: zsmalloc" in said(row, "note")
    assert "end.json: modules that went during the run: usbhid" in said(row, "note")


def test_modules_of_the_run_are_none_of_others(run: RunDir) -> None:
    assert not [text for text in said(run.row(), "note") if "modules that" in text]
