# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/packages.sh with a stand-in for the package manager."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[3]
TABLE = "# package | who | programs\ngcc  | unit e2e | cc gcc\nlibx | e2e |\nqemu | lab  | qemu\n"


@pytest.fixture
def install(tmp_path):
    """Runs packages.sh with words, on a system that has gcc; returns what apt-get was asked to install."""
    (tmp_path / "scripts").mkdir()
    for name in ("lib.sh", "packages.sh"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    (tmp_path / "galaxy.yml").write_text("")
    (tmp_path / "scripts/packages.txt").write_text(TABLE)
    for name, text in {
        "dpkg-query": 'for last; do :; done; [ "$last" = gcc ] && printf installed',
        "apt-get": f'echo "$*" >>{tmp_path}/asked',
        "id": "echo 0",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "KEDR_CACHE": str(tmp_path / "cache")}

    def run(*words):
        subprocess.run([tmp_path / "scripts/packages.sh", *words], env=environ, check=True, capture_output=True)
        asked = tmp_path / "asked"
        return asked.read_text().partition(" install ")[2].split() if asked.exists() else []

    return run


@pytest.mark.parametrize(
    ("words", "packages"), [(["e2e"], ["libx"]), (["lab", "e2e"], ["qemu", "libx"]), (["vim", "lab"], ["vim", "qemu"])]
)
def test_what_is_missing_of_groups_and_packages_is_installed(install, words, packages):
    assert install(*words) == packages


def test_nothing_is_asked_for_when_everything_is_there(install):
    assert install("unit", "gcc") == []
