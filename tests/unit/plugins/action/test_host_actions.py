# SPDX-License-Identifier: GPL-3.0-or-later
"""The host actions as tasks: options, refusal, records of the run directory, results. The host is this machine's sh."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import json
import os
import pathlib
import shutil
import subprocess
import time
from typing import Any
from unittest import mock

import pytest
import yaml
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.host import action as base
from ansible_collections.kedr.lab.plugins.plugin_utils.host import arguments, build, build_root, shell, signing
from ansible_collections.kedr.lab.plugins.plugin_utils.lab import uefi
from processes import all_end

ROOT = pathlib.Path(paths.ROOT)
ACTIONS = ["kernel_facts", "host_packages", "host_reboot", "payload_render", "kmod_build", "kmod", "trace",
           "trace_collect", "exercise", "hold"]
FACTS = {"release": "6.12.1", "machine": "x86_64", "kernel_tree": "", "os_id": "debian", "tools": {}}


class Task:
    """Makes an action of a task and runs it; what the host would run runs here, or is answered by `answer`."""

    def __init__(self, runs: pathlib.Path) -> None:
        self.runs = runs
        self.calls: list[bytes] = []
        self.answer: Any = None
        self.delegate_to: str | None = None
        self.inventory: dict[str, Any] = {"inventory_hostname": "one", "kedr_test_host": True}

    def __call__(self, name: str, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        module = importlib.import_module(f"ansible_collections.kedr.lab.plugins.action.{name}")
        args = {"run_dir": str(self.runs / "r1"), **options}
        task = mock.Mock(args=args, action=f"kedr.lab.{name}", check_mode=check, diff=diff, async_val=0,
                         delegate_to=self.delegate_to)
        connection = mock.Mock(transport="local", **{"has_option.return_value": False})
        templar = mock.Mock(**{"template.side_effect": lambda text: text})
        play = mock.Mock(remote_addr=self.delegate_to or self.inventory["inventory_hostname"], port=None)
        made = module.ActionModule(task, connection, play, DataLoader(), templar, mock.Mock())
        made._execute = lambda call: self.execute(call.command, call.stdin)
        return made.run(task_vars=self.inventory)

    def execute(self, command: str, in_data: bytes) -> tuple[int, bytes, bytes]:
        self.calls.append(in_data)
        if isinstance(self.answer, Exception):
            raise self.answer  # pylint: disable=raising-bad-type
        if self.answer is not None:
            nonce = in_data.split(b"k_nonce=", 1)[1].split(b"\n", 1)[0].decode()
            return 0, f"kedr-begin {nonce}\n{self.answer}kedr-end {nonce}\n".encode("utf-8", "surrogateescape"), b""
        done = subprocess.run(command, shell=True, input=in_data, capture_output=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr

    @property
    def host_dir(self) -> pathlib.Path:
        return self.runs / "r1" / "one"

    @property
    def steps(self) -> list[dict[str, Any]]:
        path = self.host_dir / "steps.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def task(tmp_path: pathlib.Path) -> Task:
    return Task(tmp_path / "runs")


@pytest.fixture
def script(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "x.sh"
    path.write_text("echo check a ok\n")
    return path


@pytest.mark.parametrize("name", ACTIONS)
def test_every_option_is_documented_and_is_what_the_action_takes(name: str) -> None:
    spec = arguments.argument_spec(name, "host")
    module = importlib.import_module(f"ansible_collections.kedr.lab.plugins.modules.{name}")
    assert set(spec) == {"run_dir", "step", "deadline", *yaml.safe_load(module.DOCUMENTATION)["options"]}
    for text in (module.EXAMPLES, module.RETURN):
        assert yaml.safe_load(text)


def test_an_unknown_option_is_refused_by_name(task: Task, script: pathlib.Path) -> None:
    with pytest.raises(AnsibleActionFail, match="sript"):
        task("exercise", script=str(script), sript="x")


def test_a_step_is_recorded_with_private_files(task: Task, script: pathlib.Path) -> None:
    result = task("exercise", script=str(script))
    assert (result["round_trips"], result["kind"]) == (1, "")
    (step,) = task.steps
    assert (step["step"], step["status"], step["kind"], step["round_trips"]) == ("exercise", "ok", "", 1)
    assert step["data"]["checks"] == [{"name": "a", "ok": True, "detail": ""}]
    assert step["seconds"] >= 0
    assert task.host_dir.stat().st_mode & 0o777 == 0o700
    assert (task.host_dir / "steps.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_step_can_be_named(task: Task, script: pathlib.Path) -> None:
    task("exercise", script=str(script), step="warm-up")
    assert task.steps[0]["step"] == "warm-up"


@pytest.mark.parametrize(("name", "options"), [
    ("kmod", {"modules": [{"name": "x"}]}), ("trace", {}), ("exercise", {"script": "/nowhere"}),
    ("host_packages", {}), ("host_reboot", {}),
])
@pytest.mark.parametrize("mark", [None, False, "true", "yes", 1])
def test_an_unmarked_host_is_refused_before_anything_is_sent(task: Task, name: str, options: dict, mark: Any) -> None:
    task.inventory["kedr_test_host"] = mark
    result = task(name, **options)
    assert result["failed"] is True
    text = "kedr_test_host is text; write it as a boolean (YAML: true, INI: True)"
    assert (text if isinstance(mark, str) else "set kedr_test_host: true") in result["msg"]
    assert task.calls == []
    assert [(step["status"], step["kind"]) for step in task.steps] == [("refused", "SKIP")]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that are tried again are tried without a rest, for half a second."""
    monkeypatch.setattr(base, "PAUSE", 0.1)
    monkeypatch.setattr(base, "BACK", 0.5)


LOST = AnsibleConnectionFailure("ssh: connect: Connection refused\x1b[0m")
BOOT = "0c0ffee0-1111-4222-8333-444444444444"
COLLECTED = f"v boot {BOOT}\nv taint 0\ntext modules\n.\nv uptime 1.0\n"


