# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/test.sh with parts that stand in: lanes, logs, the table, and an end that takes everything along."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest
from processes import all_end

ROOT = pathlib.Path(__file__).parents[3]
SCRIPT = (ROOT / "scripts/test.sh").read_text()
GUESTS, OTHERS = (re.search(rf"^{name}='(.*)'$", SCRIPT, re.MULTILINE)[1].split() for name in ("guests", "others"))


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose parts do what $PART_NAME says; returns its folder and the environment to run it in."""
    (tmp_path / "scripts/test").mkdir(parents=True)
    for name in ("lib.sh", "test.sh"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    (tmp_path / "galaxy.yml").write_text("")
    files = {"setup": 'echo "setup $*"\n'}
    files |= {f"test/{part}": f'eval "${{PART_{part}-echo the words of {part}}}"\n' for part in GUESTS + OTHERS}
    (tmp_path / "id").write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "id").chmod(0o755)
    for name, text in files.items():
        (tmp_path / f"scripts/{name}.sh").write_text(f"#!/bin/sh\n{text}")
        (tmp_path / f"scripts/{name}.sh").chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("FRESH", "KEDR_"))}
    environ["PATH"] = f"{tmp_path}:{environ['PATH']}"
    return tmp_path, {**environ, "HOME": str(tmp_path), "KEDR_CACHE": str(tmp_path / "cache")}


def run(checkout, *parts, **environ):
    folder, base = checkout
    return subprocess.run(
        [folder / "scripts/test.sh", *parts], env={**base, **environ}, capture_output=True, text=True, check=False
    )


def table(text):
    return re.findall(r"^(\w+) +(ok|FAILED) +\d+ s$", text, re.MULTILINE)


def test_every_part_of_a_lane_exists_and_the_makefile_names_it():
    makefile = (ROOT / "Makefile").read_text()
    for part in GUESTS + OTHERS:
        assert (ROOT / f"scripts/test/{part}.sh").is_file() and f"test-{part}" in makefile, part


def test_named_parts_run_in_their_order_and_nothing_is_set_up_for_the_others(checkout):
    done = run(checkout, "unit", "lint", PART_unit="echo bad; exit 1")
    assert (done.returncode, table(done.stdout)) == (1, [("unit", "FAILED"), ("lint", "ok")])
    assert done.stdout.startswith("bad\nthe words of lint\n")


def test_a_part_that_does_not_exist_is_refused_before_another_runs(checkout):
    done = run(checkout, "lint", "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no test part 'nothing'; parts: browser distros" in done.stderr


def test_all_parts_run_in_two_lanes_and_what_they_say_is_not_mixed(checkout):
    meet = "echo one; touch {0}; until [ -e {1} ]; do sleep 0.05; done; echo two"
    done = run(checkout, PART_lint=meet.format("a", "b"), **{f"PART_{GUESTS[0]}": meet.format("b", "a")})
    assert done.returncode == 0, done.stderr
    assert sorted(table(done.stdout)) == sorted((part, "ok") for part in GUESTS + OTHERS)
    assert done.stdout.count("one\ntwo\n") == 2
    assert done.stdout.startswith("setup test\n")
    begun = re.findall(r"test-(\w+) begins", done.stderr)
    assert [part for part in begun if part in OTHERS] == OTHERS


def test_all_parts_run_though_one_fails_and_the_notes_stand_at_the_end(checkout):
    parts = {"PART_lint": 'echo "not tried: x" >>"$KEDR_NOTES"; exit 3', "PART_fresh": 'echo "$FRESH: $FRESH_PARTS"'}
    done = run(checkout, **parts)
    assert done.returncode == 1
    assert dict(table(done.stdout))["lint"] == "FAILED" and len(table(done.stdout)) == len(GUESTS + OTHERS)
    assert done.stdout.splitlines()[-4] == "not tried: x"
    assert "debian12: verify unit mist sanity\n" in done.stdout


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_the_parts_started_ends_with_the_run(checkout, number, status):
    folder, environ = checkout
    waits = "echo $$ >{0}/{1}.pid; sleep 300; touch {0}/went-on"
    parts = {f"PART_{part}": waits.format(folder, part) for part in (GUESTS[0], OTHERS[0])}
    process = subprocess.Popen(
        [folder / "scripts/test.sh"], env={**environ, **parts}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while len(pids := [file.read_text() for file in folder.glob("*.pid") if file.read_text().endswith("\n")]) < 2:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=120) == status
    assert all_end(map(int, pids))
    assert not (folder / "went-on").exists()
