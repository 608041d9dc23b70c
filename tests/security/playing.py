# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a play of kedr.lab's actions on made-up hosts of this machine."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]


ENTER = """\
while [ "$1" != -- ]; do
    [ ! -d "$1" ] || mkdir -p "$2"
    mount --bind "$1" "$2" || exit
    shift 2
done
shift
exec "$@"
"""


def play(
    place: pathlib.Path, hosts: dict[str, Any], tasks: list[Any], binds: dict[pathlib.Path, str] | None = None,
    only: str = "all",
) -> subprocess.CompletedProcess[str]:
    """Run `tasks` on `hosts` (name -> variables), one host after another; files go to `place`.

    With `binds` the hosts see files of the test in other places. `only` is the pattern of the play's hosts.
    """
    local = {"ansible_connection": "local", "kedr_test_host": True}
    inventory = {"all": {"hosts": {name: {**local, **variables} for name, variables in hosts.items()}}}
    (place / "inventory.json").write_text(json.dumps(inventory))
    book = [{"hosts": only, "gather_facts": False, "serial": 1, "tasks": tasks}]
    (place / "play.yml").write_text(json.dumps(book))
    command = ["ansible-playbook", "-i", str(place / "inventory.json"), str(place / "play.yml")]
    if binds:
        pairs = [str(word) for pair in binds.items() for word in pair]
        command = ["unshare", "-m", "--propagation=private", "sh", "-c", ENTER, "sh", *pairs, "--", *command]
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
           "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections")}  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=place, env=env)