def test_a_lost_host_is_a_failure_that_rescue_sees_and_only_cleaning_up_tries_it_again(task: Task) -> None:
    task.answer = LOST
    first = task("kernel_facts")
    assert (first["failed"], first.get("unreachable", False)) == (True, False)
    assert [(step["status"], step["kind"]) for step in task.steps] == [("unreachable", "INFRA")]
    assert "Connection refused" in task.steps[0]["reason"]
    assert "\x1b" not in task.steps[0]["reason"]
    second = task("kmod", modules=[{"name": "x"}])
    assert second["failed"] is True
    assert "not tried again" in second["msg"]
    assert (len(task.calls), len(task.steps)) == (1, 1)


def test_after_the_connection_was_cut_evidence_comes_home_and_all_is_cleaned_up(task: Task, quick: None) -> None:
    task.answer = f"v boot {BOOT}\nv changed x\n"
    task("kmod", modules=[{"name": "x"}])
    task.answer = LOST
    lost = task("trace")
    assert (lost["failed"], lost["changed"]) == (True, True)
    answers = iter([LOST, f"v boot {BOOT}\n", COLLECTED, COLLECTED, f"v boot {BOOT}\nv changed x\n", COLLECTED])
    execute = task.execute

    def answered(command: str, in_data: bytes) -> dict[str, Any]:
        task.answer = next(answers)
        return execute(command, in_data)

    task.execute = answered
    for name in ("trace_collect", "trace", "kmod", "hold"):
        options = {"modules": [{"name": "x"}]} if name == "kmod" else {}
        result = task(name, **({} if name == "trace_collect" else {"state": "absent"}), **options)
        assert result.get("failed", False) is False, result
    assert [step["status"] for step in task.steps] == ["ok", "unreachable", "ok", "ok", "ok", "ok"]
    assert [step["boot"] for step in task.steps] == [BOOT, "", BOOT, BOOT, BOOT, BOOT]
    assert [step["round_trips"] for step in task.steps] == [1, 1, 3, 1, 1, 1]
    assert b"end_private \"$k_private\"" in task.calls[3]
    assert list(answers) == []


def test_a_host_that_is_lost_twice_is_not_tried_again(task: Task, quick: None) -> None:
    task.answer = f"v boot {BOOT}\nv changed x\n"
    task("kmod", modules=[{"name": "x"}])
    task.answer = LOST
    task("exercise", script=__file__)
    began = time.monotonic()
    assert "could not be reached again" in task("trace_collect")["msg"]
    assert 0.3 < time.monotonic() - began < 60
    calls = len(task.calls)
    last = task("hold", state="absent")
    assert "more than once" in last["msg"]
    assert (len(task.calls), [step["status"] for step in task.steps]) == (calls, ["ok", "unreachable", "unreachable"])


def test_a_host_that_never_answered_is_tried_once_more_without_a_rest(task: Task) -> None:
    task.answer = LOST
    task("hold")
    task("hold", state="absent")
    assert [step["step"] for step in task.steps] == ["hold", "release"]
    assert len(task.calls) == 2


def test_a_changing_step_whose_answer_is_cut_short_may_have_changed_the_host(task: Task) -> None:
    task.answer = "rubbish\n"
    assert task("kmod", modules=[{"name": "x"}])["changed"] is True
    assert task("trace_collect")["changed"] is False
    assert task("kmod", modules=[{"name": "x"}], check=True)["changed"] is False


