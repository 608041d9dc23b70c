# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions that begin and judge a run on the control node."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import re
import sys
from typing import Any
from unittest import mock

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.template import Templar
from ansible_collections.kedr.lab.plugins.action import run as run_action
from ansible_collections.kedr.lab.plugins.action import verdict as verdict_action
from ansible_collections.kedr.lab.plugins.modules import run as run_module
from ansible_collections.kedr.lab.plugins.modules import verdict as verdict_module
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.expect import default_expect

HOSTVARS: dict[str, dict[str, Any]] = {
    "one": {
        "kedr_embedded": True,
        "kedr_test_host": True,
        "kedr_console": "/c",
        "kedr_qemu_pid": 17,
        "kedr_qemu_pidfile": "/p",
    },
    "two": {"kedr_test_host": "true"},
    "localhost": {},
}


def do(plugin: Any, args: dict[str, Any], base: pathlib.Path, check: bool = False) -> dict[str, Any]:
    """Run an action as a task of a playbook in `base` would."""
    loader = DataLoader()
    loader.set_basedir(str(base))
    task = Task.load({"action": plugin.__name__.rsplit(".", 1)[-1], "args": args, "check_mode": check}, loader=loader)
    action = plugin.ActionModule(
        task=task,
        connection=mock.Mock(),
        play_context=mock.Mock(),
        loader=loader,
        templar=Templar(loader),
        shared_loader_obj=None,
    )
    result: dict[str, Any] = action.run(task_vars={"groups": {"all": list(HOSTVARS)}, "hostvars": HOSTVARS})
    return result


@pytest.mark.parametrize("fact", ["kedr_builder", "kedr_exercise", "cp_target_source", "host_install_packages"])
def test_what_only_the_inventory_may_say_is_refused_from_a_host(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, fact: str
) -> None:
    monkeypatch.setitem(HOSTVARS, "two", {"ansible_facts": {"hostname": "two", fact: True}, fact: True})
    result = do(run_action, {"runs_dir": "runs", "run_id": "r1"}, tmp_path)
    assert result["failed"] is True
    assert f"two says {fact} of itself in its facts" in result["msg"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["runs", "runs/r1"])
def test_a_run_is_not_kept_where_others_could_change_it(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name).chmod(0o777)
    result = do(run_action, {"runs_dir": "runs", "run_id": "r1"}, tmp_path)
    assert result["failed"] is True
    assert f"chmod go-w {tmp_path / name}" in result["msg"]
    assert not list((tmp_path / name).glob("*.json"))


@pytest.mark.parametrize("module", [run_module, verdict_module])
def test_the_documentation_can_be_read(module: Any) -> None:
    assert yaml.safe_load(module.EXAMPLES)
    assert yaml.safe_load(module.RETURN)


# -- run ---------------------------------------------------------------------------------------------


