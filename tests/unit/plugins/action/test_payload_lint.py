# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that checks payload descriptions on the control node."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.template import Templar
from ansible_collections.kedr.lab.plugins.action import payload_lint as action
from ansible_collections.kedr.lab.plugins.modules import payload_lint as module

GOOD = (
    "module.name = {0}\nmodule.author = Some Author\nmodule.license = GPL\n[group]\nfunction.name = {0}\n"
    "returnsVoid = yes\ntrace.formatString = called\n"
)


def do(args: dict[str, Any], base: Path, check: bool = False) -> dict[str, Any]:
    """Run the action as a task of a playbook in `base` would."""
    loader = DataLoader()
    loader.set_basedir(str(base))
    task = Task.load({"action": "payload_lint", "args": args, "check_mode": check}, loader=loader)
    connection = mock.Mock()
    one = action.ActionModule(
        task=task,
        connection=connection,
        play_context=mock.Mock(),
        loader=loader,
        templar=Templar(loader),
        shared_loader_obj=None,
    )
    result: dict[str, Any] = one.run(task_vars={})
    assert connection.exec_command.call_count == 0
    return result


def test_the_documentation_can_be_read() -> None:
    assert yaml.safe_load(module.EXAMPLES)
    assert yaml.safe_load(module.RETURN)


@pytest.mark.parametrize("check", [False, True])
def test_good_files_are_ok_and_nothing_changes(tmp_path: Path, check: bool) -> None:
    (tmp_path / "a.data").write_text(GOOD.format("a"))
    result = do({"payloads": ["a.data"]}, tmp_path, check)
    assert (result["changed"], result["problems"], result.get("failed", False)) == (False, [], False)


def test_every_mistake_of_every_file_is_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text(GOOD.format("a").replace("GPL", "none"))
    (tmp_path / "b.data").write_text(GOOD.format("b").replace("name = b\nreturns", "name = a\nreturns") + "oops\n")
    result = do({"payloads": ["a.data", "b.data", "c.data"]}, tmp_path)
    assert result["failed"] is True
    assert result["changed"] is False
    lines = result["msg"].split("\n")
    assert lines[0].startswith(f"{tmp_path}/a.data:3: module.license 'none' may not")
    assert lines[1].startswith(f"{tmp_path}/b.data:8: '=' is missing; ")
    assert lines[2] == f"{tmp_path}/c.data: cannot be read: No such file or directory"
    assert lines[3].startswith(f"{tmp_path}/b.data:5: function 'a' is already in {tmp_path}/a.data:5; ")
    assert [(Path(one["file"]).name, one["line"]) for one in result["problems"]] == [
        ("a.data", 3),
        ("b.data", 8),
        ("c.data", None),
        ("b.data", 5),
    ]


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match="nonsense"):
        do({"payloads": ["a.data"], "nonsense": 1}, tmp_path)
