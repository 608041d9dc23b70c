# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the end-to-end tests: labs with real guests, and playbooks run on them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import signal
import subprocess
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
STEP_LIMIT = 600  # seconds that any one playbook may take before the test is given up; tests of slow guests set it


@dataclasses.dataclass
class Lab:
    """A lab directory with its guests and an inventory."""

    directory: pathlib.Path
    hosts: dict[str, dict]

    @property
    def inventory(self) -> pathlib.Path:
        return self.directory / "inventory.yml"

    def ssh(self, host: str, command: str, check: bool = True, stdin: bytes = b"", limit: float = 120) -> str:
        """Run one shell command on a guest for at most `limit` seconds; return what it printed."""
        hostvars = self.hosts[host]
        argv = ["ssh", "-p", str(hostvars["ansible_port"]), "-i", hostvars["ansible_ssh_private_key_file"]]
        argv += shlex.split(hostvars["ansible_ssh_common_args"])
        argv += [f"root@{hostvars['ansible_host']}", command]
        done = subprocess.run(argv, input=stdin, capture_output=True, check=check, timeout=limit)
        return done.stdout.decode()


@dataclasses.dataclass
class Run:
    """What one verify run left."""

    status: int
    output: str
    directory: pathlib.Path

    @property
    def results(self) -> dict[str, dict]:
        rows = json.loads((self.directory / "results.json").read_text())
        return {row["host"]: row for row in rows}

    def steps(self, host: str) -> list[dict]:
        lines = (self.directory / host / "steps.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def playbook(*arguments: str, lab: pathlib.Path, limit: float = 0) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook in the checkout for a lab directory, for at most `limit` seconds, else STEP_LIMIT."""
    return subprocess.run(
        ["ansible-playbook", *arguments],
        cwd=ROOT,
        env={**os.environ, "KEDR_LAB_DIR": str(lab), "ANSIBLE_FORCE_COLOR": "0"},
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        timeout=limit or STEP_LIMIT,
        check=False,
    )


def start_lab(directory: pathlib.Path, guests: list[dict], boot_limit: int = 300) -> Lab:
    """Bring a lab up; the guests are rows of the variable lab_guests. They boot in at most so many seconds."""
    variables = json.dumps({"lab_guests": guests, "lab_timeout": boot_limit})
    done = playbook("playbooks/lab_up.yml", "-e", variables, lab=directory, limit=STEP_LIMIT + boot_limit)
    assert done.returncode == 0, done.stdout + done.stderr
    inventory = yaml.safe_load((directory / "inventory.yml").read_text())
    return Lab(directory, inventory["kedr_guests"]["hosts"])


def stop_lab(lab: Lab) -> None:
    done = playbook("playbooks/lab_down.yml", lab=lab.directory)
    assert done.returncode == 0, done.stdout + done.stderr


class Verify:
    """Runs playbooks/verify.yml, or another one that makes a run, against a lab."""

    def __init__(self, runs: pathlib.Path, name: str = "verify") -> None:
        self.runs = runs
        self.name = name

    def argv(self, lab: Lab, limit: str | None, variables: dict) -> list[str]:
        argv = [f"playbooks/{self.name}.yml", "-i", str(lab.inventory)]
        if limit:
            argv += ["--limit", limit]
        return [*argv, "-e", json.dumps({"kedr_runs_dir": str(self.runs), **variables})]

    def __call__(self, lab: Lab, limit: str | None = None, **variables: object) -> Run:
        done = playbook(*self.argv(lab, limit, variables), lab=lab.directory)
        return Run(done.returncode, done.stdout + done.stderr, (self.runs / "latest").resolve())

    def start(self, lab: Lab, limit: str | None = None, **variables: object) -> subprocess.Popen:
        """Start a run in a process group of its own, so that it can be interrupted like from a terminal."""
        return subprocess.Popen(
            ["ansible-playbook", *self.argv(lab, limit, variables)],
            cwd=ROOT,
            env={**os.environ, "KEDR_LAB_DIR": str(lab.directory), "ANSIBLE_FORCE_COLOR": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for_step(self, host: str, step: str) -> None:
        """Wait until the newest run recorded a step of a host."""
        end = time.monotonic() + STEP_LIMIT
        while time.monotonic() < end:
            steps = self.runs / "latest" / host / "steps.jsonl"
            if steps.exists() and f'"step": "{step}"' in steps.read_text():
                return
            time.sleep(0.05)
        raise AssertionError(f"step {step} of {host} never came")

    def finish(self, process: subprocess.Popen, limit: float = 0) -> Run:
        output, _stderr = process.communicate(timeout=limit or STEP_LIMIT)
        return Run(process.returncode, output, (self.runs / "latest").resolve())

    def interrupt(self, process: subprocess.Popen) -> Run:
        """Press Ctrl-C until the run ends.

        ansible-core loses one that comes while it forks: "Exception ignored in ... _afterFork ... KeyboardInterrupt".
        """
        for _press in range(STEP_LIMIT // 15):
            os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.finish(process, 15)
        raise AssertionError("Ctrl-C does not end the run")


def loaded_modules(lab: Lab, host: str) -> set[str]:
    return {line.split()[0] for line in lab.ssh(host, "cat /proc/modules").splitlines()}


OURS = ("cp_target", "my_payload3", "my_payload2", "my_payload1", "cp_controller")
"""Our modules, in the order to unload them."""


def play(lab: Lab, directory: pathlib.Path, host: str, **task: dict) -> tuple[int, str]:
    """Run one action of the collection on a host: `task` is its name and its options. Returns status and output."""
    name, options = next(iter(task.items()))
    path = directory / f"{name}.yml"
    path.write_text(yaml.safe_dump([{"hosts": host, "gather_facts": False, "tasks": [{f"kedr.lab.{name}": options}]}]))
    done = playbook("-i", str(lab.inventory), str(path), lab=lab.directory)
    return done.returncode, done.stdout + done.stderr