def test_a_run_gets_a_private_directory_and_is_the_latest(tmp_path: pathlib.Path) -> None:
    result = do(run_action, {"runs_dir": "runs", "parameters": {"target": "cp_target"}}, tmp_path)
    path = pathlib.Path(result["run_dir"])
    assert result["changed"] is True
    assert re.fullmatch(r"\d{8}T\d{6}Z-\d+", result["run_id"])
    assert path == tmp_path / "runs" / result["run_id"]
    assert path.stat().st_mode & 0o777 == 0o700
    assert (path / "run.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "runs" / "latest").readlink() == pathlib.Path(result["run_id"])
    about = json.loads((path / "run.json").read_text())
    assert about["run_id"] == result["run_id"]
    assert about["parameters"] == {"target": "cp_target"}
    watched = {"target": "cp_target", "expect": default_expect("cp_target"), "system": "", "console_shows": ""}
    pidfiles = {name: host.pop("pidfile") for name, host in about["hosts"].items()}
    assert pidfiles == {"one": "/p", "two": ""}
    assert about["hosts"] == {
        "one": {"embedded": True, "alive": False, "test_host": True, "console": "/c", "pid": 17, **watched},
        "two": {"embedded": False, "alive": None, "test_host": False, "console": "", "pid": 0, **watched},
    }


def test_the_newest_run_is_the_latest_and_a_run_is_never_overwritten(tmp_path: pathlib.Path) -> None:
    args = {"runs_dir": str(tmp_path), "hosts": ["one"]}
    assert do(run_action, {**args, "run_id": "a"}, tmp_path)["run_dir"] == str(tmp_path / "a")
    assert do(run_action, {**args, "run_id": "b"}, tmp_path)["run_dir"] == str(tmp_path / "b")
    again = do(run_action, {**args, "run_id": "a"}, tmp_path)
    assert again["failed"] is True
    assert "exists already" in again["msg"]
    assert os.readlink(tmp_path / "latest") == "b"


@pytest.mark.parametrize("run_id", ["..", ".a", "a/b", "a b", "latest", "x" * 101])
def test_a_name_that_is_no_directory_is_refused(tmp_path: pathlib.Path, run_id: str) -> None:
    result = do(run_action, {"runs_dir": str(tmp_path), "run_id": run_id}, tmp_path)
    assert result["failed"] is True
    assert "cannot name a run" in result["msg"]
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_cannot_name_a_directory_is_refused(tmp_path: pathlib.Path) -> None:
    result = do(run_action, {"runs_dir": str(tmp_path), "hosts": ["../x"]}, tmp_path)
    assert result["failed"] is True
    assert "rename the host" in result["msg"]


def test_a_place_that_takes_no_directory_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "runs").write_text("")
    result = do(run_action, {"runs_dir": "runs"}, tmp_path)
    assert result["failed"] is True
    assert str(tmp_path / "runs") in result["msg"]
    assert "\n" not in result["msg"]


