# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the control node knows of a guest is kept once, and nothing is made up."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.lab import kept as guests

HOST = "debian13"


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "run" / HOST).mkdir(parents=True)
    return tmp_path / "run"


def test_the_state_and_the_console_of_a_guest_are_kept_once(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    console = tmp_path / "console"
    console.write_text("booting\n")
    info = {"embedded": True, "console": str(console), "pid": 1, "pidfile": str(tmp_path / "none")}
    guests.keep_guest(str(run), HOST, info)
    console.write_text("another run\n")
    guests.keep_guest(str(run), HOST, {**info, "pid": os.getpid(), "pidfile": ""})
    kept = {"bytes": 8, "sha256": hashlib.sha256(b"booting\n").hexdigest()}
    assert json.loads((run / HOST / "guest.json").read_text()) == {"alive": False, "console": kept}
    assert (run / HOST / "console.log").read_text() == "booting\n"
    assert (run / HOST / "console.log").stat().st_mode & 0o777 == 0o600


def test_a_guest_without_a_console_is_kept_without(run: pathlib.Path) -> None:
    guests.keep_guest(str(run), HOST, {"embedded": True})
    assert json.loads((run / HOST / "guest.json").read_text()) == {"alive": None, "console": {}}


def test_a_process_that_is_not_qemu_is_not_the_guest(tmp_path: pathlib.Path) -> None:
    pidfile = tmp_path / "pid"
    pidfile.write_text(f"{os.getpid()}\n")
    assert guests.guest_alive(0, str(pidfile)) is False
    assert guests.guest_alive(os.getpid(), str(pidfile)) is False


@pytest.mark.parametrize("pid", [0, None, -1, True, "17"])
def test_a_guest_whose_pid_file_has_vanished_is_not_known_to_be_dead(tmp_path: pathlib.Path, pid: object) -> None:
    assert guests.guest_alive(pid, str(tmp_path / "none")) is None
    assert guests.guest_alive(pid, "") is None


@pytest.mark.parametrize("text", ["", "no number", "-5", "9" * 40])
def test_a_pid_file_that_names_no_process_says_nothing(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert not guests.guest_alive(0, str(tmp_path / "pid"))


def test_a_running_qemu_is_the_guest_even_without_its_pid_file(tmp_path: pathlib.Path) -> None:
    pidfile = str(tmp_path / "pid")
    command = ["/usr/bin/qemu-system-x86_64", "-c", "import time; time.sleep(60)", "-pidfile", pidfile]
    with subprocess.Popen(command, executable=sys.executable) as process:
        (tmp_path / "pid").write_text(f"{process.pid}\n")
        while not pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes():
            time.sleep(0.01)  # a program that is being started has no words yet
        assert guests.guest_alive(0, pidfile) is True
        (tmp_path / "pid").unlink()
        assert guests.guest_alive(process.pid, pidfile) is True
        process.kill()
        process.wait()
        assert guests.guest_alive(process.pid, pidfile) is False
