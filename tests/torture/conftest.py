# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the torture: one guest with two processors for each kernel, with everything built for it."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex
import subprocess
from collections.abc import Callable, Iterator

import pytest
import yaml
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import load_policy
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.splats import Splat, scan
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.initramfs import read_module
from guests import DATA, ROOT, Lab, playbook, start_lab, stop_lab

HERE = pathlib.Path(__file__).parent
GUEST = "torture"
PLACE = "/tmp/torture"
PAYLOADS = ("my_payload1", "my_payload2", "my_payload3")
IN_TREE = ("zram", "loop", "dummy")
LIMIT = 3600
"""Seconds that one scenario may take before it is given up."""

BOOT_LIMIT = 1800
"""Seconds in which a guest must boot: the checkers make a busy machine's guest very slow."""

GUESTS = {
    "stock": {"memory": 1024},
    "debug": {"memory": 2048},
}
"""By kernel: the distribution's own one, and the one that scripts/debug-kernel.sh builds."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kernel", choices=sorted(GUESTS), action="append", help="torture only this kernel")
    parser.addoption("--rounds", type=int, help="rounds of every scenario, in place of its own number")


@dataclasses.dataclass
class Verdict:
    """What one scenario said: the words of its verdict, and everything it printed."""

    ok: bool
    figures: dict[str, int]
    output: str


@dataclasses.dataclass
class Torture:
    """A guest on which the torture program and its modules lie."""

    kernel: str
    lab: Lab

    def ssh(self, command: str) -> str:
        return self.lab.ssh(GUEST, command)

    def run(self, scenario: str, rounds: int) -> Verdict:
        """Run a scenario to its end; a guest that dies leaves no verdict, and one that hangs ends the test."""
        command = f"cd {PLACE} && ./torture {shlex.quote(scenario)} {rounds} 2>&1"
        output = self.lab.ssh(GUEST, command, check=False, limit=LIMIT)
        words = [line.split() for line in output.splitlines() if line.startswith(f"verdict {scenario} ")]
        if not words:
            return Verdict(False, {}, output)
        figures = {name: int(number) for word in words[-1][3:] for name, number in [word.split("=")]}
        return Verdict(words[-1][2] == "ok", figures, output)

    def complaints_since(self, marker: str) -> list[Splat]:
        """What the serial console, which loses nothing, holds against the kernel since a mark in its log."""
        policy = load_policy(str(DATA / "splats.yml"))
        console = pathlib.Path(self.lab.hosts[GUEST]["kedr_console"]).read_text(errors="replace")
        seen = scan(console.splitlines(), policy, marker)
        assert seen.marker, f"the console does not hold the mark {marker!r}"
        assert seen.total == len(seen.splats), "more complaints than are kept"
        return seen.splats

    def mark(self, text: str) -> None:
        self.ssh(f"echo {shlex.quote('<1>' + text)} >/dev/kmsg")

    def leaks(self) -> str:
        """What kmemleak holds for lost since the last call; it is asked twice, as a first look may be too early."""
        scans = "echo scan >kmemleak; sleep 6; echo scan >kmemleak; cat kmemleak; echo clear >kmemleak"
        return self.ssh(f"set -e; cd /sys/kernel/debug; {scans}")


def image_of(kernel: str) -> dict:
    """The image of a kernel's guest."""
    if kernel == "stock":
        return {}
    script = str(ROOT / "scripts/debug-kernel.sh")
    done = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=True)
    return {"kernel_tree": done.stdout.strip()}


