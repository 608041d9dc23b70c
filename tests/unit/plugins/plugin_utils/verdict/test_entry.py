# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry of a host in results.json tells what was tested, what was done and what was found."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import about_shipped
from ansible_collections.kedr.lab.plugins.plugin_utils.report import rows
from ansible_collections.kedr.lab.plugins.plugin_utils.report import text as report

from ..run_dir import HOST, RunDir, formats, step


def test_the_entry_tells_each_step_once_with_its_time_and_why_it_failed(run: RunDir) -> None:
    run.steps([step("facts"), step("build"), step("build", seconds=2.25), step("load", "failed", reason="no\nmemory")])
    row = run.row()
    assert row["steps"] == [
        {"step": "facts", "status": "ok", "seconds": 1.5, "reason": ""},
        {"step": "build", "status": "ok", "seconds": 3.75, "reason": ""},
        {"step": "load", "status": "failed", "seconds": 1.5, "reason": "no; memory"},
    ]


def test_a_step_that_failed_once_has_failed(run: RunDir) -> None:
    run.steps([step("build", "failed", reason="first"), step("build"), step("build", "failed", reason="second")])
    assert run.row()["steps"] == [{"step": "build", "status": "failed", "seconds": 4.5, "reason": "first"}]


@pytest.mark.parametrize(
    ("started", "finished"),
    [
        (1795415399.5, "2026-11-23T06:30:01Z"),
        (0, "1970-01-01T00:00:01Z"),
        *((wrong, "1970-01-01T00:00:01Z") for wrong in (-1, True, "now", None, [], 1e300, float("nan"))),
    ],
)
def test_the_entry_tells_when_the_last_step_ended(run: RunDir, started: Any, finished: str) -> None:
    run.steps([step("facts", started=0, seconds=1), step("load", started=started)])
    assert run.row()["finished"] == finished


def test_a_host_without_steps_has_no_end(run: RunDir) -> None:
    run.steps([])
    row = run.row()
    assert (row["steps"], row["finished"]) == ([], "")


def test_the_entry_names_the_target_and_the_row_of_the_matrix(run: RunDir) -> None:
    row = run.row()
    assert row["target"] == "cp_target"
    assert "row" not in row
    about = {"name": HOST, "system": "Debian 13", "kernel": "6.12", "arch": "x86_64", "group": "base", "why": "newest"}
    run.info["row"] = about
    assert run.row()["row"] == about
    run.info["row"] = {**about, "variant": "two\x1b CPUs", "password": "hush"}
    assert run.row()["row"] == {**about, "variant": "two\\x1b CPUs"}


@pytest.mark.parametrize("row", ["debian13", [], {}, {"name": ""}, None, 5])
def test_what_is_no_row_is_left_out(run: RunDir, row: Any) -> None:
    run.info["row"] = row
    assert "row" not in run.row()


def test_optional_functions_that_are_not_there_are_listed(run: RunDir) -> None:
    plans = run.plans()
    plans[2]["events"] = [one for one in plans[2]["events"] if one["function"] != "down_killable"]
    plans[2]["unresolved"] = [{"function": "down_killable", "tried": ["down_killable"]}]
    run.write("payloads.json", plans)
    kept = [part for part in formats().split("== ") if "called_down_killable" not in part]
    run.write("formats.txt", "== ".join(kept))
    run.replace("sites.txt", "function down_killable call 0 jmp 0\n", "")
    row = run.row()
    assert row["verdict"] == "OK", row
    assert row["unresolved"] == [{"function": "down_killable", "tried": ["down_killable"]}]
    assert "down_killable" in report.terminal(rows.lines([row], about_shipped))
