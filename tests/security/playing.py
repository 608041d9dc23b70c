# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a play of kedr.lab's actions on made-up hosts of this machine."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]


ENTER = 'mkdir -p /lib/modules && mount --bind "$1" /lib/modules && shift && exec "$@"'


def play(
    place: pathlib.Path, hosts: dict[str, Any], tasks: list[Any], modules: pathlib.Path | None = None,
    only: str = "all",
) -> subprocess.CompletedProcess[str]:
    """Run `tasks` on `hosts` (name -> variables), one host after another; files go to `place`.

    With `modules` they see that directory as /lib/modules. `only` is the pattern of the play's hosts.
    """
    local = {"ansible_connection": "local", "kedr_test_host": True}
    inventory = {"all": {"hosts": {name: {**local, **variables} for name, variables in hosts.items()}}}
    (place / "inventory.json").write_text(json.dumps(inventory))
    book = [{"hosts": only, "gather_facts": False, "serial": 1, "tasks": tasks}]
    (place / "play.yml").write_text(json.dumps(book))
    command = ["ansible-playbook", "-i", str(place / "inventory.json"), str(place / "play.yml")]
    if modules:
        command = ["unshare", "-m", "--propagation", "private", "sh", "-c", ENTER, "sh", str(modules), *command]
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
           "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections")}  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=place, env=env)
