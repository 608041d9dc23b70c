# SPDX-License-Identifier: GPL-3.0-or-later
"""Beyond one control node: the execution environment is described in whole, ansible-runner runs collect.yml, and
slices of a job that run side by side leave a run each."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 300
"""Seconds for one program."""


def runner(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment that has ansible-runner and ansible-builder."""
    place = Path(os.environ["KEDR_RUNNER"]) / "bin"
    own = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}", **(environment or {})}
    return subprocess.run(
        [str(place / words[0]), *words[1:]], capture_output=True, text=True, timeout=LIMIT, check=False, env=own
    )


def pins(name: str) -> set[str]:
    """The packages that a file of requirements names itself."""
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return {line.removesuffix(" \\") for line in lines if "==" in line}


# -- the execution environment -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which an image would be built."""
    directory = tmp_path_factory.mktemp("environment")
    done = subprocess.run(
        [str(ROOT / "scripts" / "execution-environment.sh"), "create", str(directory)],
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "context"


def test_the_containerfile_installs_what_is_tested(described: Path) -> None:
    text = (described / "Containerfile").read_text()
    own, copied = ROOT / "requirements", described / "_build" / "requirements"
    assert {path.name: path.read_text() for path in copied.iterdir()} == {
        path.name: path.read_text() for path in own.iterdir()
    }
    assert "$pip -r pip.txt && $pip -r image.txt" in text
    assert "-r ansible-2.21.txt" in (own / "image.txt").read_text()
    assert "ansible-galaxy collection install" in text
    wanted = yaml.safe_load((described / "_build" / "requirements.yml").read_text())["collections"]
    assert wanted == [{"name": "/build/collection/kedr-lab.tar.gz", "type": "file"}]
    assert (described / "_build" / "collection" / "kedr-lab.tar.gz").stat().st_size > 10_000


def test_no_step_of_the_containerfile_lets_pip_install_what_has_no_sum(described: Path) -> None:
    text = (described / "Containerfile").read_text()
    assert "ANSIBLE_INSTALL_REFS" not in text
    begin, end = text.index("ENV PIP_REQUIRE_HASHES=1\n"), text.index("ENV PIP_REQUIRE_HASHES=\n")
    places = [match.start() for match in re.finditer(r"-m pip\b|/output/scripts/(?:assemble|install-from)", text)]
    assert len(places) >= 5
    assert begin < min(places) and max(places) < end


def test_the_packed_collection_says_what_an_environment_needs(described: Path, tmp_path: Path) -> None:
    packed = str(described / "_build" / "collection" / "kedr-lab.tar.gz")
    # Without the checkout's settings: by those the collection is installed already.
    (tmp_path / "ansible.cfg").touch()
    bare = {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    done = runner("ansible-galaxy", "collection", "install", "--offline", "-p", str(tmp_path), packed, environment=bare)
    assert done.returncode == 0, done.stdout + done.stderr
    done = runner("ansible-builder", "introspect", str(tmp_path))
    needs = yaml.safe_load(done.stdout.partition("---")[2])
    # In the order of the files, sums included: pip reads it as one file.
    files = [(ROOT / "requirements" / name).read_text() for name in ("common.txt", "collect.txt")]
    assert needs["python"] == [line.strip() for line in "".join(files).splitlines() if not line.startswith("#")]
    assert any(line.startswith("openssh-clients [platform:rpm]") for line in needs["system"])


# -- ansible-runner ----------------------------------------------------------------------------------


def slice_of_a_job(directory: Path, runs: Path, number: int) -> subprocess.Popen[str]:
    """Start ansible-runner as AWX does for one slice: its hosts alone, its own job number, shared runs.

    The host is not marked as one that may be tested on, so it is refused before anything is done to it.
    """
    place = Path(os.environ["KEDR_RUNNER"]) / "bin"
    private = directory / f"job{number}"
    (private / "inventory").mkdir(parents=True)
    hosts = {f"host{number}": {"ansible_connection": "local"}}
    (private / "inventory" / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    (private / "env").mkdir()
    variables = {"kedr_run_id": f"awx-{number}", "kedr_runs_dir": str(runs), "kedr_duration": 1}
    (private / "env" / "extravars").write_text(json.dumps(variables))
    environment = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": f"{place}:{os.environ['PATH']}",
                   "HOME": os.environ.get("HOME", "/")}  # fmt: skip
    return subprocess.Popen(
        [str(place / "ansible-runner"), "run", str(private), "--project-dir", str(ROOT), "-p", "playbooks/collect.yml",
         "--ident", str(number)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip


def test_slices_that_run_side_by_side_leave_a_judged_run_each(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    jobs = {number: slice_of_a_job(tmp_path, runs, number) for number in (1, 2)}
    for number, job in jobs.items():
        try:
            said, _nothing = job.communicate(timeout=LIMIT)
        finally:
            job.kill()
        assert job.returncode != 0, said  # a host that was refused is not OK
        kept = json.loads((runs / f"awx-{number}" / "watch.json").read_text())
        assert [(one["host"], one["verdict"]) for one in kept["hosts"]] == [(f"host{number}", "SKIP")], said
        assert "kedr_test_host" in kept["hosts"][0]["reason"]
        assert f"host{number} (SKIP)" in (runs / f"awx-{number}" / "timeline.html").read_text()
        assert (tmp_path / f"job{number}" / "artifacts" / str(number) / "rc").read_text() == str(job.returncode)
    assert (runs / "latest").readlink() in {Path("awx-1"), Path("awx-2")}
