# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence that is missing, spoiled or not what was received is never OK."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import rundir
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import case, verify

from ..run_dir import EVIDENCE, EXPECT, HOST, POLICY, RunDir, said


@pytest.mark.parametrize("name", EVIDENCE)
def test_missing_evidence_is_no_result_and_is_named(run: RunDir, name: str) -> None:
    (run.host / name).unlink()
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert any(text.startswith(f"{name}: ") for text in said(row, "missing"))


@pytest.mark.parametrize("name", EVIDENCE)
@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\x00\xff\xfe garbage \x1b[2J\n", b"[" * 100000, b"{}", b"[]", b"null"]
)
def test_spoiled_evidence_is_not_ok(run: RunDir, name: str, content: bytes) -> None:
    (run.host / name).write_bytes(content)
    assert run.row()["verdict"] in ("NO-RESULT", "FAIL")


@pytest.mark.parametrize("name", [name for name in EVIDENCE if name not in case.OWN_FILES])
def test_a_bit_that_flips_after_evidence_was_received_is_noticed(run: RunDir, name: str) -> None:
    run.receive()
    data = bytearray((run.host / name).read_bytes())
    data[len(data) // 2] ^= 1
    (run.host / name).write_bytes(data)
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert f"{name}: the file is not what was received: its checksum differs" in said(row, "missing")


def test_a_file_that_no_step_brought_is_no_evidence(run: RunDir) -> None:
    (run.host / "calls.json").rename(run.host / "calls.away")
    run.receive()
    (run.host / "calls.away").rename(run.host / "calls.json")
    row = run.row()
    assert (row["verdict"], row["reason"]) == (
        "NO-RESULT",
        "calls.json: no step of this run says that it brought this file",
    )


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_that_is_a_directory_is_no_result(run: RunDir, name: str) -> None:
    (run.host / name).unlink()
    (run.host / name).mkdir()
    assert run.row()["verdict"] == "NO-RESULT"


@pytest.mark.parametrize(
    "name",
    [
        "facts.json",
        "payloads.json",
        "formats.txt",
        "trace.txt",
        "stats.txt",
        "sites.txt",
        "end.json",
        "steps.jsonl",
        "modules/cp_target.ko",
    ],
)
def test_evidence_that_is_cut_off_is_not_ok(run: RunDir, name: str) -> None:
    data = (run.host / name).read_bytes()
    for part in (1, 2, 3):
        (run.host / name).write_bytes(data[: len(data) * part // 4])
        assert run.row()["verdict"] != "OK", part


def test_a_run_without_run_json_cannot_be_judged(run: RunDir) -> None:
    with pytest.raises(ForeignError, match=r"run.json: cannot be read: No such file"):
        verify.judge_run(str(run.path), [HOST], {HOST: EXPECT}, POLICY)


def test_a_run_json_that_was_changed_is_refused(tmp_path: pathlib.Path) -> None:
    path = pathlib.Path(rundir.make_run(str(tmp_path), "r1", {"hosts": {HOST: {"embedded": True}}}))
    assert case.read_run(str(path))["hosts"] == {HOST: {"embedded": True}}
    (path / "run.json").write_text((path / "run.json").read_text().replace("true", "false"))
    with pytest.raises(ForeignError, match="its checksum differs"):
        case.read_run(str(path))


def test_deep_json_is_no_result(run: RunDir) -> None:
    run.write("end.json", '{"modules": ' + "[" * 200000)
    assert run.row()["verdict"] == "NO-RESULT"
