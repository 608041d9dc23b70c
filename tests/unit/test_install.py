# SPDX-License-Identifier: GPL-3.0-or-later
"""pip installs the command kedr and the collection from a checkout, without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from test_project_rules import ROOT, project_files

PLACE = "ansible_collections/kedr/lab"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pip(*words: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", words[0], "--no-index", "--no-deps", *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    before = set(os.listdir(ROOT))
    place = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", place, ROOT)
    assert set(os.listdir(ROOT)) == before
    (made,) = place.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("installed")
    pip("install", "--target", place, wheel)
    return place


def kedr(installed: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    rest = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    own = {**rest, "PYTHONPATH": str(installed), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [installed / "bin" / "kedr", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=own, cwd=installed)


def test_the_wheel_has_every_file_of_the_collection_that_runs(wheel: Path) -> None:
    folders = {"data", "kernel", "meta", "playbooks", "plugins", "roles", "schemas"}
    wanted = {f"{PLACE}/{path}" for path in project_files() if path.parts[0] in folders}
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert len(wanted) > 300
    assert names == wanted


def test_the_installed_command_lists_its_verbs(installed: Path) -> None:
    done = kedr(installed, "help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "check payload descriptions" in done.stdout


def test_the_installed_command_checks_and_writes_descriptions(installed: Path) -> None:
    data = sorted((installed / PLACE / "data").glob("*.data"))
    assert len(data) > 2
    done = kedr(installed, "lint", *data)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = kedr(installed, "new", "vmalloc", "-o", "own.data")
    assert (done.returncode, done.stderr) == (0, "")
    assert kedr(installed, "lint", "own.data").returncode == 0


def test_the_installed_command_finds_its_own_playbook(installed: Path) -> None:
    done = kedr(installed, "verify", "-i", "host,", "--list-tasks")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"playbook: {installed}/{PLACE}/playbooks/verify.yml\n" in done.stdout


def test_the_version_is_that_of_the_collection() -> None:
    assert PROJECT["version"] == yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]


def test_what_pip_installs_beside_it_is_what_the_requirements_name() -> None:
    lists = [(ROOT / "requirements" / name).read_text() for name in ("ansible-2.21.txt", "common.txt", "collect.txt")]
    pinned = set(re.findall(r"^([\w.-]+)==", "".join(lists), re.MULTILINE))
    named = {re.split(r"[<>=]", one)[0] for one in PROJECT["dependencies"]}
    assert named <= pinned
    assert named >= set(re.findall(r"^([\w.-]+)==", lists[2], re.MULTILINE))
