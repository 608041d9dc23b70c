# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the control node: no host answers, no room for the reports, reports of an earlier judgement."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

import pytest
import yaml
from evidence import HOST, Evidence, copy_of, kernel_says, remove
from faults import Fault, faults
from guests import Run, playbook
from judging import FIGURE, Judged, judge

FAULTS = {fault.way: fault for fault in faults("control")}
REPORTS = ("results.json", "report.html", "report.md", "junit.xml", f"{HOST}/verdict.json")


@pytest.fixture
def disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place: pathlib.Path) -> pathlib.Path:
    """Leave no byte of a file system; returns the file that takes them."""
    full = place / "full"
    with open(full, "wb", buffering=0) as stream:
        for size in (65536, 4096, 1):
            try:
                while stream.write(b"x" * size):
                    pass
            except OSError:
                continue
    return full


def shown(run: Evidence) -> dict[str, bool]:
    """By report that is there: does it show the host as OK?  Raises AssertionError for half a file."""
    found = {}
    for name in (name for name in REPORTS if (run.path / name).exists()):
        text = (run.path / name).read_text()
        if name.endswith(".json"):
            found[name] = '"verdict": "OK"' in json.dumps(json.loads(text))
        elif name.endswith(".xml"):
            suite = ElementTree.fromstring(text).attrib
            found[name] = suite["failures"] == suite["errors"] == "0"
        else:
            assert name.endswith(".md") or text.rstrip().endswith("</html>"), f"{name} is half a file"
            found[name] = "1 host: 1 OK" in text
    return found


def test_reports_say_the_same_after_a_disk_was_full(good_run: Run, disk: pathlib.Path, tmp_path: pathlib.Path) -> None:
    fault = FAULTS["full_disk"]
    run = copy_of(good_run.directory, disk)
    (good,) = judge([run], tmp_path / "first")
    assert (good.verdict, set(shown(run).values())) == ("OK", {True})
    kernel_says(run, "BUG: sleeping function called from invalid context at mm/slab.h:321")
    run.seal()
    full = fill(disk)
    (told,) = judge([run], tmp_path / "second")
    seen = shown(run)
    FIGURE.take(fault, told)
    assert not any(seen.values()) or all(seen.values()), f"the reports differ: {seen}"
    assert not list(run.path.rglob("*.tmp")), "half files are left"
    full.unlink()
    (again,) = judge([run], tmp_path / "third")
    FIGURE.take(FAULTS["stale_reports"], again)
    assert not any(shown(run).values()), f"a report still shows OK: {shown(run)}"


def test_reports_that_are_gone_are_written_again(good_run: Run, tmp_path: pathlib.Path) -> None:
    run = copy_of(good_run.directory, tmp_path)
    judge([run], tmp_path / "first")
    (run.path / "report.html").write_text("<html>OK</html>")
    (run.path / "report.md").unlink()
    remove(run, "dmesg.txt")
    (told,) = judge([run], tmp_path / "second")
    FIGURE.take(FAULTS["reports_gone"], told)
    assert set(shown(run)) == set(REPORTS)
    assert not any(shown(run).values())


def _unreachable(tmp_path: pathlib.Path, *arguments: str) -> Judged:
    """What verify says of two hosts that do not answer."""
    host = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_user": "root", "kedr_test_host": True}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {"one": host, "two": host}}}))
    told = json.dumps({"kedr_runs_dir": str(tmp_path / "runs")})
    done = playbook("playbooks/verify.yml", "-i", str(tmp_path / "inventory.yml"), "-e", told, *arguments, lab=tmp_path)
    assert "Traceback" not in done.stdout + done.stderr
    if done.returncode == 0:
        return Judged("OK", done.stdout, {})
    results = tmp_path / "runs" / "latest" / "results.json"
    if not results.exists():
        return Judged("refused", done.stdout, {})
    entries = json.loads(results.read_text())
    assert {entry["verdict"] for entry in entries} == {entries[0]["verdict"]}
    return Judged(entries[0]["verdict"], entries[0]["reason"], entries[0])


@pytest.mark.parametrize(("way", "arguments"), [("all_unreachable", ()), ("all_unreachable_check", ("--check",))])
def test_hosts_that_do_not_answer_are_not_ok(way: str, arguments: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    FIGURE.take(FAULTS[way], _unreachable(tmp_path, *arguments))


def test_results_that_are_gone_are_told_apart_from_results_that_are_broken(
    good_run: Run, tmp_path: pathlib.Path
) -> None:
    """kedr report on a run that was never judged."""
    run = copy_of(good_run.directory, tmp_path)
    FIGURE.take(FAULTS["never_judged"], reported(run))
    for name, change in BROKEN.items():
        judge([run], tmp_path / name)
        change(run.path / "results.json")
        FIGURE.take(FAULTS["results_broken"], reported(run))


BROKEN: dict[str, Callable[[pathlib.Path], object]] = {
    "half": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "empty": lambda path: path.write_text("[]"),
    "nan": lambda path: path.write_text(path.read_text().replace('"lost": 0', '"lost": NaN')),
}
"""Ways in which results.json can be no results."""


def reported(run: Evidence) -> Judged:
    """What kedr report says of a run."""
    root = pathlib.Path(__file__).resolve().parents[2]
    done = subprocess.run([root / "bin" / "kedr", "report", str(run.path)], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return Judged("refused" if done.returncode else "OK", done.stderr + done.stdout, {})


def test_every_fault_of_the_control_node_is_put_in_here() -> None:
    text = pathlib.Path(__file__).read_text()
    unused: list[Fault] = [fault for fault in FAULTS.values() if f'"{fault.way}"' not in text]
    assert unused == []
