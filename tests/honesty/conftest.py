# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab of two guests for the whole session, one good run of it, and the figure at the end."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest
from guests import Lab, Run, Verify, start_lab, stop_lab
from judging import FIGURE

HOSTS = ("one", "two")
SHOWN = 20
"""How many faults of a kind are told at the end."""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two Debian 13 guests that all tests share."""
    started = start_lab(tmp_path_factory.mktemp("lab"), [{"name": "one"}, {"name": "two"}])
    yield started
    stop_lab(started)


@pytest.fixture(scope="session")
def good(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run of verify on `one` and a watch on `two`, side by side, in which nothing is wrong."""
    kept = os.environ.get("KEDR_HONESTY_RUNS")
    if kept:
        return {name: Run(0, "", next(pathlib.Path(kept, name).glob("2*"))) for name in ("verify", "collect")}
    lab, place = request.getfixturevalue("lab"), tmp_path_factory.mktemp("good")
    started = {name: Verify(place / name, name) for name in ("verify", "collect")}
    running = {name: one.start(lab, host) for (name, one), host in zip(started.items(), HOSTS, strict=True)}
    return {name: started[name].finish(process) for name, process in running.items()}


@pytest.fixture(scope="session")
def good_run(good: dict[str, Run]) -> Run:
    """The run of verify on `one`."""
    assert good["verify"].results["one"]["verdict"] == "OK", good["verify"].output
    return good["verify"]


@pytest.fixture(scope="session")
def good_watch(good: dict[str, Run]) -> Run:
    """The watch of `two`."""
    assert good["collect"].status == 0, good["collect"].output
    return good["collect"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the figure that counts."""
    terminalreporter.write_line(FIGURE.line())
    for name, told in (("false green", FIGURE.green), ("wrong class", FIGURE.wrong), ("hang", FIGURE.hangs),
                       ("words", FIGURE.words)):  # fmt: skip
        for text in told[:SHOWN]:
            terminalreporter.write_line(f"  {name}: {text[:300]}")
