# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that looks for what is around it, and a QEMU that has been taken over by its guest."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.guest import Guest
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cache import ensure_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.lab import Lab
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.places import cache_root
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.qemu import qmp_quit, wait_gone
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.spec import GuestSpec

REACH = "timeout 10 bash -c 'exec 3<>/dev/tcp/{}/{}' 2>/dev/null && echo reached || echo refused"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with one guest as it is built when nothing else is asked for."""
    cache = cache_root("", os.environ)
    spec = GuestSpec.load({"name": "shut"}, {})
    ensure_image(spec.image, cache, print)
    made = Lab(str(tmp_path_factory.mktemp("lab")), cache, print)
    made.start([spec], "auto", "", 600)
    yield made
    made.stop()


@pytest.fixture
def guest(lab: Lab) -> Guest:
    (found,) = lab.guests()
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)


def in_guest(lab: Lab, guest: Guest, command: str) -> str:
    return run(*lab.access.command(guest.port), command).stdout.strip()


def status(guest: Guest) -> dict[str, str]:
    lines = pathlib.Path(f"/proc/{guest.pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in lines)}


def test_a_guest_that_takes_logins_reaches_no_service_of_the_control_nodes_loopback(lab: Lab, guest: Guest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        service.setblocking(False)
        answer = in_guest(lab, guest, REACH.format("10.0.2.2", service.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            service.accept()
    assert answer == "refused"
    assert in_guest(lab, guest, REACH.format("127.0.0.1", 22)) == "reached", "the question itself must work"


def test_a_guest_reaches_no_forwarded_port_of_a_guest(lab: Lab, guest: Guest) -> None:
    assert in_guest(lab, guest, REACH.format("10.0.2.2", guest.port)) == "refused"


def test_a_guest_reaches_no_name_server_through_the_control_node(lab: Lab, guest: Guest) -> None:
    ask = "ip route get 10.0.2.3 >/dev/null && timeout 20 busybox nslookup -type=a localhost 10.0.2.3 2>&1"
    assert "timed out" in in_guest(lab, guest, ask)


def test_qemu_is_not_root_and_can_gain_nothing(guest: Guest) -> None:
    found = status(guest)
    assert {name: found[name] for name in ("Seccomp", "NoNewPrivs")} == {"Seccomp": "2", "NoNewPrivs": "1"}
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0
    assert "0" not in found["Uid"].split() + found["Gid"].split() + found["Groups"].split()


def test_a_qemu_that_is_taken_over_cannot_reach_the_files_of_its_lab(lab: Lab, guest: Guest) -> None:
    look = f"ls {lab.directory}; cat {guest.tree}/etc/shadow; cat /proc/1/environ; echo >>{guest.pidfile}"
    identity = status(guest)
    person = ["--reuid", identity["Uid"].split()[0], "--regid", identity["Gid"].split()[0], "--clear-groups"]
    told = run("setpriv", *person, "sh", "-c", look)
    assert told.stdout == ""
    assert told.stderr.count("denied") == 4, told.stderr


def test_qemu_ends_when_it_is_asked_to(guest: Guest) -> None:
    assert guest.running
    assert qmp_quit(guest.qmp)
    assert wait_gone(guest.pid, guest.pidfile, 10)
