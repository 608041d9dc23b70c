# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the generator, as a program or within the test's own process; counting the recorded cases."""

from __future__ import annotations

import gc
import os
import subprocess
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.mist.generate import main

PROGRAM = Path(__file__).parents[2] / "bin" / "mist_gen"

# The tests that run the recorded cases, and what their cases are called.
RECORDED = {"test_rule_holds_to_the_byte": "corpus", "test_random_input_gives_the_recorded_bytes": "fuzz"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many of the recorded cases that were run have passed."""
    ran = {kind: [0, 0] for kind in RECORDED.values()}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.getreports(outcome):
            _file, _colons, test = report.nodeid.rpartition("::")
            kind = RECORDED.get(test.partition("[")[0])
            if kind:
                ran[kind][0] += outcome == "passed"
                ran[kind][1] += 1
    if any(total for _good, total in ran.values()):
        counts = [f"{kind}: {good} of {total} cases" for kind, (good, total) in ran.items()]
        terminalreporter.write_line(", ".join(counts))


class Outcome(NamedTuple):
    """What a run of the generator left behind."""

    code: int
    out: bytes
    err: bytes


class Generate(Protocol):
    """Run `mist_gen DIRECTORY DATA` in the current directory."""

    def __call__(self, directory: str, data: str) -> Outcome: ...


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Make files, named by their paths in `folder`, and the folders they need."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def program(folder: Path) -> Generate:
    """The generator as users start it."""

    def run(directory: str, data: str) -> Outcome:
        ended = subprocess.run([PROGRAM, directory, data], cwd=folder, capture_output=True, check=False)
        return Outcome(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def generate(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Generate:
    """The same without starting a process."""

    def run(directory: str, data: str) -> Outcome:
        assert folder == Path(os.curdir).resolve()
        code = main("mist_gen", [directory, data])
        gc.enable()
        return Outcome(code, *capfdbinary.readouterr())

    return run
