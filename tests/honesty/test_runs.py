# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the code, on the guest and on the way to it, in whole runs, are judged for what they are."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import pytest
from faults import Fault, faults
from faulty_runs import NotPutIn, clean, left_on, run_pair
from guests import Lab, Run
from judging import FIGURE, Judged

FAULTS = faults(way="run")
HOSTS = ("one", "two")
PAIRS = [FAULTS[at : at + len(HOSTS)] for at in range(0, len(FAULTS), len(HOSTS))]


class Ended(NamedTuple):
    """What came of a fault: a judgement, what is left on the guest, whether the run had to be given up."""

    judged: Judged
    left: str
    hung: bool


def _ended(run: Run, host: str, hung: bool, lab: Lab, dies: bool) -> Ended:
    if hung:
        return Ended(Judged("nothing", "no end was seen", {}), "", True)
    entry = run.results[host]
    assert "Traceback" not in run.output
    return Ended(Judged(entry["verdict"], entry["reason"], entry), "" if dies else left_on(lab, host), False)


@pytest.fixture(scope="session")
def ended(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """What came of each pair of faults so far; a pair is run when the first of its faults is asked for."""
    return {}


def _run(pair: list[Fault], lab: Lab, place: pathlib.Path) -> dict[str, Ended]:
    rows = list(zip(HOSTS, pair, strict=False))
    try:
        run, hung = run_pair(lab, rows, place)
    except NotPutIn as error:
        return {fault.id: Ended(Judged("nothing", str(error), {}), "", False) for fault in pair}
    found = {fault.id: _ended(run, host, hung, lab, fault.given.get("dies", False)) for host, fault in rows}
    for host, fault in rows:
        if not fault.given.get("dies"):
            clean(lab, host)
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_of_a_run_has_its_verdict(fault: Fault, ended: dict[str, Ended], lab: Lab, tmp_path) -> None:
    if fault.id not in ended:
        (pair,) = [pair for pair in PAIRS if fault in pair]
        ended.update(_run(pair, lab, tmp_path))
    found = ended[fault.id]
    if found.hung:
        FIGURE.hang(fault)
    FIGURE.take(fault, found.judged)
    assert found.left == "", f"{fault.fault}: left on the guest: {found.left}"
