# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules are held to a whole trace, with the fields that they ask for."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.expect import load_expect

from ... import run_dir
from ...run_dir import CALLS, EXPECT, FACTS, WITNESS, RunDir, said, stats, trace_text


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_a_line_missing_from_the_trace_is_not_ok(run: RunDir, number: int) -> None:
    lines = trace_text(CALLS).splitlines(keepends=True)
    del lines[4 + number]
    run.write("trace.txt", "".join(lines))
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert "stats.txt counts 14" in " ".join(said(row, "missing"))


@pytest.mark.parametrize(
    ("old", "new", "said_of_it"),
    [
        ("n: 13", 'n: "13"', "n is a number in the trace and 'n = 13' never holds; write the number without quotes"),
        ("in_init: 1", "in_init: yes", "in_init is a number in the trace and 'in_init = yes' never holds"),
    ],
)
def test_a_condition_of_the_wrong_type_is_no_result_with_its_place(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, old: str, new: str, said_of_it: str
) -> None:
    text = pathlib.Path(EXPECT.path).read_text()
    (tmp_path / "expect.yml").write_text(text.replace(old, new.replace("yes", "'yes'"), 1))
    monkeypatch.setattr(run_dir, "EXPECT", load_expect(str(tmp_path / "expect.yml")))
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert said_of_it in row["reason"]
    assert "[expect.yml:" in row["reason"]


@pytest.mark.parametrize(
    ("cpus", "moment", "in_doubt"), [(2, "after", True), (2, "before", False), (1, "after", False)]
)
def test_an_order_that_may_be_that_of_the_records_alone_is_told(
    run: RunDir, cpus: int, moment: str, in_doubt: bool
) -> None:
    plans = run.plans()
    plans[0]["events"][1]["moment"] = moment
    run.write("payloads.json", plans)
    run.write("facts.json", {**FACTS, "cpus": cpus})
    run.calls(CALLS[:-1])
    run.witness([line for line in WITNESS if line != WITNESS[-2]])
    each = (stats(0 if cpu else len(CALLS) - 1).replace("cpu0", f"cpu{cpu}") for cpu in range(cpus))
    run.write("stats.txt", "".join(each))
    row = run.row()
    assert row["verdict"] == "FAIL"
    (text,) = (text for text in said(row, "fail") if "freed: 1 of 2 values" in text)
    assert ("recorded after the call, when another CPU may have got the same already: kfree" in text) == in_doubt
