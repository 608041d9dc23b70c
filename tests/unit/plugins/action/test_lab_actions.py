# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the lab as steps of a run: what the run directory keeps of an image and of a guest."""

from __future__ import annotations

import json
import pathlib
from typing import Any
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.template import Templar
from ansible_collections.kedr.lab.plugins.action import lab_guest, lab_image
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError

IMAGE = {"key": "k", "cached": True}


@pytest.fixture
def do(tmp_path: pathlib.Path):
    """Run an action for the host `box`; the run directory is `run`."""

    def run(plugin: Any, args: dict[str, Any], check: bool = False) -> dict[str, Any]:
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        name = plugin.__name__.rsplit(".", 1)[-1]
        options = {"cache_dir": str(tmp_path / "cache"), **args}
        action = plugin.ActionModule(
            task=Task.load({"action": name, "args": options, "check_mode": check}, loader=loader),
            connection=mock.Mock(),
            play_context=mock.Mock(),
            loader=loader,
            templar=Templar(loader),
            shared_loader_obj=None,
        )
        result: dict[str, Any] = action.run(task_vars={"inventory_hostname": "box"})
        return result

    return run


def steps(tmp_path: pathlib.Path) -> list[tuple[str, str, str, str]]:
    lines = (tmp_path / "run/box/steps.jsonl").read_text().splitlines()
    return [tuple(json.loads(line)[key] for key in ("step", "status", "kind", "reason")) for line in lines]


def test_an_image_that_is_there_is_a_step_of_its_host(do, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lab_image, "ensure_image", lambda *given: IMAGE)
    assert not do(lab_image, {"run_dir": "run"}).get("failed")
    assert steps(tmp_path) == [("image", "ok", "", "")]


def test_an_image_that_cannot_be_built_is_infra_for_its_host_alone(do, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lab_image, "ensure_image", mock.Mock(side_effect=KedrError("no mirror")))
    result = do(lab_image, {"run_dir": "run"})
    assert (result["failed"], result["kind"], result["msg"]) == (True, "INFRA", "no mirror")
    assert steps(tmp_path) == [("image", "failed", "INFRA", "no mirror")]


def test_what_nobody_thought_of_is_a_failed_step_too(do, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lab_image, "ensure_image", mock.Mock(side_effect=ValueError("odd")))
    with pytest.raises(ValueError, match="odd"):
        do(lab_image, {"run_dir": "run"})
    assert steps(tmp_path) == [("image", "failed", "INFRA", "internal error: ValueError: odd")]


def test_a_guest_that_does_not_boot_is_a_failed_step(do, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lab_guest.Lab, "start", mock.Mock(side_effect=KedrError("guest box took no login")))
    assert do(lab_guest, {"lab_dir": str(tmp_path / "lab"), "guests": [{"name": "box"}], "run_dir": "run"})["failed"]
    assert steps(tmp_path) == [("guest", "failed", "INFRA", "guest box took no login")]


@pytest.mark.parametrize("check", [True, False])
def test_without_a_run_and_in_check_mode_nothing_is_recorded(do, tmp_path, monkeypatch, check) -> None:
    monkeypatch.setattr(lab_image, "ensure_image", lambda *given: IMAGE)
    do(lab_image, {"run_dir": "run" if check else ""}, check=check)
    assert not (tmp_path / "run").exists()


def test_a_guest_that_is_ended_leaves_whether_it_still_lived_and_its_console(do, tmp_path, monkeypatch) -> None:
    (tmp_path / "run/box").mkdir(parents=True)
    console = tmp_path / "console"
    console.write_text("the last words")
    guest = mock.Mock(console=str(console), pid=1, pidfile=str(tmp_path / "no.pid"))
    guest.name = "box"
    monkeypatch.setattr(lab_guest.Lab, "guests", lambda lab: [guest])
    monkeypatch.setattr(lab_guest.Lab, "stop", lambda lab, names: ["box"])
    assert do(lab_guest, {"state": "stopped", "lab_dir": str(tmp_path), "run_dir": "run"})["stopped"] == ["box"]
    assert json.loads((tmp_path / "run/box/guest.json").read_text())["alive"] is False
    assert (tmp_path / "run/box/console.log").read_text() == "the last words"
