# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence of a good run that is damaged, or that a broken host would have sent, is judged for what it is."""

from __future__ import annotations

import pathlib

import pytest
from evidence import WAYS, Evidence, copy_of
from faults import Fault, faults
from guests import Run
from judging import FIGURE, Judged, judge
from logs import EVERY, lines_of

PLACES = ("stored", "sent", "expected")
FAULTS = [fault for place in PLACES for fault in faults(place)]


@pytest.fixture(scope="session")
def judged(good_run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Judged]]:
    """The verdicts by fault, of all of them in one play; of a fault that has many cases, each."""
    place = tmp_path_factory.mktemp("evidence")
    made, verdicts = [], {}
    for fault in FAULTS:
        try:
            made += [(fault.id, run) for run in _damaged(fault, good_run.directory, place)]
        except (AssertionError, LookupError) as error:
            verdicts[fault.id] = [Judged("nothing", f"the fault cannot be put in: {error!r}", {})]
    for (name, _run), answer in zip(made, judge([run for _name, run in made], place), strict=True):
        verdicts.setdefault(name, []).append(answer)
    return verdicts


def _damaged(fault: Fault, good: pathlib.Path, place: pathlib.Path) -> list[Evidence]:
    """Copies of the good run with the fault, one for each of its cases."""
    if fault.way not in EVERY:
        return [_one(fault, good, place / fault.id.replace("/", "-"), fault.way, fault.given)]
    return [
        _one(fault, good, place / f"{fault.id}-{number}", "kernel_says", given)
        for number, given in enumerate(lines_of(fault.way))
    ]


def _one(fault: Fault, good: pathlib.Path, place: pathlib.Path, way: str, given: dict) -> Evidence:
    run = copy_of(good, place)
    WAYS[way](run, **given)
    if fault.place == "sent":
        run.seal()
    return run


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_of_the_evidence_has_its_verdict(fault: Fault, judged: dict[str, list[Judged]]) -> None:
    answers = judged[fault.id]
    worst = next((one for one in answers if one.verdict != fault.verdict), answers[0])
    FIGURE.take(fault, worst, len(answers))
