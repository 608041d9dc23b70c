# SPDX-License-Identifier: GPL-3.0-or-later
"""kedr report makes the reports of runs again, and the README's table of the results that the project keeps."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import Any
from unittest import mock

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.cli import report
from ansible_collections.kedr.lab.plugins.plugin_utils.cli.main import main
from ansible_collections.kedr.lab.plugins.plugin_utils.report import readme, results, rows
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict.verify import STEPS

ROOT = pathlib.Path(paths.ROOT)
REPORTS = ["junit.xml", "report.html", "report.md", "results.json"]


def result(**more: Any) -> dict[str, Any]:
    row = {"name": "debian13", "system": "Debian 13", "kernel": "6.12", "arch": "x86_64", "group": "base", "why": "w"}
    entry = {
        "row": row,
        "host": "debian13",
        "system": "Debian GNU/Linux 13 (trixie)",
        "kernel": "6.12.117+deb13-amd64",
        "arch": "x86_64",
        "compiler": "gcc (Debian 14.2.0-19) 14.2.0",
        "target": "cp_target",
        "verdict": "OK",
        "reason": "all 18 checks hold",
        "events": {"called_up": 3},
        "sites": {"up": {"call": 1, "jmp": 1, "expected": 2}},
        "lost": 0,
        "splats": [],
        "durations": {"load": 1.5},
        "steps": [{"step": name, "status": "ok", "seconds": 1.5, "reason": ""} for name in STEPS],
        "finished": "2026-01-31T12:00:00Z",
        "unreached": {},
        "reproduce": "make matrix",
        "evidence": [{"outcome": "ok", "source": "trace.txt", "text": "3 records"}],
        "console": [],
    }
    return {**entry, **more}


def run(base: pathlib.Path, name: str, *results: dict[str, Any]) -> str:
    (base / name).mkdir()
    (base / name / "results.json").write_text(json.dumps(results))
    return str(base / name)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["report", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("kedr report: error: ")
    return said.removeprefix("kedr report: error: ").rstrip("\n")


# -- reports -----------------------------------------------------------------------------------------


def test_the_reports_of_a_run_are_made_in_its_directory(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run(tmp_path, "20260131T120000Z-1", result(host="mine"))
    os.symlink(path, tmp_path / "latest")
    assert main(["report", str(tmp_path / "latest")]) == 0
    assert sorted(os.listdir(path)) == REPORTS
    assert "1 host: 1 OK" in capsys.readouterr().out
    assert "Run 20260131T120000Z-1" in (tmp_path / "latest" / "report.html").read_text()


def test_several_runs_become_one_report(tmp_path: pathlib.Path) -> None:
    later = "2026-02-01T12:00:00Z"
    one = run(tmp_path, "one", result(), result(host="a", row=None) | {"row": {**result()["row"], "name": "a"}})
    two = run(tmp_path, "two", result(verdict="FAIL", finished=later))
    assert main(["report", one, two + "/results.json", "-o", str(tmp_path / "both")]) == 0
    found = json.loads((tmp_path / "both" / "results.json").read_text())
    assert {entry["host"]: entry["verdict"] for entry in found} == {"debian13": "FAIL", "a": "OK"}
    assert "Runs one, two, finished 2026-02-01 12:00:00 UTC" in (tmp_path / "both" / "report.html").read_text()
    assert sorted(os.listdir(one)) == ["results.json"]


def test_the_program_runs_from_anywhere(tmp_path: pathlib.Path) -> None:
    path = run(tmp_path, "one", result())
    os.symlink(ROOT / "bin" / "kedr", tmp_path / "mine")
    done = subprocess.run(["./mine", "report", path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(os.listdir(path)) == REPORTS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[" * 100000, "is not valid JSON: "),
        ("\xff", "is not valid JSON: "),
        ("{}", "the whole: {} is not of type 'array'"),
        (json.dumps([result(verdict="GOOD")]), "0/verdict: 'GOOD' is not one of "),
        (json.dumps([result(), result(lost=-1)]), "1/lost: -1 is less than the minimum of 0"),
        (json.dumps([result(steps=[{"step": "a"}])]), "0/steps/0: 'status' is a required property"),
    ],
)
def test_what_are_no_results_is_refused_with_the_place(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    (tmp_path / "results.json").write_text(content, encoding="latin-1")
    text = refused(capsys, str(tmp_path))
    assert text.startswith(f"{tmp_path / 'results.json'}: {said}")
    assert "\n" not in text
    assert os.listdir(tmp_path) == ["results.json"]


def test_a_run_that_was_not_judged_is_named(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, str(tmp_path)) == f"{tmp_path}/results.json: cannot be read: No such file or directory"


def test_a_place_for_reports_that_is_no_directory_is_named(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run(tmp_path, "one", result())
    (tmp_path / "taken").write_text("")
    assert refused(capsys, path, "-o", str(tmp_path / "taken")) == f"{tmp_path / 'taken'}: File exists"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a run directory, for example runs/latest"),
        (["a", "b"], "several runs need --output DIR, the directory for the reports of all of them"),
        (["a", "-o", "b", "--readme"], "--output and --readme exclude each other"),
        (["--output", "a"], "name a run directory, for example runs/latest"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, *arguments) == said


# -- the README --------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> Any:
    (tmp_path / "docs").mkdir()
    for page in ("README.md", readme.MATRIX_PAGE, readme.SYSTEMS_PAGE):
        (tmp_path / page).write_text(f"above\n{readme.BEGIN}\nold\n{readme.END}\nbelow\n")
    (tmp_path / "schemas").mkdir()
    os.symlink(ROOT / "schemas" / "results.schema.json", tmp_path / "schemas" / "results.schema.json")
    with mock.patch.object(report.paths, "ROOT", str(tmp_path)):
        yield tmp_path


def test_results_are_kept_and_their_table_stands_between_the_marks(checkout: pathlib.Path) -> None:
    (checkout / "runs").mkdir()
    again = "cd /some where && make matrix ARGS='-e @/some where/my.yml'"
    path = run(checkout / "runs", "one", result(reproduce=again, splats=["/some where: not a folder"]))
    assert main(["report", "--readme", path]) == 0
    (kept,) = json.loads((checkout / readme.KEPT).read_text())
    assert kept["reproduce"] == "make matrix ARGS='-e @my.yml'"
    assert kept["splats"] == [".: not a folder"]
    assert not {"evidence", "console", "round_trips"} & set(kept)
    text = (checkout / "README.md").read_text()
    assert text.startswith(f"above\n{readme.BEGIN}\n\n| system |")
    assert text.endswith(f"finished 2026-01-31.\n\n{readme.END}\nbelow\n")
    told = r"| 6.12.117+deb13-amd64 | x86\_64 | gcc (Debian 14.2.0-19) 14.2.0 | cp\_target | **OK** | 2/2 | 3 |"
    assert f"| Debian 13 {told}" in text.splitlines()
    assert "| OpenSUSE 11.2 | 2.6.31 | i386 |  |  | not run |  |  |" not in text
    assert "| OpenSUSE 11.2 | 2.6.31 | i386 |  |  | not run |  |  |" in (checkout / readme.MATRIX_PAGE).read_text()
    page = (checkout / readme.SYSTEMS_PAGE).read_text().splitlines()
    ran = r"2026-01-31 | 6.12.117+deb13-amd64 | **OK**, 2/2 call sites, 3 events |"
    assert rf"| debian13 | Debian 13 | cp\_target | {ran}" in page
    assert r"| opensuse112 | OpenSUSE 11.2 | cp\_target | never |  |  |" in page
    assert main(["report", "--readme"]) == 0
    assert (checkout / "README.md").read_text() == text


def test_each_result_is_kept_in_a_line_of_its_own(checkout: pathlib.Path) -> None:
    results = [result(), result(host="debian12", row={**result()["row"], "name": "debian12"})]
    assert main(["report", "--readme", run(checkout, "one", *results)]) == 0
    first, *lines, last = (checkout / readme.KEPT).read_text().splitlines()
    assert (first, last) == ("[", "]")
    assert [json.loads(line.rstrip(",")) for line in lines] == readme.keep(results)


def test_a_part_of_the_matrix_renews_its_rows_only(checkout: pathlib.Path) -> None:
    kept = str(checkout / readme.KEPT)
    other = {**result()["row"], "name": "debian12"}
    first = run(checkout, "one", result(), result(host="debian12", row=other))
    again = run(checkout, "two", result(verdict="FAIL", reason="a | b", finished="2026-02-01T00:00:00Z"))
    assert main(["report", "--readme", first]) == 0
    assert main(["report", "--readme", kept, again]) == 0
    assert [entry["verdict"] for entry in results.read(kept)] == ["FAIL", "OK"]
    assert "\n- Debian 13: FAIL: a \\| b\n" in (checkout / readme.MATRIX_PAGE).read_text()
    assert "**FAIL**, a \\| b |" in (checkout / readme.SYSTEMS_PAGE).read_text()


@pytest.mark.parametrize("name", readme.NEEDED)
def test_results_of_an_older_form_are_not_kept(
    checkout: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    old = result()
    del old[name]
    assert f"the result of debian13 has no '{name}'" in refused(capsys, "--readme", run(checkout, "one", old))
    assert not (checkout / readme.KEPT).exists()


@pytest.mark.parametrize("parts", ["", "B", "E", "EB", "BBE", "BEB"])
def test_a_readme_without_a_place_for_the_table_is_refused(parts: str) -> None:
    marks = {"B": readme.BEGIN, "E": readme.END}
    with pytest.raises(InputError):
        readme.fill("\n".join(marks[part] for part in parts), "table")


def test_of_no_results_every_system_is_not_run() -> None:
    system = {"name": "a", "system": "S", "kernel": "2.6.31", "arch": "i386", "group": "seed", "why": "w"}
    assert readme.table([rows.Line(system, None)]).endswith("\n\nno host was judged.")
