# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the simulated hosts; they are ended whatever happens to the tests."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Sequence

import pytest
from fleet import Fleet, SimulatedHost
from running import MakeFleet, MakeWriter, Writer, children


@pytest.fixture
def make_fleet(tmp_path: pathlib.Path) -> Iterator[MakeFleet]:
    """Starts simulated hosts: ``make_fleet(count)``."""
    with contextlib.ExitStack() as stack:

        def make(count: int) -> Fleet:
            place = tmp_path / "fleet"
            place.mkdir()
            fleet = Fleet(place, count)
            stack.callback(fleet.stop)
            return fleet

        yield make
    assert not children(), "something that the test started still runs"


@pytest.fixture
def make_writer() -> Iterator[MakeWriter]:
    """Starts the process that fills the hosts' buffers: ``make_writer(hosts, rate, pages, capacity)``."""
    with contextlib.ExitStack() as stack:

        def make(hosts: Sequence[SimulatedHost], rate: float, pages: int, capacity: int) -> Writer:
            writer = Writer(hosts, rate, pages, capacity)
            stack.callback(writer.stop)
            return writer

        yield make
