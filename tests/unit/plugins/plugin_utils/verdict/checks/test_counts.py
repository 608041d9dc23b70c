# SPDX-License-Identifier: GPL-3.0-or-later
"""The ring buffer's counts and the payloads' own must be those of the records."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import verify

from ...run_dir import CALLS, RunDir, counted, said, step


def test_the_payloads_count_as_many_calls_as_there_are_records(run: RunDir) -> None:
    text = "calls.json: the payloads count as many calls as there are records: 14"
    assert text in said(run.row(), "ok")


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (2, "kfree: 2 calls counted, 3 records: the payload counts too few"),
        (4, "1 call of kfree had not returned when the counters were read, or never will, or its event was"),
        (5, "2 calls of kfree had not returned when the counters were read, or never will, or its event was"),
    ],
)
def test_a_count_of_calls_that_is_not_that_of_the_records_fails(run: RunDir, count: int, reason: str) -> None:
    run.write("calls.json", {**counted(CALLS), "my_payload1/called_kfree": count})
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert row["reason"].startswith(f"calls.json: {reason}")


def test_a_call_that_is_recorded_before_it_is_made_needs_not_return_to_be_recorded(run: RunDir) -> None:
    plans = run.plans()
    plans[0]["events"][1]["moment"] = "before"
    run.write("payloads.json", plans)
    assert run.row()["verdict"] == "OK"
    run.write("calls.json", {**counted(CALLS), "my_payload1/called_kfree": 4})
    run.received = False
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert "1 call of kfree made no record: its event was off (4 calls counted, 3 records)" in row["reason"]


def test_a_payload_of_other_templates_does_not_count(run: RunDir) -> None:
    counts = {name: n for name, n in counted(CALLS).items() if not name.startswith("my_payload3")}
    run.write("calls.json", counts)
    collect = {"data": {"counters": len(counts)}}
    run.steps([step(name, **(collect if name == "collect" else {})) for name in verify.STEPS])
    row = run.row()
    assert row["verdict"] == "OK"
    assert any("no payload counts the calls of called_down, " in text for text in said(row, "note"))


@pytest.mark.parametrize("old", [{}, {"counters": 0}])
def test_a_run_without_counters_is_judged_without(run: RunDir, old: dict[str, int]) -> None:
    run.steps([step(name, **({"data": old} if name == "collect" else {})) for name in verify.STEPS])
    (run.host / "calls.json").unlink()
    row = run.row()
    assert row["verdict"] == "OK"
    assert any("not compared" in text for text in said(row, "note"))


@pytest.mark.parametrize("count", [-1, 1.5, True, "3", None, 1 << 64])
def test_a_count_that_is_none_is_missed(run: RunDir, count: Any) -> None:
    run.write("calls.json", {**counted(CALLS), "my_payload1/called_kfree": count})
    assert run.row()["verdict"] == "NO-RESULT"
