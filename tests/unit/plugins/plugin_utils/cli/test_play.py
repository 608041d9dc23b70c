# SPDX-License-Identifier: GPL-3.0-or-later
"""kedr verify and kedr collect run a playbook with every argument that they are given."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.cli import play
from ansible_collections.kedr.lab.plugins.plugin_utils.cli.main import main

ROOT = Path(paths.ROOT)
GIVEN = ["-i", "hosts.yml", "--limit=one", "-e", "a=b c", "-vv", "--check", "--", "x"]


class Became(Exception):
    """Another program takes the place of this one: its path, words and variables."""

    def __init__(self, program: str, words: list[str], variables: dict[str, str]) -> None:
        self.program, self.words, self.variables = program, words, variables


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A collection, and an environment with ansible-playbook for each kind."""

    def become(program: str, words: list[str], variables: dict[str, str]) -> None:
        raise Became(program, words, variables)

    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setattr(paths, "ROOT", str(tmp_path))
    monkeypatch.setattr(play.sys, "prefix", play.sys.base_prefix)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    (tmp_path / "scripts").mkdir()
    program(tmp_path / "scripts" / "venv.sh", f'[ "$1" = newest ] && echo {tmp_path}/"$2"')
    return tmp_path


def program(path: Path, text: str = ":") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def became(*words: str) -> Became:
    with pytest.raises(Became) as caught:
        main(list(words))
    return caught.value


@pytest.mark.parametrize(("verb", "kind"), [("verify", "run"), ("collect", "collect")])
def test_a_checkout_runs_its_playbook_in_its_own_environment(place: Path, verb: str, kind: str) -> None:
    (place / ".collections").mkdir()
    wanted = program(place / kind / "bin" / "ansible-playbook")
    program(place / "path" / "ansible-playbook")
    made = became(verb, *GIVEN)
    assert (made.program, made.words) == (wanted, [wanted, f"kedr.lab.{verb}", *GIVEN])
    assert made.variables["PATH"] == f"{place}/{kind}/bin:{place}/path"
    assert made.variables["ANSIBLE_CONFIG"] == f"{place}/ansible.cfg"


def test_a_configuration_of_the_users_own_is_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / ".collections").mkdir()
    program(place / "run" / "bin" / "ansible-playbook")
    monkeypatch.setenv("ANSIBLE_CONFIG", "mine.cfg")
    assert became("verify").variables["ANSIBLE_CONFIG"] == "mine.cfg"


def test_an_installed_collection_takes_ansible_playbook_from_path(place: Path) -> None:
    wanted = program(place / "path" / "ansible-playbook")
    made = became("verify", "-i", "hosts.yml")
    assert (made.program, made.words) == (wanted, [wanted, "kedr.lab.verify", "-i", "hosts.yml"])
    assert "ANSIBLE_CONFIG" not in made.variables


def test_a_command_in_an_environment_takes_ansible_playbook_from_there(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(place / "path" / "ansible-playbook")
    wanted = program(place / "own" / "bin" / "ansible-playbook")
    monkeypatch.setattr(play.sys, "prefix", str(place / "own"))
    assert became("collect").program == wanted


def test_without_ansible_playbook_it_is_told_what_to_install(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify"]) == 2
    assert capsys.readouterr().err == (
        "kedr verify: error: there is no ansible-playbook in PATH; install ansible-core 2.19 to 2.21\n"
    )


def test_ansible_finds_the_playbook_of_the_checkout_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "bin" / "kedr", "verify", "-i", "host,", "--list-tasks"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr  # which also tells of an environment that was made just now
    place = ROOT / ".collections" / "ansible_collections" / "kedr" / "lab" / "playbooks"
    assert f"playbook: {place}/verify.yml\n" in done.stdout
