# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on real guests: data files in, a judged trace out."""

from __future__ import annotations

import json
import os
import subprocess
import uuid

import jsonschema
import pytest
from guests import DATA, OURS, ROOT, Lab, Run, Verify, loaded_modules

PAYLOADS = [str(DATA / f"my_payload{number}.data") for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def first_run(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Verify(tmp_path_factory.mktemp("verify") / "runs")(lab)


def test_both_guests_are_ok_and_the_exit_status_says_so(first_run: Run) -> None:
    verdicts = {host: row["verdict"] for host, row in first_run.results.items()}
    assert verdicts == {"one": "OK", "two": "OK"}, first_run.output
    assert first_run.status == 0


def test_the_results_follow_the_published_schema(first_run: Run) -> None:
    schema = json.loads((ROOT / "schemas" / "results.schema.json").read_text())
    jsonschema.validate(json.loads((first_run.directory / "results.json").read_text()), schema)


def test_every_expected_call_site_is_patched(first_run: Run) -> None:
    for row in first_run.results.values():
        assert row["sites"], row
        for function, sites in row["sites"].items():
            assert sites["call"] + sites["jmp"] == sites["expected"], (row["host"], function)
        assert row["sites"]["__kmalloc"]["expected"] >= 2
        assert row["sites"]["copy_from_user"]["expected"] >= 1


def test_the_trace_shows_the_calls_with_arguments_and_result(first_run: Run) -> None:
    trace = (first_run.directory / "one" / "trace.txt").read_text()
    assert "called___kmalloc: __kmalloc(4000, " in trace
    assert "in init: 1" in trace
    assert "called_copy_from_user: " in trace
    events = first_run.results["one"]["events"]
    assert events["called_down_interruptible"] == events["called_up"] > 0


def test_nothing_is_lost_and_nothing_is_left_loaded(first_run: Run, lab: Lab) -> None:
    for host, row in first_run.results.items():
        assert row["lost"] == 0
        assert row["splats"] == []
        assert not loaded_modules(lab, host).intersection(OURS)
        assert "kedr" not in lab.ssh(host, "ls /sys/kernel/tracing/instances")


def test_a_host_takes_at_most_twelve_round_trips(first_run: Run) -> None:
    for host in first_run.results:
        assert sum(step["round_trips"] for step in first_run.steps(host)) <= 12


def test_the_run_directory_is_private(first_run: Run) -> None:
    for path in (first_run.directory / "one").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0 or path.is_symlink(), path


def test_a_second_run_builds_nothing(first_run: Run, lab: Lab, verify: Verify) -> None:
    again = verify(lab, limit="one")
    assert again.status == 0, again.output
    builds = [step for step in again.steps("one") if step["step"] == "build"]
    assert builds
    assert all(step["round_trips"] == 0 for step in builds)
    assert all(module["cached"] for step in builds for module in step["data"]["modules"].values())


def test_a_changed_data_file_rebuilds_only_its_payload(first_run: Run, lab: Lab, verify: Verify, payload_copy) -> None:
    never_seen = f"copy_{uuid.uuid4().hex}("  # the cache of modules may hold what an earlier run of this test built
    changed = payload_copy("my_payload2.data", "copy_from_user(", never_seen)
    run = verify(lab, limit="one", kedr_payloads=[PAYLOADS[0], str(changed), PAYLOADS[2]])
    rebuilt = {
        name
        for step in run.steps("one")
        if step["step"] == "build"
        for name, module in step["data"]["modules"].items()
        if not module["cached"]
    }
    assert rebuilt == {"my_payload2"}, run.output


def test_a_machine_in_a_file_of_ones_own_is_shown_before_anything_is_loaded_into_it(
    lab: Lab, verify: Verify, clean_host: str, tmp_path
) -> None:
    """The guest as a machine that is there already, chosen by the group of its distribution."""
    ours = {"kedr_embedded", "kedr_console", "kedr_qemu_pidfile", "ansible_connection"}
    machine = {name: value for name, value in lab.hosts[clean_host].items() if name not in ours}
    of_row = {name: machine.pop(name) for name in ("ansible_host", "ansible_port", "ansible_user", "kedr_test_host")}
    about = {"kernel": "6.12 x86_64", "arch": "x86_64", "group": "base", "why": "a machine of mine"}
    rows = [{"name": "fedora-box", "system": "Fedora 43", **about, "remote": of_row},
            {"name": "leap-box", "system": "openSUSE Leap 15.6", **about, "remote": {"ansible_host": "192.0.2.1"}}]
    mine = Lab(tmp_path, {})
    mine.inventory.write_text(json.dumps({"plugin": "kedr.lab.systems", "systems": rows}))
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars/fedora-box.json").write_text(json.dumps(machine))
    run = verify(mine, limit="fedora")
    assert {host: row["verdict"] for host, row in run.results.items()} == {"fedora-box": "OK"}, run.output
    facts = json.loads((run.directory / "fedora-box" / "facts.json").read_text())
    shown = f"marked as a test host; kernel {facts['release']} ({facts['build']}), taint {facts['taint']}, "
    said = " ".join(run.output.split())
    assert shown + f"{len(facts['modules'])} modules loaded, up for {int(facts['uptime'])} s" in said
    assert said.index(shown) < said.index("Load the controller, then the payloads")


def test_the_host_needs_no_python(lab: Lab) -> None:
    assert lab.ssh("one", "ls /usr/bin/python* /usr/local/bin/python*", check=False) == ""


def test_the_guests_keep_kaslr_and_listen_on_loopback_only(lab: Lab) -> None:
    assert "nokaslr" not in lab.ssh("one", "cat /proc/cmdline")
    first = lab.ssh("one", "grep ' T _text$' /proc/kallsyms")
    second = lab.ssh("two", "grep ' T _text$' /proc/kallsyms")
    assert first != second
    assert {hostvars["ansible_host"] for hostvars in lab.hosts.values()} == {"127.0.0.1"}


def test_the_installed_collection_offers_the_playbook_by_name(lab: Lab, verify: Verify, tmp_path) -> None:
    collections = str(tmp_path / "collections")
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": collections, "ANSIBLE_FORCE_COLOR": "0"}
    env.pop("ANSIBLE_CONFIG", None)

    def galaxy(*arguments: str) -> None:
        subprocess.run(["ansible-galaxy", "collection", *arguments], cwd=tmp_path, env=env, check=True, timeout=300)

    galaxy("build", str(ROOT), "--output-path", str(tmp_path))
    (archive,) = tmp_path.glob("kedr-lab-*.tar.gz")
    galaxy("install", str(archive), "--collections-path", collections, "--no-deps")
    done = subprocess.run(
        ["ansible-playbook", "kedr.lab.verify", *verify.argv(lab, "two", {})[1:]],
        cwd=tmp_path,
        env=env,
        text=True,
        capture_output=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((verify.runs / "latest" / "results.json").read_text())[0]["verdict"] == "OK"
