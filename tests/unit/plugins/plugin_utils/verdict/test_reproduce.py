# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that repeats a host is limited to it and tells no secret."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import verify

from ..run_dir import EXPECT, HOST, POLICY, RunDir

PLAYBOOK = "ansible-playbook v.yml"


@pytest.mark.parametrize(
    ("words", "again"),
    [
        (["-l", "a"], ""),
        (["-la"], ""),
        (["-l=a"], ""),
        (["-vl", "a"], " -v"),
        (["--limit", "a b"], ""),
        (["--limit=a b"], ""),
        (["--lim=a"], ""),
        (["-l", "a", "-i", "hosts"], " -i hosts"),
        (["-e", "kedr_run_id=x", "-e", "a=b c"], " -e 'a=b c'"),
        (["-ekedr_run_id=x", "--extra-vars=a=b kedr_run_id=x c=d"], " --extra-vars 'a=b c=d'"),
        (["-e", "ansible_become_password=hush"], " -e 'ansible_become_password=…'"),
        (["--list-hosts", "--private-key=k", "-e", "@vars.yml"], " --list-hosts --private-key=k -e @vars.yml"),
    ],
)
def test_the_command_that_repeats_a_host_has_its_limit_alone(run: RunDir, words: list[str], again: str) -> None:
    (run.path / "run.json").write_text(json.dumps({"command": [*PLAYBOOK.split(), *words], "hosts": {}}))
    (row,) = verify.judge_run(str(run.path), [HOST], {HOST: EXPECT}, POLICY)
    assert row["reproduce"] == f"{PLAYBOOK}{again} --limit debian13"


def test_without_a_command_the_playbook_is_named(run: RunDir) -> None:
    (run.path / "run.json").write_text(json.dumps({"command": [], "hosts": {}}))
    (row,) = verify.judge_run(str(run.path), [HOST], {HOST: EXPECT}, POLICY)
    assert row["reproduce"] == "ansible-playbook playbooks/verify.yml --limit debian13"


def test_a_command_that_was_given_names_the_host_where_it_asks_for_it(run: RunDir) -> None:
    (run.path / "run.json").write_text(json.dumps({"command": PLAYBOOK.split(), "hosts": {}}))
    given = "make matrix ARGS='--limit {host}'"
    (row,) = verify.judge_run(str(run.path), [HOST], {HOST: EXPECT}, POLICY, given)
    assert row["reproduce"] == "make matrix ARGS='--limit debian13'"


def test_a_command_that_was_given_is_used_as_it_is(run: RunDir) -> None:
    (run.path / "run.json").write_text(json.dumps({"command": PLAYBOOK.split(), "hosts": {}}))
    (row,) = verify.judge_run(str(run.path), [HOST], {HOST: EXPECT}, POLICY, "cd /lab && make verify")
    assert row["reproduce"] == "cd /lab && make verify"
