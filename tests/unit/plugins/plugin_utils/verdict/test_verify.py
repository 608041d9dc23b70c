# SPDX-License-Identifier: GPL-3.0-or-later
"""Every verdict has its evidence, and no evidence can go missing or be altered without the verdict saying so."""

from __future__ import annotations

import pathlib

from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import about_shipped
from ansible_collections.kedr.lab.plugins.plugin_utils.report import rows
from ansible_collections.kedr.lab.plugins.plugin_utils.report import text as report
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import verify

from ..run_dir import FACTS, HOST, RunDir, said, step


def test_a_run_with_all_evidence_is_ok(run: RunDir) -> None:
    row = run.row()
    assert row["verdict"] == "OK", row
    assert row["events"]["called___kmalloc"] == 2
    assert row["events"]["called_down"] == 0
    assert row["sites"]["kfree"] == {"call": 1, "jmp": 1, "expected": 2}
    assert row["sites"]["__kmalloc"] == {"call": 2, "jmp": 0, "expected": 2}
    assert (row["lost"], row["splats"], row["round_trips"]) == (0, [], 11)
    assert row["durations"]["load"] == 1.5
    assert (row["kernel"], row["arch"]) == ("6.12.107+deb13-amd64", "x86_64")
    assert row["reproduce"] == f"ansible-playbook verify.yml --limit {HOST}"
    assert not said(row, "fail") and not said(row, "missing")


def test_every_line_of_the_verdict_names_its_evidence(run: RunDir) -> None:
    sources = {one["source"] for one in run.row()["evidence"]}
    own = {"steps.jsonl", "dmesg.txt", "stats.txt", "trace.txt", "sites.txt", "end.json", "witness.txt", "calls.json"}
    assert sources == {*own, "modules/cp_target.ko"}


def test_judging_again_gives_the_same(run: RunDir) -> None:
    assert run.judge() == run.judge()


NASTY = "\x1b]0;owned\x07\x1b[2J | <b> \udcff\u202e " + "A" * 100000


def test_what_a_host_says_harms_no_report_and_no_other_host(run: RunDir, tmp_path: pathlib.Path) -> None:
    facts = dict.fromkeys(("release", "machine", "system", "compiler"), NASTY.replace("\udcff", "\ufffe"))
    run.write("facts.json", {**FACTS, **facts})
    run.steps([*(step(one) for one in verify.STEPS), step(NASTY, "failed", reason=NASTY, seconds=1e300)])
    (run.host / "dmesg.txt").write_bytes(b"\x1b[2JBUG: \xff\xfe" + b"B" * 1000000)
    (row,) = run.judge()
    table = rows.lines([row], about_shipped)
    shown = report.terminal(table) + report.markdown(table)
    assert row["verdict"] == "FAIL"
    assert shown.replace("\n", "").isprintable()
    assert len(shown) < 20000
    assert "<b>" not in report.markdown(rows.lines([row], about_shipped))
