# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that stands still is noticed, unless the user has said how."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.host import ssh_alive

OURS = "-o ServerAliveInterval=15 -o ServerAliveCountMax=4"


class Connection:
    """An ssh connection of Ansible as far as its options go."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def has_option(self, name: str) -> bool:
        return name in self.options

    def get_option(self, name: str) -> Any:
        return self.options.get(name)

    def set_option(self, name: str, value: Any) -> None:
        self.options[name] = value


@pytest.fixture
def config(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "config"
    path.write_text("Host quiet\n ServerAliveInterval 0\nHost lively\n ServerAliveInterval 30\n")
    return path


@pytest.mark.parametrize(("given", "host", "added"), [
    ({}, "quiet", True), ({}, "lively", False), ({}, "other", True),
    ({"ssh_args": "-o serveraliveinterval=9"}, "quiet", False),
    ({"ssh_extra_args": "-oServerAliveInterval=0"}, "quiet", False),
    ({"ssh_executable": "/nonexistent"}, "lively", True),
])
def test_questions_to_the_host_are_added_where_the_user_has_none(
    config: pathlib.Path, given: dict[str, str], host: str, added: bool
) -> None:
    own = f"-F {config}"
    connection = Connection(**{"ssh_executable": "ssh", "ssh_common_args": own, **given})
    ssh_alive.ensure(connection, host)
    assert connection.get_option("ssh_common_args") == (f"{own} {OURS}" if added else own)


def test_other_connections_are_left_alone() -> None:
    connection = Connection(pipelining=True)
    ssh_alive.ensure(connection, "one")
    assert connection.options == {"pipelining": True}