def test_check_mode_makes_no_run(tmp_path: pathlib.Path) -> None:
    result = do(run_action, {"runs_dir": "runs", "run_id": "a"}, tmp_path, check=True)
    assert result["run_dir"] == str(tmp_path / "runs" / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_run_knows_which_guests_live_when_it_begins(tmp_path: pathlib.Path) -> None:
    with mock.patch.object(run_action, "guest_alive", return_value=True) as alive:
        path = do(run_action, {"runs_dir": str(tmp_path)}, tmp_path)["run_dir"]
    hosts = json.loads(pathlib.Path(path, "run.json").read_text())["hosts"]
    assert {name: about["alive"] for name, about in hosts.items()} == {"one": True, "two": None}
    alive.assert_called_once_with(17, "/p")


def test_a_run_keeps_the_row_of_the_matrix_that_a_host_is(tmp_path: pathlib.Path) -> None:
    rows = {"kedr_row": {"name": "one", "kernel": "6.12", "image": {"suite": "trixie"}}}
    with mock.patch.dict(HOSTVARS["one"], rows):
        path = do(run_action, {"runs_dir": str(tmp_path)}, tmp_path)["run_dir"]
    hosts = json.loads(pathlib.Path(path, "run.json").read_text())["hosts"]
    assert {key: text for key, text in hosts["one"]["row"].items() if text} == {"name": "one", "kernel": "6.12"}
    assert "row" not in hosts["two"]


SECRETS: list[tuple[list[str], list[str]]] = [
    (["-e", "ansible_become_password=hush"], ["-e", "ansible_become_password=…"]),
    (["-eansible_become_pass=hush"], ["-e", "ansible_become_pass=…"]),
    (["-vvve", "API_TOKEN=hush"], ["-vvve", "API_TOKEN=…"]),
    (["--extra-vars=a=b my_secret='hush hush' c=hush"], ["--extra-vars", "a=b my_secret=…"]),
    (["--extra", "ssh_key = hush"], ["--extra", "ssh_key =…"]),
    (["-e", '{"a": 1, "password": "hush"}'], ["-e", "…"]),
    (["-e", '{"p\\u0061ssword": "hush"}'], ["-e", "…"]),
    (["-e", "[{token: hush}]"], ["-e", "…"]),
]


@pytest.mark.parametrize(("words", "kept"), SECRETS)
def test_a_run_keeps_no_secret_of_its_command(tmp_path: pathlib.Path, words: list[str], kept: list[str]) -> None:
    with mock.patch.object(sys, "argv", ["ansible-playbook", *words, "v.yml"]):
        path = do(run_action, {"runs_dir": str(tmp_path), "parameters": {"token": "hush"}}, tmp_path)["run_dir"]
    text = pathlib.Path(path, "run.json").read_text()
    assert json.loads(text)["command"] == ["ansible-playbook", *kept, "v.yml"]
    assert "hush" not in text


@pytest.mark.parametrize("word", ["--private-key=k", "-i", "--vault-password-file=f", "v.yml", "-l", "-e"])
def test_a_run_keeps_what_is_no_secret(tmp_path: pathlib.Path, word: str) -> None:
    with mock.patch.object(sys, "argv", ["ansible-playbook", word, '{"a": "b"}']):
        path = do(run_action, {"runs_dir": str(tmp_path)}, tmp_path)["run_dir"]
    command = json.loads(pathlib.Path(path, "run.json").read_text())["command"]
    assert command == ["ansible-playbook", word, '{"a": "b"}']


def expectations(path: pathlib.Path, target: str) -> str:
    """A copy of the sample target's expectations that is about another target."""
    text = pathlib.Path(default_expect("cp_target")).read_text()
    path.write_text(text.replace("target: cp_target", f"target: {target}"))
    return str(path)


def test_each_host_is_judged_by_the_expectations_that_its_variables_name(tmp_path: pathlib.Path) -> None:
    own = {"kedr_target": "my-target", "kedr_expect": expectations(tmp_path / "my.yml", "my_target")}
    with mock.patch.dict(HOSTVARS, {"two": own}):
        run_dir = do(run_action, {"runs_dir": "runs", "hosts": ["one", "two"]}, tmp_path)["run_dir"]
    asked: dict[str, str] = {}

    def judged(_run: str, _hosts: list[str], expects: dict[str, Any], *_more: Any) -> list[dict[str, Any]]:
        asked.update({name: expect.target for name, expect in expects.items()})
        return []

    with mock.patch.object(verdict_action.verify, "judge_run", judged):
        do(verdict_action, {"run_dir": run_dir, "hosts": ["one", "two"]}, tmp_path)
        assert asked == {"one": "cp_target", "two": "my_target"}
        do(verdict_action, {"run_dir": run_dir, "hosts": ["one", "two"], "expect": own["kedr_expect"]}, tmp_path)
        assert asked == {"one": "my_target", "two": "my_target"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"kedr_target": "zero"}, ["data/expect/zero.yml", "the target zero needs a file of expectations"]),
        ({"kedr_target": "zero", "kedr_expect": "other.yml"}, ["about the target other, and kedr_target is zero"]),
        ({"kedr_expect": "mistake.yml"}, ["mistake.yml:1: "]),
    ],
)
def test_a_mistake_of_expectations_ends_the_run_before_it_begins(
    tmp_path: pathlib.Path, variables: dict[str, str], said: list[str]
) -> None:
    expectations(tmp_path / "other.yml", "other")
    (tmp_path / "mistake.yml").write_text("target: 5\n")
    with mock.patch.dict(HOSTVARS, {"two": variables}):
        result = do(run_action, {"runs_dir": "runs"}, tmp_path)
    assert result["failed"] is True
    for words in said:
        assert words in result["msg"]
    assert not (tmp_path / "runs").exists()


# -- verdict -----------------------------------------------------------------------------------------


@pytest.fixture
def shown() -> Any:
    with mock.patch.object(verdict_action.Display, "display") as display:
        yield display


@pytest.fixture
def begun(tmp_path: pathlib.Path) -> pathlib.Path:
    with mock.patch.object(run_action, "guest_alive", return_value=True):
        result = do(run_action, {"runs_dir": str(tmp_path), "hosts": ["one", "two"]}, tmp_path)
    return pathlib.Path(result["run_dir"])


def refuse(run_dir: pathlib.Path, host: str) -> None:
    (run_dir / host).mkdir()
    entry = {"step": "load", "status": "refused", "kind": "SKIP", "reason": "not marked"}
    (run_dir / host / "steps.jsonl").write_text(json.dumps(entry) + "\n")


