# SPDX-License-Identifier: GPL-3.0-or-later
"""Role host on a real guest that has no Python, and at first nothing to build a module with."""

from __future__ import annotations

import pathlib
import subprocess
import tarfile
from collections.abc import Iterator

import guests
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import apt_proxy_options
from guests import Lab, Run, Verify, start_lab, stop_lab
from standins import FILES, python36

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


BUILD = """\
mkdir /tmp/m && cd /tmp/m && echo 'obj-m := m.o' >Kbuild
printf '#include <linux/module.h>\\nMODULE_LICENSE("GPL");\\nMODULE_DESCRIPTION("m");\\n' >m.c
make -s -C "/lib/modules/$(uname -r)/build" M=/tmp/m modules >&2 && ls m.ko
"""
"""Builds a module with what was installed."""
PYTHON = "mkdir -p /standin/python; tar xzf - -C /standin; install -m 755 /standin/python.sh /usr/bin/python3"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A Debian 13 guest as the lab makes it, from which compiler, make and headers are taken."""
    bare = {"name": "bare", "memory": 1536, "network": "open"}
    started = start_lab(tmp_path_factory.mktemp("bare") / "lab", [bare])
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    options = ['Acquire::Languages "none";', *apt_proxy_options(dump)]
    started.ssh("bare", PURGE, stdin="\n".join(options).encode(), limit=900)
    yield started
    stop_lab(started)


@pytest.fixture(scope="module")
def fresh(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Run:
    assert lab.ssh("bare", PROGRAMS) == ""
    assert lab.ssh("bare", TREES) == ""
    return Verify(tmp_path_factory.mktemp("fresh"))(lab, host_install_packages=True)


def test_a_guest_without_python_gets_all_that_it_lacks_from_its_mirror_and_is_verified(lab: Lab, fresh: Run) -> None:
    """Everything by sh: the packages are Debian's, from the mirror in the guest's sources.list."""
    assert fresh.results["bare"]["verdict"] == "OK", fresh.output
    steps = [step for step in fresh.steps("bare") if step["step"] in ("facts", "packages")]
    assert [(step["step"], step["round_trips"]) for step in steps] == [("facts", 1), ("packages", 1), ("facts", 1)]
    told = steps[1]["data"]
    assert (set(told["lacking"]), told["manager"]) == ({"headers", "compiler", "make", "libc"}, "apt")
    assert f"apt installed {len(told['installed'])} packages in {told['manager_seconds']} s" in fresh.output
    release = lab.ssh("bare", "uname -r").strip()
    names = {line.split()[0].split(":")[0] for line in told["installed"]}
    assert {f"linux-headers-{release}", "gcc", "make", "libc6-dev"} <= names
    assert not {name for name in names if name.startswith("python")}
    assert lab.ssh("bare", PROGRAMS) == "/usr/bin/gcc\n/usr/bin/make\n"
    assert lab.ssh("bare", BUILD, limit=600) == "m.ko\n"


def test_the_same_guest_with_python_3_6_is_verified_in_the_same_round_trips_and_nobody_asks_for_it(
    lab: Lab, fresh: Run, tmp_path: pathlib.Path
) -> None:
    """Prepared as it is now. The Python is pyenv's where there is one, else a program that only says so."""
    lab.ssh("bare", PYTHON, stdin=packed_python(tmp_path / "python.tar.gz"))
    assert lab.ssh("bare", "python3 --version").startswith("Python 3.6.")
    run = Verify(tmp_path / "runs")(lab, host_install_packages=True)
    assert run.results["bare"]["verdict"] == "OK", run.output
    before = [(step["step"], step["round_trips"]) for step in fresh.steps("bare")]
    first = before.index(("packages", 1))
    assert [(step["step"], step["round_trips"]) for step in run.steps("bare")] == before[:first] + before[first + 2 :]
    assert lab.ssh("bare", "cat /standin/python-called") == "--version\n"


def packed_python(path: pathlib.Path) -> bytes:
    """Return a packed folder with python.sh, and with Python 3.6 where this machine has one."""
    unwanted = ("config-", "ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tkinter", "__pycache__")

    def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if any(part.startswith(unwanted) for part in member.name.split("/")) else member

    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(FILES / "python.sh", "python.sh")
        if home := python36():
            archive.add(home / "bin/python3.6", "python/bin/python3.6")
            for library in (*home.glob("lib/libpython3*.so*"), home / "lib/python3.6"):
                archive.add(library, f"python/lib/{library.name}", filter=wanted)
    return path.read_bytes()
