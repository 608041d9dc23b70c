# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults put into whole runs on guests: two faults at a time, one on each guest of the lab."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import yaml
from faults import Fault
from guests import OURS, ROOT, Lab, Run, Verify, loaded_modules

USUAL = ROOT / "roles" / "cp_target" / "files" / "exercise.sh"
CUT = """
p=$PPID
doomed=
while [ "$p" -gt 1 ]; do
    above=$(awk '/^PPid:/ { print $2 }' /proc/$p/status)
    case $above:$(cat /proc/$p/comm) in 1:*) ;; *:sshd*) doomed="$doomed $p" ;; esac
    p=$above
done
kill -KILL $doomed
"""
"""Ends the connection through which the exercise runs, from within: sshd's processes above it but the one of init."""
LIMIT = 400
"""Seconds after which a run is given up as one that hangs."""


class NotPutIn(AssertionError):
    """A fault cannot be put in, since what it changes is not there."""


def code_with(change: dict[str, Any], place: pathlib.Path) -> dict[str, str]:
    """Variables by which a run takes a copy of kernel/ in which one text, wherever it stands, is another one."""
    kernel = place / "kernel"
    shutil.copytree(ROOT / "kernel", kernel)
    for one in change["changes"]:
        path = kernel / one["file"]
        text = path.read_text()
        if one["old"] not in text:
            raise NotPutIn(f"kernel/{one['file']} does not hold {one['old']!r}")
        path.write_text(text.replace(one["old"], one["new"]))
    return {"cp_controller_kernel_dir": str(kernel), "payloads_kernel_dir": str(kernel),
            "payload_templates": str(kernel / "templates")}  # fmt: skip


def script_with(given: dict[str, Any], place: pathlib.Path) -> dict[str, str]:
    """Variables by which a run takes the usual exercise with something before or behind it."""
    path = place / "exercise.sh"
    after = given.get("after", "").replace("{cut}", CUT)
    path.write_text(given.get("before", "") + USUAL.read_text() + after)
    return {"kedr_exercise": str(path)}


def variables(fault: Fault, place: pathlib.Path) -> dict[str, Any]:
    """What the inventory says of the host on which a fault is put in."""
    place.mkdir(parents=True)
    told = dict(fault.given.get("vars", {}))
    if "changes" in fault.given:
        told.update(code_with(fault.given, place))
    if "before" in fault.given or "after" in fault.given:
        told.update(script_with(fault.given, place))
    return told


def inventory(lab: Lab, told: dict[str, dict[str, Any]], path: pathlib.Path) -> Lab:
    """A lab whose inventory says so much more of these hosts, and has no other."""
    hosts = {name: {**lab.hosts[name], **about} for name, about in told.items()}
    path.mkdir(parents=True)
    (path / "inventory.yml").write_text(yaml.safe_dump({"kedr_guests": {"hosts": hosts}}))
    return dataclasses.replace(lab, directory=path, hosts=hosts)


@contextlib.contextmanager
def prepared(lab: Lab, host: str, fault: Fault) -> Iterator[None]:
    """The guest as the fault wants it, and afterwards as it was."""
    if "host" in fault.given:
        lab.ssh(host, fault.given["host"])
    try:
        yield
    finally:
        if "undo" in fault.given:
            lab.ssh(host, fault.given["undo"], check=False)


def run_pair(lab: Lab, pair: list[tuple[str, Fault]], place: pathlib.Path) -> tuple[Run, bool]:
    """One run on the guests of the pair, each with its fault.  Returns it, and whether it had to be given up."""
    told = {host: variables(fault, place / host) for host, fault in pair}
    verify = Verify(place / "runs")
    with contextlib.ExitStack() as stack:
        for host, fault in pair:
            stack.enter_context(prepared(lab, host, fault))
        process = verify.start(inventory(lab, told, place / "lab"))
        for host, fault in pair:
            if "signal" in fault.given:
                stack.enter_context(signalled(lab, verify, host, fault.given["signal"], process))
        try:
            return verify.finish(process, LIMIT), False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return verify.finish(process, 60), True


@contextlib.contextmanager
def signalled(lab: Lab, verify: Verify, host: str, given: dict[str, Any], process: subprocess.Popen) -> Iterator[None]:
    """The guest's QEMU gets a signal after a step; one that was stopped goes on when the run has ended."""
    with open(lab.hosts[host]["kedr_qemu_pidfile"]) as pidfile:
        pid = int(pidfile.read())
    wait_for_step(verify, host, given["after"], process)
    os.kill(pid, getattr(signal, given["name"]))
    try:
        yield
    finally:
        if given["name"] == "SIGSTOP":
            os.kill(pid, signal.SIGCONT)


def wait_for_step(verify: Verify, host: str, step: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < end:
        steps = verify.runs / "latest" / host / "steps.jsonl"
        if steps.exists() and f'"step": "{step}"' in steps.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"step {step} of {host} never came")


def left_on(lab: Lab, host: str) -> str:
    """What of ours is left on a guest: modules, trace instances, the hold, programs."""
    modules = loaded_modules(lab, host).intersection(OURS)
    other = lab.ssh(host, "ls -d /sys/kernel/tracing/instances/kedr* /run/kedr-hold /tmp/kedr-* 2>/dev/null; true")
    return " ".join([*sorted(modules), *other.split()])


def clean(lab: Lab, host: str) -> None:
    """Take away what a run left on a guest, so that the next fault finds it as it was."""
    lab.ssh(host, f"for m in {' '.join(OURS)}; do rmmod $m 2>/dev/null; done; rm -f /run/kedr-hold; "
                  "for i in /sys/kernel/tracing/instances/kedr*; do rmdir $i 2>/dev/null; done; true")  # fmt: skip