def test_a_run_without_evidence_fails_with_a_row_for_every_host(begun: pathlib.Path, shown: mock.Mock) -> None:
    refuse(begun, "two")
    result = do(verdict_action, {"run_dir": str(begun), "hosts": ["one", "two", "localhost"]}, begun)
    assert result["failed"] is True
    assert result["msg"] == "2 hosts: 1 NO-RESULT, 1 SKIP"
    assert result["verdicts"] == {"one": "NO-RESULT", "two": "SKIP"}
    rows = json.loads((begun / "results.json").read_text())
    assert [(row["host"], row["verdict"]) for row in rows] == [("one", "NO-RESULT"), ("two", "SKIP")]
    assert json.loads((begun / "two" / "verdict.json").read_text()) == rows[1]
    assert not (begun / "one").exists()
    assert (begun / "results.json").stat().st_mode & 0o777 == 0o600
    text = shown.call_args.args[0]
    assert re.search(r"^one +- +- +- +- +NO-RESULT +0/11", text, re.MULTILINE)
    assert "two: SKIP: load: not marked" in text
    assert "| one |" in (begun / "report.md").read_text()
    for name in ("report.html", "junit.xml"):
        assert "NO-RESULT" in (begun / name).read_text()


def test_all_hosts_ok_is_the_only_success(begun: pathlib.Path, shown: mock.Mock) -> None:
    def judged(run_dir: str, hosts: list[str], *_more: Any) -> list[dict[str, Any]]:
        return [
            {
                "host": name,
                "verdict": word,
                "reason": "r",
                "system": "",
                "kernel": "",
                "arch": "",
                "events": {},
                "sites": {},
                "durations": {},
                "reproduce": "c",
            }
            for name, word in zip(hosts, words, strict=False)
        ]

    outcomes = {}
    for words in (["OK", "OK"], ["OK", "FAIL"], ["OK", "CRASH"], ["OK", "INFRA"], ["OK", "SKIP"], ["OK", "NO-RESULT"]):
        with mock.patch.object(verdict_action.verify, "judge_run", judged):
            result = do(verdict_action, {"run_dir": str(begun), "hosts": ["one", "two"]}, begun)
        outcomes[words[1]] = bool(result.get("failed"))
    assert outcomes == {"OK": False, "FAIL": True, "CRASH": True, "INFRA": True, "SKIP": True, "NO-RESULT": True}
    assert shown.call_count == 6


@pytest.mark.parametrize("hosts", [[], ["localhost"]])
def test_no_host_is_no_success(begun: pathlib.Path, shown: mock.Mock, hosts: list[str]) -> None:
    result = do(verdict_action, {"run_dir": str(begun), "hosts": hosts}, begun)
    assert result["failed"] is True
    assert result["msg"] == "no host was judged"
    assert shown.called


def test_judging_again_changes_nothing(begun: pathlib.Path, shown: mock.Mock) -> None:
    refuse(begun, "two")
    args = {"run_dir": str(begun), "hosts": ["one", "two"]}
    assert do(verdict_action, args, begun)["changed"] is True
    assert do(verdict_action, args, begun)["changed"] is False
    assert shown.call_count == 2


def test_a_check_of_which_every_host_came_to_the_end_has_nothing_to_judge(
    tmp_path: pathlib.Path, shown: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HOSTVARS, "one", {**HOSTVARS["one"], "kedr_foretold": True})
    result = do(verdict_action, {"run_dir": str(tmp_path / "none"), "hosts": ["one"]}, tmp_path, check=True)
    assert not result.get("failed")
    assert (result["changed"], result["msg"]) == (False, "nothing to judge in check mode")
    assert list(tmp_path.iterdir()) == []
    assert not shown.called


def test_a_check_fails_and_names_each_host_that_did_not_come_to_the_end(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HOSTVARS, "one", {"kedr_foretold": True})
    monkeypatch.setitem(HOSTVARS, "two", {"kedr_stopped": "Read what the host is: lost contact with the host"})
    result = do(verdict_action, {"run_dir": "none", "hosts": ["one", "two", "three"]}, tmp_path, check=True)
    assert result["failed"] is True
    assert result["msg"].splitlines()[1:] == [
        "two: Read what the host is: lost contact with the host", "three: it did not come to the end"]


