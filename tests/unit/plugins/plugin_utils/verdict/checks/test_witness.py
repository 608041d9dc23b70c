# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own memory events are a second count of the calls."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import verify

from ...run_dir import CALLS, ITSELF, WITNESS, RunDir, formats, kmem, kmem_formats, replaced, said, step


def test_the_kernel_counts_as_many_calls_as_the_payloads(run: RunDir) -> None:
    assert "witness.txt: the kernel's own events count as many calls: __kmalloc 2, kfree 3" in said(run.row(), "ok")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (WITNESS[:-2], "kfree: 3 calls recorded, the kernel's own events count 2"),
        ([*WITNESS, WITNESS[1]], "__kmalloc: 2 calls recorded, the kernel's own events count 3"),
        ([*WITNESS, kmem("kfree", replaced("kmem_cache_free"))], "kmem_cache_free: 0 calls recorded"),
        ([line.replace("my_payload1", "other") for line in WITNESS], "__kmalloc: 2 calls recorded"),
    ],
)
def test_a_call_that_only_one_side_counts_fails(run: RunDir, lines: list[str], reason: str) -> None:
    run.witness(lines)
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert row["reason"].startswith(f"witness.txt: {reason}")


def test_an_allocation_of_nothing_has_no_event_of_the_kernel(run: RunDir) -> None:
    nothing = "called___kmalloc: __kmalloc(0, dc0), in init: 0, result: 0000000000000010"
    run.calls([*CALLS[:-1], nothing, CALLS[-1], "called_kfree: kfree(0000000000000010)"])
    run.witness([*WITNESS, kmem("kfree", replaced("kfree"))])
    assert run.row()["verdict"] == "OK"


def test_memory_that_the_target_takes_by_other_ways_is_told(run: RunDir) -> None:
    run.witness([*WITNESS, kmem("kfree", ITSELF), kmem("kfree", ITSELF)])
    row = run.row()
    assert row["verdict"] == "OK"
    text = "witness.txt: 2 × kmem:kfree from cp_target itself, not seen by a payload"
    assert text in said(row, "note")


def test_events_of_the_kernel_that_were_lost_leave_nothing_to_compare_with(run: RunDir) -> None:
    run.witness(WITNESS[:-2])
    run.replace("witness_stats.txt", "overrun: 0\ncommit", "overrun: 7\ncommit")
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert "witness_stats.txt: 7 of the kernel's own events are lost: not compared" in said(row, "missing")


def test_a_kernel_without_such_events_has_no_witness(run: RunDir) -> None:
    run.steps([step(name, **({"data": {"witness": []}} if name == "trace" else {})) for name in verify.STEPS])
    for name in ("witness.txt", "witness_stats.txt"):
        (run.host / name).unlink()
    row = run.row()
    assert row["verdict"] == "OK"
    assert any("no events of the kernel's own" in text for text in said(row, "note"))


def test_a_kernel_that_prints_call_sites_as_numbers_is_no_witness(run: RunDir) -> None:
    run.write("formats.txt", formats() + kmem_formats("call_site=%lx ptr=%p").replace(", (void *)REC->bytes_req", ""))
    row = run.row()
    assert row["verdict"] == "OK"
    assert any("do not name where they come from" in text for text in said(row, "note"))


@pytest.mark.parametrize("name", ["witness.txt", "witness_stats.txt"])
def test_a_witness_that_did_not_come_home_is_missed(run: RunDir, name: str) -> None:
    (run.host / name).unlink()
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("NO-RESULT", f"{name}: the file is not there")


@pytest.mark.parametrize(
    ("old", "new"), [("kfree: call_site", "kfree: nonsense"), ("ptr=", "pt"), ("kmalloc:", "kmall:")]
)
def test_a_witness_that_cannot_be_read_is_missed(run: RunDir, old: str, new: str) -> None:
    run.replace("witness.txt", old, new)
    assert run.row()["verdict"] == "NO-RESULT"
