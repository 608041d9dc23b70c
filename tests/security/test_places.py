# SPDX-License-Identifier: GPL-3.0-or-later
"""Places of the control node that another user could write to are not used."""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Callable

import pytest
from playing import ROOT, play

NOBODY = 65534
DAMAGES = [
    pytest.param(lambda path: os.chown(path, NOBODY, NOBODY), id="of another user"),
    pytest.param(lambda path: path.chmod(0o777), id="open to all"),
    pytest.param(lambda path: path.chmod(0o775), id="open to a group"),
]
Damage = Callable[[pathlib.Path], None]


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_command_starts_with_a_cache_that_others_could_fill(tmp_path: pathlib.Path, damage: Damage) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o755)
    command = ["sh", ROOT / "scripts/packages.sh"]
    run = {"env": {**os.environ, "KEDR_CACHE": str(cache)}, "capture_output": True, "text": True}
    assert subprocess.run(command, check=False, **run).returncode == 0
    damage(cache)
    done = subprocess.run(command, check=False, **run)
    assert done.returncode != 0
    assert f"the cache folder {cache}" in done.stderr


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("place", ["runs", "runs/r1"])
def test_no_run_begins_where_others_could_change_what_it_keeps(
    tmp_path: pathlib.Path, damage: Damage, place: str
) -> None:
    (tmp_path / place).mkdir(parents=True, mode=0o755)
    damage(tmp_path / place)
    begin = {"kedr.lab.run": {"runs_dir": str(tmp_path / "runs"), "run_id": "r1", "expectations": False}}
    done = play(tmp_path, {"one": {}}, [begin])
    assert done.returncode != 0
    assert str(tmp_path / place) in done.stdout
    assert not (tmp_path / "runs/r1/run.json").exists()
