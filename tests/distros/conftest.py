# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the stand-in hosts: they are started once, and tests run in the order in which they stand."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest
import stubs
from standins import SYSTEMS, Ansible, Standin, make_key, make_rpms
from trees import tree

CACHE = pathlib.Path(os.environ["KEDR_CACHE"])
# scripts/test/distros.sh says so when a tree cannot be had.
collect_ignore = [] if tree(CACHE, "old-ssh").is_dir() else ["test_legacy_ssh.py"]


def available() -> list[str]:
    """Return the stand-ins whose tree there is; scripts/test/distros.sh says which there are not."""
    return [name for name, system in SYSTEMS.items() if tree(CACHE, system.tree).is_dir()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", available())


@pytest.fixture(scope="session")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Standin]]:
    """All stand-in hosts, running."""
    place = tmp_path_factory.mktemp("standins")
    key = make_key(place)
    repos: dict[int, pathlib.Path] = {}
    started: dict[str, Standin] = {}
    try:
        for name in available():
            system = SYSTEMS[name]
            where = place / f"repo-{name}"
            if id(system.packages) not in repos:
                if "/etc/apt/sources.list" in system.files:
                    stubs.make_debs(system.packages, where)
                    repos[id(system.packages)] = where
                else:
                    repos[id(system.packages)] = make_rpms(system.packages, tree(CACHE, "rpm"), where)
            root, repo = tree(CACHE, system.tree), repos[id(system.packages)]
            started[name] = Standin(name, system, root, repo, place / name, key)
        for one in started.values():
            one.wait()
        yield started
    finally:
        for one in started.values():
            one.stop()


@pytest.fixture(scope="session")
def ansible(standins: dict[str, Standin], tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    return Ansible(tmp_path_factory.mktemp("runs"), list(standins.values()))