def build_modules(lab: Lab, directory: pathlib.Path) -> dict[str, pathlib.Path]:
    """Build the controller, the payloads and the target for the guest; returns their files by name."""
    kernel = str(ROOT / "kernel")
    data = [str(DATA / f"{name}.data") for name in PAYLOADS]
    modules = [{"name": "cp_controller", "source": f"{kernel}/controller"}]
    modules += [
        {"name": name, "source": f"{{{{ rendered.sources.{name} }}}}", "needs": ["cp_controller"]} for name in PAYLOADS
    ]
    modules += [{"name": "cp_target", "source": f"{kernel}/target"}]
    build = {"facts": "{{ read.facts }}", "kernel_dir": kernel, "cache_dir": os.environ["KEDR_CACHE"]}
    build["build_root"] = "{{ kedr_build_root }}"
    render = {"payloads": data, "facts": "{{ read.facts }}", "dest": str(directory / "sources")}
    tasks = [
        {"kedr.lab.kernel_facts": {"payloads": data}, "register": "read"},
        {"kedr.lab.payload_render": render, "register": "rendered"},
        {"kedr.lab.kmod_build": {**build, "modules": modules}, "register": "built"},
        {"ansible.builtin.copy": {"content": "{{ built.modules | to_json }}", "dest": str(directory / "built.json")},
         "delegate_to": "localhost"},
    ]  # fmt: skip
    path = directory / "build.yml"
    path.write_text(yaml.safe_dump([{"hosts": GUEST, "gather_facts": False, "tasks": tasks}]))
    done = playbook("-i", str(lab.inventory), str(path), lab=lab.directory)
    assert done.returncode == 0, done.stdout + done.stderr
    built = yaml.safe_load((directory / "built.json").read_text())
    return {name: pathlib.Path(module["ko"]) for name, module in built.items()}


def build_program(directory: pathlib.Path) -> pathlib.Path:
    """Compile the program that runs in the guest; static, so that it runs in any."""
    program = directory / "torture"
    sources = [str(path) for path in sorted((HERE / "guest").glob("*.c"))]
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", f"-I{ROOT / 'kernel/target'}"]
    done = subprocess.run(["gcc", *flags, "-o", str(program), *sources], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def put(lab: Lab, name: str, content: bytes) -> None:
    lab.ssh(GUEST, f"mkdir -p {PLACE} && cat >{PLACE}/{name} && chmod 755 {PLACE}/{name}", stdin=content)


def put_in_tree_modules(lab: Lab) -> None:
    """Put the kernel's own modules beside ours, unpacked; what they need is loaded and stays."""
    names = " ".join(IN_TREE)
    lab.ssh(GUEST, f"modprobe -a {names} && for m in {names}; do rmmod $m; done")
    for name in IN_TREE:
        path = lab.ssh(GUEST, f"modinfo -n {name}").strip()
        put(lab, f"{name}.ko", read_module(lab.hosts[GUEST]["kedr_build_root"] + path))


def start_guest(kernel: str, directory: pathlib.Path) -> Torture:
    """Start a guest of this kernel with two processors, with the torture program and the modules on it."""
    guest = {"name": GUEST, "cpus": 2, "image": image_of(kernel), **GUESTS[kernel]}
    lab = start_lab(directory / "lab", [guest], boot_limit=BOOT_LIMIT)
    try:
        for name, path in build_modules(lab, directory).items():
            put(lab, f"{name}.ko", path.read_bytes())
        put(lab, "torture", build_program(directory).read_bytes())
        put_in_tree_modules(lab)
        lab.ssh(GUEST, "mount -t tracefs tracefs /sys/kernel/tracing; mount -t debugfs debugfs /sys/kernel/debug; true")
    except BaseException:
        stop_lab(lab)
        raise
    return Torture(kernel, lab)


@pytest.fixture(scope="session")
def torture_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Torture]]:
    """Gives the guest of a kernel. Only one runs at a time: another kernel ends the one before."""
    running: list[Torture] = []

    def guest_of(kernel: str) -> Torture:
        if running and running[0].kernel != kernel:
            stop_lab(running.pop().lab)
        if not running:
            running.append(start_guest(kernel, tmp_path_factory.mktemp(kernel)))
        return running[0]

    yield guest_of
    for each in running:
        stop_lab(each.lab)
