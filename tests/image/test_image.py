# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of the execution environment is built on a base image made here, and playbooks run in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 1800
"""Seconds for one program: an emulator beside it makes a build slow."""

BASE = "localhost/kedr-lab-test-base"
IMAGE = "localhost/kedr-lab-test"
CHECK = "localhost/kedr-lab-test-check"


def run(*words: str | Path) -> str:
    """What a program says on both its outputs; it must succeed."""
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}"
    return done.stdout


def pins(name: str) -> set[str]:
    """The packages that a file of requirements names itself."""
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return {line.removesuffix(" \\") for line in lines if "==" in line}


def normal(line: str) -> str:
    """A line of ``pip freeze`` with the package's name as requirements/*.txt write it."""
    name, equal, version = line.partition("==")
    return canonicalize_name(name) + equal + version


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image, on a Debian 13 without anything but apt; both are removed again."""
    directory = tmp_path_factory.mktemp("image")
    try:
        base = os.environ.get("KEDR_BASE_IMAGE") or BASE
        if base == BASE:
            run("mmdebstrap", "--variant=apt", "trixie", directory / "base.tar")
            run("podman", "import", directory / "base.tar", BASE)
        # Of a build in layers all that its stages had would be left over.
        more = f"--layers=false --network=host {os.environ.get('KEDR_BUILD_ARGS', '')}"
        run(
            ROOT / "scripts" / "execution-environment.sh", "build", directory / "context", "--tag", IMAGE,
            "--build-arg", f"EE_BASE_IMAGE={base}", "--extra-build-cli-args", more,
        )  # fmt: skip
        yield IMAGE
    finally:
        subprocess.run(["podman", "image", "rm", "--force", "--ignore", IMAGE, BASE], check=False)


@pytest.fixture
def said(image: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """What the commands of the test say when the image's own user runs them in it, one after another."""
    (tmp_path / "commands").write_text(request.param)
    begin = "/opt/builder/bin/entrypoint dumb-init"  # of the image, which a build passes over
    (tmp_path / "Containerfile").write_text(
        f"FROM {image}\nCOPY commands /tmp/commands\nRUN {begin} sh -eu /tmp/commands\n"
    )
    # A build and no `podman run`: that needs cgroups that its runtime knows, and a build in a chroot does not.
    try:
        return run("podman", "build", "--layers=false", "--network=host", "--tag", CHECK, tmp_path)
    finally:
        subprocess.run(["podman", "image", "rm", "--force", "--ignore", CHECK], check=False)


def commands(text: str) -> pytest.MarkDecorator:
    """The commands of a test."""
    return pytest.mark.parametrize("said", [text], indirect=True, ids=["image"])


@commands("id -u; pip freeze; pip check")
def test_the_image_has_the_versions_that_are_tested(said: str) -> None:
    lines = set(said.splitlines())
    files = ("ansible-2.21.txt", "common.txt", "collect.txt", "runner.txt", "image.txt")
    assert set().union(*map(pins, files)) <= {normal(line) for line in lines}
    assert "No broken requirements found." in lines
    assert "1000" in lines  # the user


@commands("""
ansible-galaxy collection list kedr.lab
for playbook in verify collect; do ansible-playbook --syntax-check -i host, kedr.lab.$playbook; done
/usr/share/ansible/collections/ansible_collections/kedr/lab/bin/kedr trace --help
ssh -V
""")
def test_the_collection_is_installed_and_its_playbooks_and_programs_start(said: str) -> None:
    assert any(line.split()[:1] == ["kedr.lab"] for line in said.splitlines())
    assert "playbooks/verify.yml" in said and "playbooks/collect.yml" in said
    assert "Answers questions about collected records." in said
    assert "OpenSSH" in said


@commands("""
mkdir -p /tmp/job/inventory /tmp/job/env
echo 'host1 ansible_connection=local' >/tmp/job/inventory/hosts
echo '{"kedr_run_id": "one", "kedr_runs_dir": "/tmp/job/runs", "kedr_duration": 1}' >/tmp/job/env/extravars
status=0
ansible-runner run /tmp/job -p kedr.lab.collect || status=$?
echo "status $status"
cat /tmp/job/runs/one/watch.json
""")
def test_ansible_runner_runs_collect_in_the_image(said: str) -> None:
    # The host is not marked as one that may be tested on: it is refused before anything is done to it.
    assert "\nstatus 2\n" in said, said
    assert "kedr_test_host" in said
    assert '"verdict": "SKIP"' in said
