# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that judges a watch on the control node."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any
from unittest import mock

import pytest
from ansible_collections.kedr.lab.plugins.action import verdict as verdict_action
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.report import timeline
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import watch

from .test_run_and_verdict import HOSTVARS, do, refuse

HOSTS = ("one", "two")


@pytest.fixture
def begun(tmp_path: pathlib.Path) -> pathlib.Path:
    """A run directory of HOSTS without anything from them."""
    run_dir = tmp_path / "r1"
    run_dir.mkdir()
    (run_dir / "run.json").write_text(json.dumps({"hosts": {name: {"target": "cp_target"} for name in HOSTS}}))
    return run_dir


@pytest.fixture
def shown() -> Any:
    with mock.patch.object(verdict_action.Display, "display") as display:
        yield display


def judge(run_dir: pathlib.Path, hosts: tuple[str, ...] = (*HOSTS, "localhost"), check: bool = False) -> dict[str, Any]:
    return do(verdict_action, {"run_dir": str(run_dir), "hosts": list(hosts), "kind": "watch"}, run_dir, check)


def test_a_verify_is_judged_without_the_packages_of_a_watch() -> None:
    code = f"import sys, {verdict_action.__name__}; print({{'duckdb', 'numpy', 'pyarrow'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=paths.ROOT,
                          env={**os.environ, "PYTHONPATH": os.path.join(paths.ROOT, ".collections")})  # fmt: skip
    assert done.stdout == "set()\n"


def test_a_watch_without_evidence_fails_with_a_row_for_every_host(begun: pathlib.Path, shown: mock.Mock) -> None:
    refuse(begun, "two")
    result = judge(begun)
    assert (result["failed"], result["msg"]) == (True, "watch: 0 of 2 hosts OK, 0 records, 0 lost")
    assert result["verdicts"] == {"one": "NO-RESULT", "two": "SKIP"}
    kept = json.loads((begun / "watch.json").read_text())
    assert [entry["host"] for entry in kept["hosts"]] == list(HOSTS)
    assert "two: SKIP: load: not marked" in shown.call_args.args[0]
    assert f"the page: {begun}/timeline.html" in shown.call_args.args[0]
    assert "Not OK: one (NO-RESULT), two (SKIP)." in pathlib.Path(result["page_file"]).read_text()
    assert judge(begun)["changed"] is False


def test_all_hosts_ok_is_the_only_success(begun: pathlib.Path, shown: mock.Mock) -> None:
    outcomes = {}
    for word in ("OK", "FAIL", "CRASH", "INFRA", "SKIP", "NO-RESULT"):
        entries = [
            {"host": name, "verdict": said, "reason": "r", "records": 1, "lost": 0, "system": "", "kernel": "",
             "checks": [], "notes": []}
            for name, said in (("one", "OK"), ("two", word))
        ]  # fmt: skip
        judged = {"run_id": "r1", "targets": [], "hosts": entries}
        with mock.patch.object(watch, "judge_run", return_value=judged):
            outcomes[word] = bool(judge(begun).get("failed"))
    assert outcomes == {"OK": False, "FAIL": True, "CRASH": True, "INFRA": True, "SKIP": True, "NO-RESULT": True}
    assert shown.call_count == 6


def test_a_page_that_cannot_be_made_is_told_and_changes_no_verdict(begun: pathlib.Path, shown: mock.Mock) -> None:
    with mock.patch.object(timeline, "write", side_effect=OSError(28, "No space left on device")):
        result = judge(begun)
    assert result["verdicts"] == {"one": "NO-RESULT", "two": "NO-RESULT"}
    assert result["page_file"] == ""
    assert f"no page was made: {begun}/timeline.html: No space left on device" in shown.call_args.args[0]


def test_no_host_is_no_success(begun: pathlib.Path, shown: mock.Mock) -> None:
    assert judge(begun, ("localhost",))["failed"] is True
    assert shown.called


def test_a_check_has_nothing_to_judge_but_whether_every_host_came_to_the_end(
    tmp_path: pathlib.Path, shown: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "one: it did not come to the end" in judge(tmp_path, ("one",), check=True)["msg"]
    monkeypatch.setitem(HOSTVARS, "one", {"kedr_foretold": True})
    result = judge(tmp_path, ("one",), check=True)
    assert (result["changed"], result.get("failed", False)) == (False, False)
    assert not shown.called
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", ".", "a/b", "", "a\nb"])
def test_a_host_that_names_no_directory_is_refused(begun: pathlib.Path, shown: mock.Mock, name: str) -> None:
    result = judge(begun, (name,))
    assert result["failed"] is True
    assert not shown.called


def test_a_directory_that_is_no_run_is_told(tmp_path: pathlib.Path, shown: mock.Mock) -> None:
    result = judge(tmp_path)
    assert result["msg"] == f"{tmp_path}/run.json: cannot be read: No such file or directory"


def test_a_control_node_without_the_packages_is_told_what_to_install(begun: pathlib.Path, shown: mock.Mock) -> None:
    with mock.patch.dict(sys.modules, {"pyarrow": None}):
        result = judge(begun)
    assert result["msg"] == (
        "python3 has no module 'pyarrow'; install what requirements/common.txt and collect.txt names"
    )
