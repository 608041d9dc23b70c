# SPDX-License-Identifier: GPL-3.0-or-later
"""A run directory for each test."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from ..run_dir import TARGET, RunDir


@pytest.fixture(scope="session")
def target_ko(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("target")
    (directory / "target.s").write_text(TARGET)
    subprocess.run(["gcc", "-c", "-o", directory / "target.o", directory / "target.s"], check=True)
    return (directory / "target.o").read_bytes()


@pytest.fixture
def run(tmp_path: pathlib.Path, target_ko: bytes) -> RunDir:
    return RunDir(tmp_path, target_ko)
