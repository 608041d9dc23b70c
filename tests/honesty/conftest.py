# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab of two guests for the whole session, one good run of it, and the figure at the end."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest
from guests import Lab, Run, Verify, start_lab, stop_lab
from judging import FIGURE


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two Debian 13 guests that all tests share."""
    started = start_lab(tmp_path_factory.mktemp("lab"), [{"name": "one"}, {"name": "two"}])
    yield started
    stop_lab(started)


@pytest.fixture(scope="session")
def good_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on `one` in which nothing is wrong."""
    kept = os.environ.get("KEDR_HONESTY_RUN")
    if kept:
        return Run(0, "", pathlib.Path(kept))
    run = Verify(tmp_path_factory.mktemp("good"))(request.getfixturevalue("lab"), limit="one")
    assert run.results["one"]["verdict"] == "OK", run.output
    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the figure that counts."""
    terminalreporter.write_line(FIGURE.line())
    for name, told in (("false green", FIGURE.green), ("wrong class", FIGURE.wrong), ("hang", FIGURE.hangs),
                       ("words", FIGURE.words)):  # fmt: skip
        for text in told:
            terminalreporter.write_line(f"  {name}: {text[:300]}")