def test_a_step_is_recorded_with_the_boot_of_the_host_and_the_files_that_it_wrote(task: Task) -> None:
    task.answer = COLLECTED + "text trace\n|# tracer: nop\n.\n"
    task("trace_collect")
    (step,) = task.steps
    assert step["boot"] == BOOT
    assert "boots" not in step
    kept = {str(path.relative_to(task.host_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in task.host_dir.rglob("*") if path.is_file() and path.name != "steps.jsonl"}
    assert step["files"] == kept
    assert "trace.txt" in kept


@pytest.mark.parametrize("boot", ["", "x y", "../../x"])
def test_a_boot_that_is_none_is_not_recorded(task: Task, boot: str) -> None:
    task.answer = COLLECTED.replace(BOOT, boot)
    task("trace_collect")
    assert task.steps[0]["boot"] == ""


@pytest.mark.parametrize("limit", [0, -1])
def test_a_deadline_that_is_none_is_refused(task: Task, limit: float) -> None:
    result = task("trace_collect", deadline=limit)
    assert (result["kind"], task.calls) == ("INFRA", [])
    assert "out of range" in result["msg"]


def test_a_host_that_does_not_answer_in_time_is_lost_and_nothing_runs_on_here(task: Task, tmp_path) -> None:
    script = tmp_path / "slow.sh"
    script.write_text(f"pwd >{tmp_path}/place; echo $$ >{tmp_path}/pid; sleep 60; echo check a ok\n")
    result = task("exercise", script=str(script), deadline=6)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "the host did not answer within 6 s (deadline)" in result["msg"]
    assert [step["status"] for step in task.steps] == ["unreachable"]
    assert all_end([int((tmp_path / "pid").read_text())])
    shutil.rmtree(pathlib.Path((tmp_path / "place").read_text().strip()).parent)


@pytest.mark.parametrize(("name", "options", "seconds"), [
    ("kmod", {"modules": [{"name": "x"}, {"name": "y"}], "timeout": 50}, 220),
    ("kmod", {"modules": [{"name": "x"}], "state": "absent"}, 240),
    ("exercise", {"script": __file__, "timeout": 1000}, 1120), ("trace_collect", {}, 900), ("hold", {}, 300),
    ("host_packages", {}, 7200), ("trace", {"deadline": 7}, 7),
])
def test_every_round_trip_has_a_deadline(
    task: Task, name: str, options: dict[str, Any], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []

    def limited(given: float) -> contextlib.nullcontext[None]:
        limits.append(given)
        return contextlib.nullcontext()

    monkeypatch.setattr(base.deadline, "limited", limited)
    task.answer = "v failed INFRA\n"
    task(name, **options)
    assert limits == [seconds]


def test_a_wrong_become_password_is_recorded(task: Task) -> None:
    task.answer = AnsibleError("Incorrect sudo password")
    with pytest.raises(AnsibleError):
        task("kernel_facts")
    assert [(step["status"], step["kind"]) for step in task.steps] == [("failed", "INFRA")]


def test_a_mistake_of_the_program_itself_is_recorded(task: Task) -> None:
    task.answer = ZeroDivisionError("by zero")
    with pytest.raises(ZeroDivisionError):
        task("kernel_facts")
    assert [(step["status"], step["kind"], step["reason"]) for step in task.steps] == [
        ("failed", "INFRA", "internal error: ZeroDivisionError: by zero")]


def test_a_check_writes_nothing_about_a_lost_host(task: Task) -> None:
    task.answer = AnsibleConnectionFailure("gone")
    assert task("kernel_facts", check=True)["failed"] is True
    assert not task.runs.exists()


def test_an_answer_that_is_none_is_the_labs_fault(task: Task) -> None:
    task.answer = "rubbish\n"
    result = task("kernel_facts")
    assert (result["failed"], result["kind"]) == (True, "INFRA")
    assert "means nothing" in result["msg"]


def test_a_host_name_that_cannot_name_a_directory_is_refused(task: Task) -> None:
    task.inventory["inventory_hostname"] = "../up"
    with pytest.raises(AnsibleActionFail, match="rename the host"):
        task("kernel_facts")


def test_facts_are_returned_and_kept_and_the_run_is_marked_on_a_test_host_only(task: Task) -> None:
    task.answer = "v release 6.12\nv machine x86_64\nv marker yes\n"
    result = task("kernel_facts")
    assert result["changed"] is False
    assert result["facts"]["test_host"] is True
    assert json.loads((task.host_dir / "facts.json").read_text()) == result["facts"]
    assert b"k_marker='kedr: run r1 begins'" in task.calls[0]
    task.inventory["kedr_test_host"] = False
    task("kernel_facts")
    assert b"k_marker=''" in task.calls[1]


def test_mistakes_of_every_data_file_are_told_at_once_without_a_trip(task: Task, tmp_path: pathlib.Path) -> None:
    for name in ("a.data", "b.data"):
        (tmp_path / name).write_text("nonsense\n")
    result = task("kernel_facts", payloads=[str(tmp_path / f"{letter}.data") for letter in "abc"])
    assert (result["kind"], task.calls) == ("FAIL", [])
    for words in ("a.data:1: ", "b.data:1: ", "c.data"):
        assert words in result["msg"]


def render(task: Task, **options: Any) -> dict[str, Any]:
    facts = {**FACTS, "exports": ["_copy_from_user", "_copy_to_user"]}
    return task("payload_render", **{"payloads": [str(ROOT / "data/my_payload2.data")], "facts": facts, **options})


def test_sources_are_rendered_once(task: Task) -> None:
    first = render(task)
    assert (first["changed"], first["round_trips"]) == (True, 0)
    assert first["events"] == ["my_payload2:called_copy_from_user", "my_payload2:called_copy_to_user"]
    directory = pathlib.Path(first["sources"]["my_payload2"])
    assert sorted(os.listdir(directory)) == ["Kbuild", "payload.c", "trace_payload.h"]
    assert json.loads((task.host_dir / "payloads.json").read_text()) == first["payloads"]
    assert render(task)["changed"] is False
    (directory / "stray.c").write_text("x")
    assert render(task)["changed"] is True
    assert sorted(os.listdir(directory)) == ["Kbuild", "payload.c", "trace_payload.h"]


def test_a_check_renders_nothing_and_shows_the_difference(task: Task) -> None:
    result = render(task, check=True, diff=True)
    assert result["changed"] is True
    assert any("called_copy_from_user" in part["after"] for part in result["diff"])
    assert not task.host_dir.exists()


def test_a_function_that_the_kernel_does_not_export_fails_and_names_it(task: Task) -> None:
    result = render(task, facts={**FACTS, "kernel_tree": "/lib/modules/6.12.1/build", "exports": ["_copy_from_user"]})
    assert result["kind"] == "FAIL"
    assert "copy_to_user" in result["msg"]
    assert "6.12.1" in result["msg"]


def test_without_headers_no_payload_is_blamed(task: Task) -> None:
    result = render(task, facts={**FACTS, "exports": []})
    assert result["kind"] == "INFRA"
    assert "apt install linux-headers-6.1" in result["msg"]


class Built:
    """A kernel directory, a source of a module, a cache, and a host that answers as if it had built."""

    def __init__(self, task: Task, tmp_path: pathlib.Path) -> None:
        self.task = task
        self.kernel = tmp_path / "kernel"
        for name in ("build.sh", "include/kedr/x.h", "probes/always.c", "one/Kbuild", "one/one.c"):
            path = self.kernel / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        self.cache = tmp_path / "cache"

    def __call__(self, said: Any, files: dict[str, bytes], log: str = "", **options: Any) -> dict[str, Any]:
        self.task.answer = RuntimeError("no trip was expected")
        if isinstance(said, Exception):
            self.task.answer = said
        elif said:
            self.task.answer = (f"v status 0\nv boot {BOOT}\ntext said\n{_bars(said)}.\ntext one.log\n{_bars(log)}.\n"
                                + _tar(files))
        facts = {**FACTS, "kernel_tree": "/lib/modules/6.12.1/build", "tools": {"make": True, "gcc": True, "ld": True}}
        return self.task("kmod_build", **{
            "facts": facts, "kernel_dir": str(self.kernel), "cache_dir": str(self.cache),
            "modules": [{"name": "one", "source": str(self.kernel / "one")}], **options})


def _bars(text: str) -> str:
    return "".join(f"|{line}\n" for line in text.splitlines())


def _tar(files: dict[str, bytes]) -> str:
    data = shell.make_tar(files)
    return f"file result.tar {len(data)}\n{data.decode('latin-1')}\n"


@pytest.fixture
def built(task: Task, tmp_path: pathlib.Path) -> Built:
    return Built(task, tmp_path)


GOOD = {"one/one.ko": b"ko", "symvers/one.symvers": b"s", "generated/kedr/config.h": b"h"}


def test_a_module_is_built_once_and_comes_from_the_cache_without_a_trip(built: Built) -> None:
    first = built("begin one\nbuilt one 3", GOOD)
    assert (first["changed"], first["round_trips"], first["modules"]["one"]["cached"]) == (True, 1, False)
    assert first["load"] == [{"name": "one", "ko": first["modules"]["one"]["ko"]}]
    assert (built.task.host_dir / "modules/one.ko").read_bytes() == b"ko"
    second = built("", {})
    assert (second["changed"], second["round_trips"], second["modules"]["one"]["cached"]) == (False, 0, True)
    assert second["load"] == first["load"]


def test_a_damaged_cache_entry_is_built_again(built: Built) -> None:
    path = pathlib.Path(built("built one 3", GOOD)["modules"]["one"]["ko"])
    path.write_bytes(b"k")
    assert built("built one 3", GOOD)["modules"]["one"]["cached"] is False
    assert path.read_bytes() == b"ko"


def test_the_probes_answer_is_sent_along_the_next_time(built: Built) -> None:
    built("built one 3", GOOD)
    (built.kernel / "one/one.c").write_text("changed")
    built("built one 3", GOOD)
    assert b"generated/kedr/config.h" not in built.task.calls[0].split(b"\nfinish\n", 1)[1]
    assert b"generated/kedr/config.h" in built.task.calls[1].split(b"\nfinish\n", 1)[1]


def test_a_module_that_does_not_compile_fails_with_the_compilers_lines_and_keeps_the_log(built: Built) -> None:
    log = "make: x\nmy.data:3:1: error: unknown type name 'x'\n"
    result = built("begin one\nfailed one", {}, log)
    assert result["kind"] == "FAIL"
    assert "my.data:3:1: error: unknown type name 'x'" in result["msg"]
    assert "make: x" not in result["msg"]
    assert "make: x" in (built.task.host_dir / "build.log").read_text()


@pytest.mark.parametrize(("said", "log", "words"), [
    ("broken-tree", "", "kernel tree"),
    ("failed one", "cc1: fatal error: No space left on device", "No space left"),
])
def test_a_broken_tree_and_a_full_disk_are_the_labs_fault(built: Built, said: str, log: str, words: str) -> None:
    result = built(said, {}, log)
    assert result["kind"] == "INFRA"
    assert words in result["msg"]


def test_without_a_kernel_tree_the_package_to_install_is_named(built: Built) -> None:
    result = built("", {}, facts=FACTS)
    assert (result["kind"], result["round_trips"]) == ("INFRA", 0)
    assert "apt install linux-headers-6.12.1" in result["msg"]


def test_without_a_compiler_the_package_to_install_is_named(built: Built) -> None:
    result = built("", {}, facts={**FACTS, "kernel_tree": "/lib/modules/x/build", "tools": {"make": True, "ld": True}})
    assert result["kind"] == "INFRA"
    assert "no gcc" in result["msg"]


def test_a_check_builds_nothing(built: Built) -> None:
    result = built("", {}, check=True)
    assert (result["changed"], result["msg"]) == (True, "would build one")
    assert not built.cache.exists()


@pytest.mark.parametrize("check", [False, True])
def test_nothing_is_built_on_a_host_that_is_no_test_host(built: Built, check: bool) -> None:
    built.task.inventory["kedr_test_host"] = False
    result = built("built one 1\n", GOOD, check=check)
    assert (result["refused"], result["kind"], built.task.calls) == (True, "SKIP", [])


def test_a_host_that_is_no_test_host_may_have_what_is_cached_or_built_elsewhere(
        built: Built, tmp_path: pathlib.Path) -> None:
    built("built one 1\n", GOOD)
    built.task.inventory["kedr_test_host"] = False
    assert built("", {})["modules"]["one"]["cached"] is True
    shutil.rmtree(built.cache)
    elsewhere = built("", {}, build_root=str(tmp_path))
    assert "no headers of kernel 6.12.1 in this build root" in elsewhere["msg"]


def test_a_build_root_that_cannot_be_entered_is_blamed_on_the_control_node(
        built: Built, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib/modules/6.12.1").mkdir(parents=True)
    (tmp_path / "unshare").write_text("#!/bin/sh\necho 'unshare: not permitted' >&2\nexit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    result = built("", {}, build_root=str(tmp_path))
    expected = f"{tmp_path}: cannot enter this build root on the control node: unshare: not permitted"
    assert (result["kind"], result["msg"].splitlines()) == ("INFRA", [expected, build_root.REMEDY])


def test_a_control_node_without_the_programs_for_a_build_root_is_told_what_to_do(
        built: Built, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib/modules/6.12.1").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = built("", {}, build_root=str(tmp_path))
    assert result["kind"] == "INFRA"
    assert "No such file" in result["msg"]
    assert build_root.REMEDY in result["msg"]


def test_a_source_without_a_kbuild_is_named(built: Built) -> None:
    (built.kernel / "one/Kbuild").unlink()
    assert "no Kbuild" in built("", {})["msg"]


def test_a_host_that_sends_no_module_though_it_built_one_is_not_believed(built: Built) -> None:
    result = built("built one 3", {"symvers/one.symvers": b"s"})
    assert result["kind"] == "INFRA"
    assert build.look_up(str(built.cache), "x") is None


def test_a_build_host_that_is_lost_is_not_taken_for_the_host_itself(built: Built) -> None:
    built.task.delegate_to = "builder"
    built.task.inventory["hostvars"] = {"builder": {"kedr_builder": True}}
    result = built(LOST, {})
    assert (result["kind"], built.task.steps[-1]["status"]) == ("INFRA", "failed")
    assert "lost contact with builder, which builds for this host" in result["msg"]


def test_the_boot_of_a_build_host_is_not_one_of_the_host(built: Built) -> None:
    built.task.delegate_to = "builder"
    built.task.inventory["hostvars"] = {"builder": {"kedr_builder": True}}
    assert built("built one 3", GOOD)["changed"] is True
    assert built.task.steps[-1]["boot"] == ""


@pytest.mark.parametrize("hostvars", [
    {}, {"builder": {}}, {"builder": {"kedr_builder": True, "ansible_facts": {"kedr_builder": True}}},
])
def test_only_a_host_that_the_inventory_itself_marks_builds_for_others(built: Built, hostvars: dict) -> None:
    built.task.delegate_to = "builder"
    built.task.inventory["hostvars"] = hostvars
    result = built("built one 3", GOOD)
    assert (result["kind"], built.task.calls) == ("INFRA", [])
    assert "set kedr_builder: true for it in the inventory" in result["msg"]


def test_modules_are_reported_as_loaded_or_already_there(task: Task) -> None:
    task.answer = "v changed zram\nv unchanged loop\n"
    result = task("kmod", modules=[{"name": "loop"}, {"name": "zram", "params": {"num_devices": 2}}], diff=True)
    assert (result["changed"], result["changed_modules"], result["unchanged_modules"]) == (True, ["zram"], ["loop"])
    assert result["diff"] == {"before": "loop: loaded\nzram: not loaded\n", "after": "loop: loaded\nzram: loaded\n"}
    assert b"load zram '' no '' '' num_devices=2\n" in task.calls[0]
    assert task.steps[0]["step"] == "load"


def test_the_file_of_a_module_of_the_host_is_kept_unpacked(task: Task, tmp_path: pathlib.Path) -> None:
    (tmp_path / "m.c").write_text('__attribute__((section(".modinfo"), used)) static char info[] = "srcversion=ABC";')
    subprocess.run(["gcc", "-c", "-o", tmp_path / "m.o", tmp_path / "m.c"], check=True)
    content = (tmp_path / "m.o").read_bytes()
    packed = gzip.compress(content)
    said = f"v changed zram\nv origin zram /lib/zram.ko.gz\nv identity zram ABC \nfile zram.ko {len(packed)}\n"
    task.answer = said + packed.decode("utf-8", "surrogateescape") + "\n"
    result = task("kmod", modules=[{"name": "zram"}])
    assert (result["no_file"], result["round_trips"]) == ({}, 1)
    assert (task.host_dir / "modules" / "zram.ko").read_bytes() == content


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "neither modinfo nor modules.dep"),
        ("v origin zram /x/zram.ko\nfile zram.ko 4\ntext\n", "/x/zram.ko of the host"),
    ],
)
def test_a_file_that_is_of_no_use_is_not_kept_and_the_step_says_why(task: Task, said: str, reason: str) -> None:
    task.answer = f"v changed zram\n{said}"
    result = task("kmod", modules=[{"name": "zram"}])
    assert result["changed"] is True
    assert reason in result["no_file"]["zram"]
    assert task.steps[0]["data"]["no_file"] == result["no_file"]
    assert not (task.host_dir / "modules").exists()


def test_a_refused_module_is_told_with_the_reason_its_meaning_and_the_kernels_lines(task: Task) -> None:
    task.answer = ("v refused one\ntext log\n|one: version magic '6.1' should be '6.12'\n.\nv failed FAIL\n"
                   "text reason\n|insmod: ERROR: could not insert module one.ko: Invalid module format\n.\n")
    result = task("kmod", modules=[{"name": "one"}])
    assert (result["kind"], result["module"]) == ("FAIL", "one")
    for words in ("Invalid module format", "another kernel", "version magic '6.1'"):
        assert words in result["msg"]
    assert task.steps[0]["data"]["kernel_log"] == "one: version magic '6.1' should be '6.12'"


def test_a_kernel_that_wants_a_signature_is_a_skip_that_says_what_to_do(task: Task) -> None:
    task.answer = ("v refused one\ntext log\n|Lockdown: insmod: unsigned module loading is restricted\n.\n"
                   "v failed FAIL\ntext reason\n|could not insert module one.ko: Operation not permitted\n.\n")
    result = task("kmod", modules=[{"name": "one"}])
    assert result["kind"] == "SKIP"
    assert "give kedr_signing_key and kedr_signing_cert" in result["msg"]


@pytest.mark.parametrize(("options", "words"), [
    ({"signing_key": "k.pem"}, "go together"),
    ({"signing_key": "k.pem", "signing_cert": "c.pem"}, "one: openssl cannot sign with"),
])
def test_a_module_that_cannot_be_signed_is_not_sent(
    task: Task, script: pathlib.Path, options: dict[str, str], words: str
) -> None:
    result = task("kmod", modules=[{"name": "one", "ko": str(script)}], **options)
    assert (result["kind"], task.calls) == ("INFRA", [])
    assert words in result["msg"]


def test_a_module_is_signed_here_and_the_key_is_not_sent(
    task: Task, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("ansible_collections.kedr.lab.plugins.action.kmod")
    monkeypatch.setattr(module.modules, "identity", lambda content: module.modules.Identity("", ""))
    sent: dict[str, bytes] = {}
    make_tar = module.shell.make_tar
    monkeypatch.setattr(module.shell, "make_tar", lambda files: sent.update(files) or make_tar(files))
    key, certificate, ko = (tmp_path / name for name in ("key.pem", "certificate.pem", "one.ko"))
    uefi.make_module_key(str(key), str(certificate))
    ko.write_bytes(b"ELF of one")
    task.answer = "v changed one\n"
    task("kmod", modules=[{"name": "one", "ko": str(ko)}], signing_key=str(key), signing_cert=str(certificate))
    assert sent == {"one.ko": signing.sign(b"ELF of one", str(key), str(certificate))}
    (program,) = task.calls
    assert b"key.pem" not in program
    assert b"PRIVATE KEY" not in program
    assert not [path for path in task.runs.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]


@pytest.mark.parametrize(("by", "options", "signed"), [
    (build.Builder("root", "/tree", "", True), {}, True),
    (build.Builder("host", "one", "ssh one 22", True), {}, True),
    (build.Builder("host", "one", "ssh one 22", False), {}, False),
    (build.Builder("host", "one", "ssh one 22", False), {"sign_untrusted": True}, True),
])
def test_what_an_unmarked_host_built_is_signed_only_if_that_risk_is_taken(
        task: Task, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, by: build.Builder, options: dict,
        signed: bool) -> None:
    ko = build.store(str(tmp_path), "k1", "one", {"one.ko": b"ELF of one"}, {"by": by._asdict()}).file("one.ko")
    monkeypatch.setattr(signing, "sign", mock.Mock(side_effect=KedrError("it came to signing")))
    result = task("kmod", modules=[{"name": "one", "ko": ko}], signing_key="k", signing_cert="c", **options)
    assert (result["kind"], task.calls) == ("INFRA", [])
    assert ("it came to signing" if signed else "kedr_sign_untrusted: true") in result["msg"]


@pytest.mark.parametrize(("users", "words"), [
    ("1 two,", "Module one is in use (use count 1, held by two)"), ("2 two,three,", "held by two, three)"),
    ("1 -", "(use count 1: something uses it that is not a module, such as a program that has its device"),
    ("0 -", "one was not unloaded: rmmod: ERROR: Module one is in use"),
])
def test_a_module_that_stays_is_told_with_its_users(task: Task, users: str, words: str) -> None:
    task.answer = f"v stuck one\nv users one {users}\ntext error-one\n|rmmod: ERROR: Module one is in use\n.\n"
    result = task("kmod", modules=[{"name": "one"}], state="absent")
    assert result["kind"] == "FAIL"
    assert words in result["msg"]
    assert task.steps[0]["step"] == "unload"


def test_a_load_that_could_not_be_undone_has_changed_the_host(task: Task) -> None:
    task.answer = "v refused two\nv not_undone one\nv failed FAIL\ntext reason\n|insmod: x\n.\n"
    result = task("kmod", modules=[{"name": "one"}, {"name": "two"}])
    assert result["changed"] is True
    assert "still loaded from this task: one" in result["msg"]


LOG = "text dmesg\n|<6>[1] old\n|<9>[2] kedr: run r1 begins\n|<3>[3] bad\n|<9>[4] kedr: run r1 ends\n.\n"


def test_letting_go_ends_the_run_in_the_kernel_log_and_brings_the_whole_of_it(task: Task) -> None:
    task.answer = COLLECTED + "text dmesg\n|<9>[2] kedr: run r1 begins\n.\n"
    task("trace_collect")
    task.answer = f"v boot {BOOT}\nv dropped yes\n{LOG}"
    result = task("hold", state="absent")
    assert (result["changed"], result["marker"], result["round_trips"]) == (True, True, 1)
    assert b"k_marker='kedr: run r1 ends'" in task.calls[-1]
    log = "<9>[2] kedr: run r1 begins\n<3>[3] bad\n<9>[4] kedr: run r1 ends\n"
    assert (task.host_dir / "dmesg.txt").read_text() == log
    step = task.steps[-1]
    assert (step["step"], step["status"]) == ("release", "ok")
    assert step["files"] == {"dmesg.txt": hashlib.sha256(log.encode()).hexdigest()}


@pytest.mark.parametrize("late", ["text dmesg\n|<6>[9] wrapped\n.\n", "v missing kernel log (denied)\n"])
def test_a_log_that_has_lost_the_beginning_of_the_run_replaces_none(task: Task, late: str) -> None:
    task.answer = COLLECTED + "text dmesg\n|<9>[2] kedr: run r1 begins\n|<3>[3] bad\n.\n"
    task("trace_collect")
    task.answer = f"v dropped yes\n{late}"
    result = task("hold", state="absent")
    assert (result.get("failed", False), result["marker"]) == (False, False)
    assert (task.host_dir / "dmesg.txt").read_text().endswith("<3>[3] bad\n")
    assert task.steps[-1]["files"] == {}
    assert task.steps[-1]["data"]["missing"] == (["kernel log (denied)"] if "missing" in late else [])


def test_unloading_brings_no_log_of_its_own(task: Task) -> None:
    task.answer = "v changed one\n"
    assert "kernel_log" not in task("kmod", modules=[{"name": "one"}], state="absent")
    assert "kernel_log" not in task.steps[0]["data"]


@pytest.mark.parametrize("about", [
    {"kernel_compiler": "Debian clang version 17.0.6 (++x)"}, {"config": ["CONFIG_CC_IS_CLANG"]},
])
@pytest.mark.parametrize("check", [False, True])
def test_nothing_is_built_for_a_kernel_that_clang_has_built(built: Built, about: dict[str, Any], check: bool) -> None:
    result = built("built one 3", GOOD, facts={**FACTS, **about}, check=check)
    assert (result["kind"], built.task.calls) == ("INFRA", [])
    assert "the kernel of this host was built with clang" in result["msg"]
    assert "use a kernel that was built with gcc" in result["msg"]
    assert ("clang 17.0.6;" in result["msg"]) is ("kernel_compiler" in about)


def test_a_host_that_forgets_a_module_is_not_believed(task: Task) -> None:
    task.answer = "v changed one\n"
    assert "account for every module" in task("kmod", modules=[{"name": "one"}, {"name": "two"}])["msg"]


def test_a_file_that_is_no_module_is_not_sent(task: Task, script: pathlib.Path) -> None:
    result = task("kmod", modules=[{"name": "one", "ko": str(script)}])
    assert (result["kind"], task.calls) == ("INFRA", [])
    assert "not an ELF file" in result["msg"]


@pytest.mark.parametrize("name", ["../x", "a b", "", "a;b"])
def test_a_name_that_no_module_can_have_is_refused(task: Task, name: str) -> None:
    assert "not a module name" in task("kmod", modules=[{"name": name}])["msg"]
    assert task.calls == []


def test_no_modules_are_no_trip(task: Task) -> None:
    assert task("kmod", modules=[])["changed"] is False
    assert task.calls == []


def test_a_check_asks_what_is_loaded_and_changes_nothing(task: Task) -> None:
    result = task("kmod", modules=[{"name": "no_such_module"}], check=True)
    assert result["changed_modules"] == ["no_such_module"]
    assert task("kmod", modules=[{"name": "no_such_module"}], state="absent", check=True)["changed"] is False
    assert task.steps == []


def test_the_evidence_is_kept(task: Task) -> None:
    task.answer = ("v stopped yes\ntext stats\n|== cpu0\n|entries: 1\n.\ntext trace\n|# tracer: nop\n.\ntext formats\n"
                   "|== a/b\n.\ntext sites\n|target cp_target\n.\ntext dmesg\n|[1] old\n|[2] kedr: run r1 begins\n"
                   "|[3] new\n.\nv taint 4096\ntext modules\n|cp_controller 1 0 -\n.\nv uptime 12.5\n"
                   "text calls\n|a/b 18446744073709551615\n.\n")
    result = task("trace_collect", events=["a:b"])
    kept = {path.name: path.read_text() for path in task.host_dir.iterdir()}
    assert kept["trace.txt"] == "# tracer: nop\n"
    assert kept["stats.txt"] == "== cpu0\nentries: 1\n"
    assert kept["formats.txt"] == "== a/b\n"
    assert kept["sites.txt"] == "target cp_target\n"
    assert kept["dmesg.txt"] == "[2] kedr: run r1 begins\n[3] new\n"
    assert json.loads(kept["end.json"]) == {
        "taint": 4096, "modules": ["cp_controller"], "kedr_modules_present": True, "marker": True,
        "trace_bytes": 14, "uptime": 12.5, "missing": [], "counters": 1}
    assert json.loads(kept["calls.json"]) == {"a/b": (1 << 64) - 1}
    assert result["changed"] is True


def test_evidence_that_is_not_there_is_no_file_and_no_failure(task: Task) -> None:
    task.answer = "v missing tracefs\nv missing kernel log (denied)\nv taint 0\ntext modules\n.\nv uptime 1.0\n"
    result = task("trace_collect")
    assert result["missing"] == ["tracefs", "kernel log (denied)"]
    assert not (task.host_dir / "trace.txt").exists()
    assert task.steps[0]["status"] == "ok"


@pytest.mark.parametrize("line", ["a/b", "a/b -1", "a/b 1 2", "a:b 1", "a/b 18446744073709551616", "a/b 1\n|a/b 1"])
def test_counters_that_are_none_are_the_labs_fault(task: Task, line: str) -> None:
    task.answer = f"text calls\n|{line}\n.\nv taint 0\ntext modules\n.\nv uptime 1.0\n"
    result = task("trace_collect", events=["a:b"])
    assert result["failed"] is True
    assert "counters of calls: line" in result["msg"]
    assert not (task.host_dir / "calls.json").exists()


def test_a_bad_check_fails_the_exercise_and_says_what_was_wrong(task: Task, script: pathlib.Path) -> None:
    script.write_text('echo check a ok\necho "check b bad got $WHAT"\ncat beside >&2\n')
    beside = script.with_name("beside")
    beside.write_text("from the file\n")
    result = task("exercise", script=str(script), files=[str(beside)], env={"WHAT": "it's 3"})
    assert result["kind"] == "FAIL"
    assert "check b: got it's 3" in result["msg"]
    assert "from the file" in result["msg"]


@pytest.mark.parametrize(("text", "words"), [
    ("true\n", "nothing was checked"), ("echo check a ok\nexit 4\n", "exit status 4"),
    ("sleep 30\n", "killed because its time was over (timeout: 1 s"),
    ("echo check a ok\nkill -9 $$\n", "killed by signal 9 after 0"),
    ("echo check a ok\nkill -9 $$\n", "out of memory? see dmesg.txt"),
    ("echo check a ok\nkill -11 $$\n", "ended by signal 11 after"),
    ("echo check a ok\nexit 124\n", "exit status 124"), ("echo check a ok\nexit 250\n", "exit status 250"),
])
def test_an_exercise_without_checks_or_good_end_fails(task: Task, script: pathlib.Path, text: str, words: str) -> None:
    script.write_text(text)
    assert words in task("exercise", script=str(script), timeout=1)["msg"]


def test_output_that_was_cut_is_a_failure_whatever_was_checked_before(task: Task, script: pathlib.Path) -> None:
    script.write_text("echo check a ok\nhead -c 1048600 /dev/zero | tr '\\0' x\necho\necho check data bad\n")
    result = task("exercise", script=str(script))
    assert result["kind"] == "FAIL"
    assert result["msg"] == "the exercise printed more than 1 MiB, of which the rest was cut"
    assert task.steps[0]["data"]["cut"] is True
    script.write_text("echo check a ok\n")
    task("exercise", script=str(script))
    assert "cut" not in task.steps[1]["data"]


def test_a_script_that_is_not_there_is_named(task: Task) -> None:
    assert "/nowhere/x.sh (a file of the exercise): cannot be read" in task("exercise", script="/nowhere/x.sh")["msg"]


def test_what_a_trace_needs_is_checked_before_a_trip(task: Task) -> None:
    for options in ({"instance": "../x"}, {"events": ["x"]}, {"clock": "a b"}, {"buffer_size_kb": 0}):
        assert task("trace", **options)["kind"] == "INFRA"
    assert task.calls == []


def test_a_trace_is_reported_with_what_changed(task: Task) -> None:
    task.answer = "v tracing_dir /sys/kernel/tracing/instances/kedr\nv instance yes\nv changed instance kedr\n"
    result = task("trace", events=["sched:sched_switch"])
    assert (result["changed"], result["changes"], result["instance"]) == (True, ["instance kedr"], True)
    assert result["tracing_dir"] == "/sys/kernel/tracing/instances/kedr"
    assert [step["step"] for step in task.steps] == ["trace"]


def test_a_trace_shows_its_difference_when_asked(task: Task) -> None:
    task.answer = "v changed hash-ptr\nv before hash-ptr: 1\nv after hash-ptr: 0\n"
    assert task("trace", diff=True)["diff"] == {"before": "hash-ptr: 1\n", "after": "hash-ptr: 0\n"}
    assert "diff" not in task("trace")


@pytest.mark.parametrize("state", ["present", "absent"])
def test_loading_and_unloading_have_a_time_limit(task: Task, state: str) -> None:
    assert task("kmod", modules=[{"name": "x"}], timeout=0)["kind"] == "INFRA"
    task.answer = "v unchanged x\n"
    task("kmod", modules=[{"name": "x"}], state=state)
    task("kmod", modules=[{"name": "x"}], state=state, timeout=7)
    assert [b"k_timeout=120\n" in task.calls[0], b"k_timeout=7\n" in task.calls[1]] == [True, True]


PACKAGES = "v release 6.1\nv lacking make\nv manager apt\nv wanted make\nv boot_next \nv manager_seconds 7\n"


def test_packages_that_came_are_told_and_recorded(task: Task) -> None:
    task.answer = PACKAGES + "text installed\n|make:amd64 4.4-1\n.\n"
    result = task("host_packages")
    assert (result["changed"], result["installed"], result["manager_seconds"]) == (True, ["make:amd64 4.4-1"], 7)
    assert task.steps[0]["data"]["installed"] == ["make:amd64 4.4-1"]
    assert b"k_upgrade=no" in task.calls[0]
    assert b"linux-headers-{release}" in task.calls[0]


def test_a_host_that_lacks_nothing_is_not_changed(task: Task) -> None:
    task.answer = "v release 6.1\n"
    result = task("host_packages")
    assert (result["changed"], result["wanted"], result["boot"], result["round_trips"]) == (False, [], "", 1)


def test_a_failure_tells_what_was_installed_all_the_same(task: Task) -> None:
    task.answer = PACKAGES + "v failed INFRA\ntext reason\n|the disk is full\n.\ntext installed\n|make 4\n.\n"
    result = task("host_packages")
    assert (result["failed"], result["changed"], result["msg"]) == (True, True, "the disk is full")


def test_a_check_foretells_packages(task: Task) -> None:
    task.answer = PACKAGES + "v absent headers\n"
    result = task("host_packages", check=True)
    assert result["changed"] is True
    assert "nothing for headers" in result["msg"]
    assert "would install make" in result["msg"]
    assert b"k_check=yes" in task.calls[0]


def test_a_table_with_a_mistake_is_named_before_anything_is_sent(task: Task, tmp_path: pathlib.Path) -> None:
    (tmp_path / "p.yml").write_text("families:\n  - name: x\n")
    result = task("host_packages", packages=str(tmp_path / "p.yml"))
    assert (result["kind"], task.calls) == ("INFRA", [])
    assert "p.yml:2: " in result["msg"]


BOOTS = ["aaaaaaaa-1", "aaaaaaaa-1", "lost", "bbbbbbbb-2"]


@pytest.fixture
def booting(task: Task, monkeypatch: pytest.MonkeyPatch):
    """A host that answers a reboot with BOOTS, one per question, and then with the kernel `release`."""
    module = importlib.import_module("ansible_collections.kedr.lab.plugins.action.host_reboot")
    monkeypatch.setattr(module, "PAUSE", 0)
    execute, boots = task.execute, iter(BOOTS)

    def answered(command: str, in_data: bytes) -> dict[str, Any]:
        boot = next(boots, BOOTS[-1])
        task.answer = (AnsibleConnectionFailure("refused") if boot == "lost" else
                       f"v release {'6.2' if boot == BOOTS[-1] else '6.1'}\nv boot {boot}\n")
        return execute(command, in_data)

    task.execute = answered
    return task


def test_a_reboot_waits_for_another_boot_through_lost_connections(booting: Task) -> None:
    result = booting("host_reboot", release="6.2")
    assert (result["changed"], result["before"], result["release"], result["round_trips"]) == (True, "6.1", "6.2", 4)
    assert [b"k_reboot=yes" in call for call in booting.calls] == [True, False, False, False]
    assert [step["status"] for step in booting.steps] == ["ok"]


def test_a_host_that_comes_back_with_another_kernel_is_told(booting: Task) -> None:
    result = booting("host_reboot", release="6.3")
    assert (result["failed"], result["kind"]) == (True, "INFRA")
    assert "came back with kernel 6.2 and not with 6.3" in result["msg"]


def test_a_host_that_does_not_reboot_is_told(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("ansible_collections.kedr.lab.plugins.action.host_reboot")
    monkeypatch.setattr(module, "PAUSE", 0.2)
    task.answer = "v release 6.1\nv boot aaaaaaaa-1\n"
    result = task("host_reboot", timeout=1)
    assert (result["failed"], result["kind"]) == (True, "INFRA")
    assert "did not come back within 1 s" in result["msg"]


def test_a_check_reboots_nothing(task: Task) -> None:
    task.answer = "v release 6.1\nv boot aaaaaaaa-1\n"
    result = task("host_reboot", check=True, release="6.2")
    assert result["msg"] == "would reboot the host into 6.2"
    assert b"k_reboot=no" in task.calls[0]


def test_only_modules_without_a_signature_have_to_be_taken_unsigned(task: Task, tmp_path: pathlib.Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("ansible_collections.kedr.lab.plugins.action.kmod")
    monkeypatch.setattr(module.modules, "identity", lambda content: module.modules.Identity("", ""))
    (tmp_path / "signed.ko").write_bytes(b"ELF ~Module signature appended~\n")
    (tmp_path / "plain.ko").write_bytes(b"ELF")
    task.answer = ("v failed SKIP\ntext reason\n|module.sig_enforce is on\n.\n")
    modules = [{"name": name, "ko": str(tmp_path / f"{name}.ko")} for name in ("signed", "plain")]
    result = task("kmod", modules=[*modules, {"name": "of_the_host"}])
    assert b"\nneed_signed plain\n" in task.calls[0]
    assert (result["failed"], result["kind"], result["msg"]) == (True, "SKIP", "module.sig_enforce is on")
    assert [(step["status"], step["kind"]) for step in task.steps] == [("failed", "SKIP")]


def test_a_check_says_what_would_be_loaded_and_that_signatures_are_wanted(task: Task) -> None:
    task.answer = "v loaded one\nv unsigned module.sig_enforce is on\n"
    result = task("kmod", modules=[{"name": "one"}, {"name": "two"}], check=True)
    assert result["msg"] == "would load two; module.sig_enforce is on: only signed modules are loaded"
