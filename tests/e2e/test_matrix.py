# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix on real guests: a row that runs, and a row that cannot be made, in one run."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import jsonschema
import pytest
from guests import ROOT, STEP_LIMIT, playbook

ROWS = """
plugin: kedr.lab.systems
systems:
  - name: nowhere
    system: Debian 0
    kernel: none
    arch: x86_64
    group: base
    why: its mirror does not exist
    image: {suite: nowhere, mirror: ["file:///nonexistent"]}

  - name: locked
    system: Debian 13
    kernel: 6.12 amd64
    arch: x86_64
    group: variant
    variant: lockdown=integrity
    why: modules are loaded only if they are signed with a key that the kernel trusts
    image: {suite: trixie}
    guest: {cmdline: lockdown=integrity, module_key: true}
"""


def test_verify_says_of_a_row_whose_guest_nobody_started_what_starts_it(tmp_path) -> None:
    (tmp_path / "rows.yml").write_text(ROWS)
    chosen = ["-i", str(tmp_path / "rows.yml"), "--limit", "debian_13"]
    done = playbook("playbooks/verify.yml", *chosen, "-e", f"kedr_runs_dir={tmp_path}/runs", lab=tmp_path)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "locked is a guest that playbooks/matrix.yml starts: make matrix ARGS='--limit locked'" in said
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def matrix(tmp_path_factory) -> tuple[subprocess.CompletedProcess, pathlib.Path, pathlib.Path]:
    """One run of the matrix on both rows: what it said, its run directory and its lab directory."""
    place = tmp_path_factory.mktemp("matrix")
    (place / "rows.yml").write_text(ROWS)
    done = subprocess.run(
        [ROOT / "scripts/matrix.sh", "-i", place / "rows.yml", "-e", f"kedr_runs_dir={place}/runs"],
        cwd=ROOT, env={**os.environ, "KEDR_LAB_DIR": str(place / "lab"), "KEDR_GUESTS": "2"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=STEP_LIMIT, check=False,
    )  # fmt: skip
    return done, (place / "runs/latest").resolve(), place / "lab"


@pytest.fixture(scope="module")
def results(matrix) -> dict[str, dict]:
    done, run, _lab = matrix
    assert (run / "results.json").exists(), done.stdout + done.stderr
    rows = json.loads((run / "results.json").read_text())
    jsonschema.validate(rows, json.loads((ROOT / "schemas/results.schema.json").read_text()))
    return {row["host"]: row for row in rows}


def test_a_row_that_cannot_be_made_is_infra_and_the_other_one_runs_all_the_same(matrix, results) -> None:
    assert {name: row["verdict"] for name, row in results.items()} == {"nowhere": "INFRA", "locked": "OK"}, matrix[0]
    assert results["nowhere"]["reason"].startswith("image: ")
    assert "nowhere" in results["nowhere"]["reason"]
    assert matrix[0].returncode != 0


def test_image_and_guest_are_steps_of_a_row(results) -> None:
    assert [step["step"] for step in results["locked"]["steps"]][:4] == ["image", "guest", "hold", "facts"]
    assert [(step["step"], step["status"]) for step in results["nowhere"]["steps"]] == [("image", "failed")]


def test_a_result_tells_its_row_and_how_to_repeat_it(results) -> None:
    assert results["locked"]["row"]["variant"] == "lockdown=integrity"
    assert results["locked"]["reproduce"].startswith(f"cd {ROOT} && make matrix ARGS='-i ")
    assert results["locked"]["reproduce"].endswith(" --limit locked'")


def test_a_locked_kernel_loads_modules_that_are_signed_with_a_key_that_it_trusts(matrix, results) -> None:
    console = (matrix[1] / "locked/console.log").read_text(errors="replace")
    assert "Kernel is locked down from command line" in console
    assert "integrity: Loaded X.509 cert" in console
    assert json.loads((matrix[1] / "locked/facts.json").read_text())["lockdown"] == "integrity"
    assert results["locked"]["kernel"] in console


def test_guests_are_gone_with_their_keys(matrix) -> None:
    assert [path for path in matrix[2].rglob("*") if path.name in ("guest.json", "module_key.pem", "host_key")] == []
    assert json.loads((matrix[1] / "locked/guest.json").read_text())["alive"] is True
