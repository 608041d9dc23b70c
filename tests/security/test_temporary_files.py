# SPDX-License-Identifier: GPL-3.0-or-later
"""Another user of the control node may not read, replace or foretell what is kept in a shared directory for a while."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.ask.query import Table
from ansible_collections.kedr.lab.plugins.plugin_utils.cli import trace
from ansible_collections.kedr.lab.plugins.plugin_utils.cli.main import main
from ansible_collections.kedr.lab.plugins.plugin_utils.report import timeline_data
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import dataset, rows
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import Record

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
SPILLING = (
    "set memory_limit = '40MB'; set threads = 1; create temp table much as "
    "select i, md5(i::varchar) || md5((i + 1)::varchar) as text, event from range(900000) as many(i), calls; select 1"
)
"""A question whose records do not fit into memory."""


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A directory in which all may write, where temporary files go, but not those of pytest."""
    assert tmp_path.is_dir()
    place = Path(tempfile.mkdtemp(prefix="shared-"))
    place.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    shutil.rmtree(place)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table with one record."""
    call = Record(0, "sh", 7, 0, "", 1, "p", "called_kfree", {"p": 16})
    batches = rows.text_batches([call], {}, rows.Origin("web1", "6.12", {}, {}))
    dataset.write(str(tmp_path / "table"), "r1", "Debian 13", "web1", batches)
    return tmp_path / "table"


def as_nobody(*words: str | Path) -> str:
    """What a program prints that another user starts."""
    return subprocess.run([*NOBODY, *words], capture_output=True, text=True, check=False).stdout


def expected_by_nobody(place: Path) -> None:
    """Another user makes the directories that are to come, as far as he can know their names."""
    for name in (f"kedr-{os.getpid()}", "kedr-", ".tmp"):
        as_nobody("mkdir", "-m", "777", place / name)


def seen(place: Path) -> tuple[list[str], str]:
    """Files that hold something below a directory, and those of them that another user can read."""
    files = [str(path) for path in place.rglob("*") if path.is_file() and path.stat().st_size]
    return files, as_nobody("find", place, "-type", "f", "-readable")


def test_nobody_reads_the_records_that_a_question_keeps_on_disk(
    shared: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[list[str], str]] = []
    expected_by_nobody(shared)
    ask = trace.ask

    def ask_and_look(connection: Any, question: str) -> Table:
        answer = ask(connection, question)
        looks.append(seen(shared))
        return answer

    monkeypatch.setattr(trace, "ask", ask_and_look)
    assert main(["trace", "sql", str(table), "-q", SPILLING]) == 0
    [(files, readable)] = looks
    assert files
    assert readable == ""


def test_nothing_of_a_question_stays_on_disk(shared: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "show", lambda *dummy: None)
    assert main(["trace", "sql", str(table), "-q", SPILLING]) == 0
    assert main(["trace", "sql", str(table), "-q", SPILLING.replace("select 1", "nonsense")]) == 2
    assert list(shared.iterdir()) == []


def test_nobody_reads_the_records_that_a_page_keeps_on_disk(shared: Path, table: Path) -> None:
    expected_by_nobody(shared)
    with timeline_data.opened(str(table)) as connection:
        connection.execute(SPILLING)
        files, readable = seen(shared)
    assert files
    assert readable == ""
    assert sum(1 for dummy in shared.iterdir()) == 3