@pytest.mark.parametrize("strategy", ["free", "ansible.builtin.host_pinned", "linear"])
def test_a_run_begins_once_for_all_hosts_of_a_play(tmp_path: pathlib.Path, strategy: str) -> None:
    action = run_action.ActionModule(mock.Mock(check_mode=False), None, None, DataLoader(), None, None)
    action._task._parent._play.strategy = strategy
    options = {"hosts": [], "run_id": "", "runs_dir": str(tmp_path), "expectations": False, "parameters": {}}
    result = action.perform(options, {"ansible_play_hosts_all": ["one", "two"]})
    assert result.get("failed", False) is (strategy != "linear")
    assert (f"strategy: {strategy} is not supported here" in result.get("msg", "")) is (strategy != "linear")
    assert bool(list(tmp_path.iterdir())) is (strategy == "linear")


@pytest.mark.parametrize("name", ["../x", "..", ".", "a/b", "/x", "", "a\nb", ".hidden", "x" * 300])
@pytest.mark.parametrize("check", [False, True])
def test_a_host_that_names_no_directory_is_refused_before_any_file(begun: pathlib.Path, name: str, check: bool) -> None:
    before = sorted(begun.parent.rglob("*"))
    with mock.patch.object(verdict_action.verify, "read_run") as read:
        result = do(verdict_action, {"run_dir": str(begun), "hosts": ["one", name]}, begun, check=check)
    assert result["failed"] is True
    assert "rename the host in the inventory" in result["msg"]
    assert not read.called
    assert sorted(begun.parent.rglob("*")) == before


def test_the_environment_gives_the_command_unless_the_option_does(
    begun: pathlib.Path, shown: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEDR_REPRODUCE", "cd /lab && make verify ARGS='-e a=b'")
    args = {"run_dir": str(begun), "hosts": ["one"]}
    do(verdict_action, args, begun)
    (row,) = json.loads((begun / "results.json").read_text())
    assert row["reproduce"] == "cd /lab && make verify ARGS='-e a=b'"
    do(verdict_action, {**args, "reproduce": "make again"}, begun)
    (row,) = json.loads((begun / "results.json").read_text())
    assert row["reproduce"] == "make again"
    assert "again: make again" in shown.call_args.args[0]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("make verify ARGS='-e kedr_run_id=mine -e a=b'", "make verify ARGS='-e a=b'"),
        ("make matrix ARGS='-e a=b -e kedr_run_id=mine --limit one'", "make matrix ARGS='-e a=b --limit one'"),
    ],
)
def test_the_command_that_repeats_a_run_asks_for_a_run_id_of_its_own(
    begun: pathlib.Path, shown: mock.Mock, monkeypatch: pytest.MonkeyPatch, given: str, told: str
) -> None:
    monkeypatch.setenv("KEDR_REPRODUCE", given)
    do(verdict_action, {"run_dir": str(begun), "hosts": ["one"]}, begun)
    (row,) = json.loads((begun / "results.json").read_text())
    assert row["reproduce"] == told


def test_the_command_of_the_environment_tells_no_secret(
    begun: pathlib.Path, shown: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEDR_REPRODUCE", "make verify ARGS='--private-key=k -e become_password=hush'")
    do(verdict_action, {"run_dir": str(begun), "hosts": ["one"]}, begun)
    (row,) = json.loads((begun / "results.json").read_text())
    assert row["reproduce"] == "make verify ARGS='--private-key=k -e become_password=…"
    assert "hush" not in shown.call_args.args[0]


def test_mistakes_in_data_files_are_told_by_file_and_line(begun: pathlib.Path) -> None:
    path = begun / "expect.yml"
    path.write_text("target: t\nunknown: 1\n")
    result = do(verdict_action, {"run_dir": str(begun), "hosts": ["one"], "expect": str(path)}, begun)
    assert result["failed"] is True
    assert result["msg"].startswith(f"{path}:2: unknown key 'unknown'")


def test_a_directory_that_is_no_run_is_told(tmp_path: pathlib.Path) -> None:
    result = do(verdict_action, {"run_dir": str(tmp_path), "hosts": ["one"]}, tmp_path)
    assert result["failed"] is True
    assert result["msg"] == f"{tmp_path}/run.json: cannot be read: No such file or directory"


def test_the_actions_and_their_documentation_have_one_name() -> None:
    for name in ("run", "verdict"):
        module = importlib.import_module(f"ansible_collections.kedr.lab.plugins.modules.{name}")
        assert yaml.safe_load(module.DOCUMENTATION)["module"] == name
