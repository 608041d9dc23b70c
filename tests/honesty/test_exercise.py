# SPDX-License-Identifier: GPL-3.0-or-later
"""Exercises that do not check what they should are run on a guest, in place of the good one, and judged."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml
from evidence import HOST, Evidence, copy_of
from faults import Fault, faults
from guests import Lab, Run, playbook
from judging import FIGURE, Judged, judge

FAULTS = faults(way="script")
TIME = 5
"""Seconds that an exercise may take here."""


def _checks(good: Evidence) -> str:
    (step,) = [step for step in good.steps() if step["step"] == "exercise"]
    return " ".join(dict.fromkeys(check["name"] for check in step["data"]["checks"]))


def _script(fault: Fault, checks: str) -> str:
    text = fault.given["script"].replace("{checks}", checks)
    return text.replace("{each}", fault.given.get("each", ""))


def _exercise(lab: Lab, place: pathlib.Path, rows: list[dict[str, str]]) -> None:
    """Run each script by kedr.lab.exercise, for the run directory that it belongs to."""
    play = [{
        "hosts": HOST, "gather_facts": False, "vars": {"rows": rows}, "tasks": [{
            "name": "Exercise", "loop": "{{ rows }}", "loop_control": {"label": "{{ item.script }}"},
            "kedr.lab.exercise": {"script": "{{ item.script }}", "run_dir": "{{ item.run_dir }}", "timeout": TIME},
            "ignore_errors": True,
        }],
    }]  # fmt: skip
    path = place / "exercise.yml"
    path.write_text(yaml.safe_dump(play))
    done = playbook("-i", str(lab.inventory), str(path), lab=lab.directory)
    assert done.returncode == 0, done.stdout + done.stderr


def _moved(run: Evidence, before: list[dict]) -> None:
    """Put the record that was appended in the place of the good exercise's."""
    *_others, new = run.steps()
    assert new["step"] == "exercise"
    run.write_steps([new if step["step"] == "exercise" else step for step in before])
    run.seal()


@pytest.fixture(scope="session")
def judged(lab: Lab, good_run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    place = tmp_path_factory.mktemp("exercise")
    runs, rows = [], []
    before = Evidence(good_run.directory).steps()
    checks = _checks(Evidence(good_run.directory))
    for fault in FAULTS:
        run = copy_of(good_run.directory, place / fault.id)
        (place / fault.id / "exercise.sh").write_text(_script(fault, checks))
        runs.append(run)
        rows.append({"script": str(place / fault.id / "exercise.sh"), "run_dir": str(run.path)})
    _exercise(lab, place, rows)
    for run in runs:
        _moved(run, before)
    return dict(zip([fault.id for fault in FAULTS], judge(runs, place), strict=True))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_an_exercise_that_checks_nothing_has_its_verdict(fault: Fault, judged: dict[str, Judged]) -> None:
    FIGURE.take(fault, judged[fault.id])


def test_the_kernel_reads_what_an_exercise_writes_into_its_log(lab: Lab, judged: dict[str, Judged]) -> None:
    assert "Out of memory: Killed process" in lab.ssh(HOST, "dmesg"), json.dumps(list(judged))
