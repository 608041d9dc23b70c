# SPDX-License-Identifier: GPL-3.0-or-later
"""kedr trace prints its answers, and makes the table of a run."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.cli.main import main

from ..asked import answer, kfree, refused
from ..host_dir import seal
from ..table import Call, write

ROOT = Path(paths.ROOT)
SAMPLE = ROOT / "tests" / "unit" / "data" / "host"


# -- how it is printed -------------------------------------------------------------------------------


def test_a_table_is_aligned_and_counts_its_rows(two_kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            ["trace", "sql", str(two_kernels), "-q", "select event, count(*) as n from calls group by 1 order by 1"],
        )
        == 0
    )
    assert capsys.readouterr().out == (
        "event           n\n--------------  -\ncalled_copy     1\ncalled_kfree    3\ncalled_kmalloc  4\n(3 rows)\n"
    )


def test_csv_is_read_back(two_kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "counts", str(two_kernels), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["event"]: row["calls"] for row in rows if row["host"] == "new"} == {
        "called_copy": "1",
        "called_kfree": "1",
        "called_kmalloc": "2",
    }


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_nothing_that_steers_a_terminal_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    evil = "\x1b]0;owned\x07\r\n\x9b2J\u202ecod"
    write(tmp_path, Call(1, f"called_{evil}", {evil: evil}, comm=evil), run=evil, system=evil, kernel=evil)
    assert main(["trace", "sql", str(tmp_path), "-q", "select * from calls", "--format", form]) == 0
    assert main(["trace", "counts", str(tmp_path), "--format", form]) == 0
    assert set(capsys.readouterr().out) & set("\x1b\x07\r\x9b\u202e") == set()


def test_json_lines_go_to_a_file_of_ones_own(two_kernels: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.jsonl"
    assert main(["trace", "jsonl", str(two_kernels), "-o", str(out)]) == 0
    assert len([json.loads(line) for line in out.read_text().splitlines()]) == 8
    assert out.stat().st_mode & 0o777 == 0o600


# -- the table of a run's traces ---------------------------------------------------------------------


def test_the_traces_of_a_run_become_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "20260131T120000Z-7"
    shutil.copytree(SAMPLE, run / "web1")
    shutil.copytree(SAMPLE, run / "web2")
    shutil.rmtree(run / "web2" / "raw")
    shutil.copytree(SAMPLE, run / "dead")
    (run / "dead" / "formats.txt").unlink()
    seal(run / "web1")
    with open(run / "web1" / "comms.txt", "ab") as names:
        names.write(b"9 x\n")
    assert main(["trace", "table", str(run)]) == 0
    said = capsys.readouterr()
    assert said.out == "web1: 783 records, from pages\nweb2: 783 records, from trace.txt\n"
    assert said.err.startswith("dead: no records: ") and "formats.txt" in said.err
    assert "web1: comms.txt: what follows byte " in said.err
    counted = answer(
        capsys, "sql", run, "-q", "select run, system, host, count(*) as n from calls group by all order by host"
    )
    assert counted == [
        {"run": run.name, "system": "Debian GNU/Linux 13 (trixie)", "host": host, "n": 783} for host in ("web1", "web2")
    ]


def test_a_run_without_traces_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no host here" in refused(capsys, "table", tmp_path)
    assert "there is no such directory" in refused(capsys, "table", tmp_path / "nowhere")


# -- the program -------------------------------------------------------------------------------------


def program(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    return subprocess.run(
        [ROOT / "bin" / "kedr", "trace", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PATH": path, **environment},
        check=False,
    )


def test_the_program_answers(two_kernels: Path) -> None:
    done = program("counts", two_kernels, "--where", "host=old", "--format", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3


def test_a_reader_that_has_seen_enough_is_no_error(two_kernels: Path) -> None:
    write(two_kernels, *(kfree(n, n) for n in range(20000)), host="many")
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    command = f"'{ROOT}/bin/kedr' trace jsonl '{two_kernels}' | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": path}, check=False
    )
    assert done.stderr == "" and json.loads(done.stdout)["run"] == "r1"
