# SPDX-License-Identifier: GPL-3.0-or-later
"""A watch of one host that is lost in the middle is judged all the same.

The host is this machine, behind a command that stands for ssh, in a mount namespace of its own, and breaks after so
many round trips.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 300
"""Seconds that a playbook may take."""

SSH = """\
#!/bin/sh
# Stands for ssh: runs the command here, but not more than TRIPS of ours.
for command; do :; done
case $command in
*kedr*)
    echo x >>"$0.trips"
    if [ "$(wc -l <"$0.trips")" -gt TRIPS ]; then echo "Connection refused" >&2; exit 255; fi ;;
esac
exec unshare --mount sh -c '
    mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /tmp && cd / && exec sh -c "$1"
' ssh "$command"
"""


@pytest.mark.parametrize("trips", [0, 2])
def test_a_host_that_is_lost_is_judged(tmp_path: pathlib.Path, trips: int) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(SSH.replace("TRIPS", str(trips)))
    ssh.chmod(0o700)
    told = {"kedr_test_host": True, "ansible_connection": "ssh", "ansible_ssh_executable": str(ssh)}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"one": told}}}))
    variables = {"kedr_runs_dir": str(tmp_path / "runs"), "kedr_run_id": "lost", "kedr_duration": 1}
    done = subprocess.run(
        ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), "playbooks/collect.yml", "-e", json.dumps(variables)],
        cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
    )  # fmt: skip
    assert done.returncode != 0
    (entry,) = json.loads((tmp_path / "runs" / "lost" / "watch.json").read_text())["hosts"]
    assert entry["verdict"] in ("INFRA", "CRASH"), done.stdout
    assert "Connection refused" in entry["reason"]
    assert "watch: 0 of 1 hosts OK" in done.stdout
