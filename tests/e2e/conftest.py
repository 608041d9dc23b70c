# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the end-to-end tests: one lab with real guests for the whole session."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from guests import DATA, OURS, Lab, Verify, loaded_modules, start_lab, stop_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two Debian 13 guests that all tests share."""
    started = start_lab(tmp_path_factory.mktemp("lab"), [{"name": "one"}, {"name": "two"}])
    yield started
    stop_lab(started)


@pytest.fixture
def own_lab(tmp_path: pathlib.Path) -> Iterator:
    """A lab of the test's own, for guests that will not survive it or that boot otherwise."""
    labs = []

    def make(*guests: dict) -> Lab:
        labs.append(start_lab(tmp_path / "lab", list(guests)))
        return labs[-1]

    yield make
    for each in labs:
        stop_lab(each)


@pytest.fixture
def verify(tmp_path: pathlib.Path) -> Verify:
    return Verify(tmp_path / "runs")


@pytest.fixture
def payload_copy(tmp_path: pathlib.Path):
    """A copy of a shipped data file with one text replaced by another."""

    def make(name: str, old: str, new: str) -> pathlib.Path:
        text = (DATA / name).read_text()
        assert old in text, f"{name} does not contain {old!r}"
        path = tmp_path / name
        path.write_text(text.replace(old, new, 1))
        return path

    return make


@pytest.fixture
def clean_host(lab: Lab) -> Iterator[str]:
    """The guest `one`, on which nothing of ours may be loaded after the test."""
    yield "one"
    left = loaded_modules(lab, "one").intersection(OURS)
    lab.ssh("one", f"for m in {' '.join(OURS)}; do rmmod $m 2>/dev/null; done; true")
    assert not left, f"left loaded: {left}"
