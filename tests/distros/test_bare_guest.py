# SPDX-License-Identifier: GPL-3.0-or-later
"""Role host on a real guest that has no Python, and at first nothing to build a module with."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator

import guests
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.lab_image import apt_proxy_options
from guests import Lab, Verify, start_lab, stop_lab

guests.STEP_LIMIT = 1800  # on a busy machine an emulated one takes minutes to unpack headers

PURGE = """
export DEBIAN_FRONTEND=noninteractive
apt-get -q -y purge "linux-headers-$(uname -r)" gcc make libc6-dev
rm -f /etc/apt/sources.list.d/*
sed -i '/-updates /d' /etc/apt/sources.list
cat >/etc/apt/apt.conf.d/00-test
"""
"""Takes away what builds modules, but not what is behind gcc: on an emulated processor that only takes time."""

PROGRAMS = "for name in python python3 gcc make; do command -v $name; done; true"
TREES = "ls -d /lib/modules/*/build/Makefile /usr/include/stdio.h 2>/dev/null; true"


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[Lab]:
    """A Debian 13 guest as the lab makes it, from which compiler, make and headers are taken."""
    started = start_lab(tmp_path / "lab", [{"name": "bare", "memory": 1536}])
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    options = ['Acquire::Languages "none";', *apt_proxy_options(dump)]
    started.ssh("bare", PURGE, stdin="\n".join(options).encode(), limit=900)
    yield started
    stop_lab(started)


def test_a_guest_without_python_gets_all_that_it_lacks_from_its_mirror_and_is_verified(
    lab: Lab, tmp_path: pathlib.Path
) -> None:
    """Everything by sh: the packages are Debian's, from the mirror in the guest's sources.list."""
    assert lab.ssh("bare", PROGRAMS) == ""
    assert lab.ssh("bare", TREES) == ""

    run = Verify(tmp_path / "runs")(lab, kedr_build_root="", host_install_packages=True)
    assert run.results["bare"]["verdict"] == "OK", run.output
    steps = [step for step in run.steps("bare") if step["step"] in ("facts", "packages")]
    assert [(step["step"], step["round_trips"]) for step in steps] == [("facts", 1), ("packages", 1), ("facts", 1)]
    told = steps[1]["data"]
    assert (set(told["lacking"]), told["manager"]) == ({"headers", "compiler", "make", "libc"}, "apt")
    release = lab.ssh("bare", "uname -r").strip()
    names = {line.split()[0].split(":")[0] for line in told["installed"]}
    assert {f"linux-headers-{release}", "gcc", "make", "libc6-dev"} <= names
    assert not {name for name in names if name.startswith("python")}
    assert lab.ssh("bare", PROGRAMS) == "/usr/bin/gcc\n/usr/bin/make\n"
