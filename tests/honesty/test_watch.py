# SPDX-License-Identifier: GPL-3.0-or-later
"""A watch that is damaged after it came, or that a broken host sent, is judged for what it is."""

from __future__ import annotations

import pytest
from evidence import WAYS, copy_of
from faults import Fault, faults
from guests import Run
from judging import FIGURE, Judged, judge_watches

FAULTS = faults("pages")
HOST = "two"


@pytest.fixture(scope="session")
def judged(good_watch: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    place = tmp_path_factory.mktemp("pages")
    runs, found = {}, {}
    for fault in FAULTS:
        run = copy_of(good_watch.directory, place / fault.id.replace("/", "-"), HOST)
        try:
            WAYS[fault.way](run, **fault.given)
            runs[fault.id] = run
        except (AssertionError, OSError) as error:
            found[fault.id] = Judged("nothing", f"the fault cannot be put in: {error!r}", {})
    return {**found, **dict(zip(runs, judge_watches(list(runs.values())), strict=True))}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_of_a_watch_has_its_verdict(fault: Fault, judged: dict[str, Judged]) -> None:
    FIGURE.take(fault, judged[fault.id])
