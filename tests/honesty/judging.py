# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging many run directories as users judge one, and counting what came out of faults."""

from __future__ import annotations

import json
import pathlib
import subprocess
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from evidence import HOST, Evidence
from faults import Fault
from guests import ROOT, playbook

TASK = "Judge every run"


class Judged(NamedTuple):
    """A verdict and its reason, or ``refused`` and what the command said."""

    verdict: str
    reason: str
    entry: dict[str, Any]


def judge(runs: list[Evidence], place: pathlib.Path) -> list[Judged]:
    """Judge each run by kedr.lab.verdict in one play; what it writes and says is what users get."""
    place.mkdir(exist_ok=True)
    rows = [{"run_dir": str(run.path), **({"expect": run.expect} if run.expect else {})} for run in runs]
    answers = place / "answers.json"
    play = [{
        "hosts": "localhost", "connection": "local", "gather_facts": False, "vars": {"runs": rows},
        "tasks": [
            {"name": TASK, "loop": "{{ runs }}", "loop_control": {"label": "{{ item.run_dir }}"},
             "kedr.lab.verdict": {"run_dir": "{{ item.run_dir }}", "hosts": [HOST],
                                  "expect": "{{ item.expect | default(omit) }}"},
             "ignore_errors": True, "register": "judged"},
            {"name": "Keep what was said", "ansible.builtin.copy": {
                "content": "{{ judged.results | to_json }}", "dest": str(answers), "mode": "0600"}},
        ],
    }]  # fmt: skip
    path = place / "judge.yml"
    path.write_text(yaml.safe_dump(play))
    done = playbook(str(path), lab=place)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stdout + done.stderr
    return [_judged(run, answer) for run, answer in zip(runs, json.loads(answers.read_text()), strict=True)]


def _judged(run: Evidence, answer: dict[str, Any]) -> Judged:
    """What results.json says; refused where the action failed without a verdict."""
    if "verdicts" not in answer:
        return Judged("refused" if answer.get("failed") else "nothing", str(answer.get("msg")), {})
    (entry,) = json.loads((run.path / "results.json").read_text())
    assert answer["verdicts"] == {HOST: entry["verdict"]}
    assert bool(answer.get("failed")) == (entry["verdict"] != "OK"), f"{run.path}: the task and the verdict differ"
    return Judged(entry["verdict"], entry["reason"], entry)


def judge_watches(runs: list[Evidence]) -> list[Judged]:
    """Judge watches by kedr judge, all in one call."""
    done = subprocess.run([ROOT / "bin" / "kedr", "judge", *(str(run.path) for run in runs)], capture_output=True,
                          text=True, check=False, timeout=300)  # fmt: skip
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr[-3000:]
    found = []
    for run in runs:
        (entry,) = json.loads((run.path / "watch.json").read_text())["hosts"]
        found.append(Judged(entry["verdict"], entry["reason"], entry))
    assert (done.returncode == 0) == all(one.verdict == "OK" for one in found)
    return found


@dataclass
class Figure:
    """What came of the faults; ``hangs`` are those that did not end in time."""

    seen: int = 0
    green: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def take(self, fault: Fault, judged: Judged, cases: int = 1) -> None:
        """Count a fault; raise AssertionError unless it has its verdict, with the words that belong to it."""
        self.seen += cases
        told = f"{fault.id}: {judged.verdict}: {judged.reason}"
        if judged.verdict != fault.verdict:
            (self.green if judged.verdict == "OK" else self.wrong).append(told)
            raise AssertionError(f"{fault.fault}: expected {fault.verdict}, got {told}")
        missing = [text for text in fault.says if text.lower() not in judged.reason.lower()]
        if missing:
            self.words.append(told)
            raise AssertionError(f"{fault.fault}: the reason does not say {missing}: {told}")

    def hang(self, fault: Fault) -> None:
        """Count a fault of which no end was seen."""
        self.seen += 1
        self.hangs.append(fault.id)
        raise AssertionError(f"{fault.fault}: no end was seen")

    def line(self) -> str:
        """``120 faults: 0 false greens, 0 wrong classes, 0 hangs``."""
        words = f", {len(self.words)} reasons that do not name the cause" if self.words else ""
        return (f"{self.seen} faults: {len(self.green)} false greens, {len(self.wrong)} wrong classes, "
                f"{len(self.hangs)} hangs{words}")  # fmt: skip


FIGURE = Figure()
