# SPDX-License-Identifier: GPL-3.0-or-later
"""Every program that the project starts comes from a package that scripts/packages.sh installs for who starts it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from started import Python, Shell
from test_project_rules import ROOT, project_files, text_of

ALWAYS_THERE = set(
    # of packages that every Debian has, because they are essential or because these need them
    "bash cat chown chroot cp cut dash date dirname dpkg-deb dpkg-query du env find flock grep id install ln ls mkdir "
    "mktemp mount mv nice nsenter prlimit readlink rm rmdir sed setpriv sh sha256sum sleep sort stat tail tar tee "
    "timeout touch tr true umount unshare xargs "
    # of what the user chose: who has no make starts nothing here, and the scripts say so where another one is missing
    "apt-config apt-get make podman python3 sudo".split()
)
IN_ENVIRONMENTS = set(
    "ansible ansible-builder ansible-galaxy ansible-inventory ansible-playbook ansible-test python".split()
)
"""Of requirements/*.txt; scripts/venv.sh makes environments of them."""
ON_HOSTS = set(
    # of POSIX, or of the packages that bring the kernel's modules, and thus in every system and in busybox
    "awk cat chmod chroot cksum comm cp cut date dd dmesg grep gzip head id insmod ip ln ls mkdir mknod modprobe "
    "mount mv nohup od readlink rm rmdir rmmod sed setsid sh sha256sum sleep sort strip tail tar taskset tee tr "
    "true uname wc "
    # looked for before they are started, or named by the facts of the host or in the documentation of an exercise
    "bash blockdev busybox chronyc dnf dnf5 dpkg-query gcc getconf kmod losetup make nbd-client nbd-server nft "
    "nproc rpm timeout zstd zypper".split()
)
"""What sh programs may start on test hosts, where nothing may be required that the documentation does not name."""
HOSTS = tuple(
    "plugins/plugin_utils/host/sh plugins/plugin_utils/lab/sh kernel data/exercise roles tests/bench/calls "
    "tests/distros/files tests/fleet/files tests/integration/targets tests/torture/kernel".split()
)
"""The folders of such programs; some run in stand-ins and in build roots."""
STAND_INS_IN_UNIT_TESTS = {"mke2fs", "mmdebstrap"}
"""Programs of plugins that no unit test starts: where one gets there, something stands in."""
NEVER_THERE = {"no-such-program"}
UNIT = "scripts/test/unit.sh"
SERVES = {
    "plugins": "scripts/matrix.sh", "bin": "scripts/venv.sh", ".ci": "scripts/test.sh",
    "scripts/guests.sh": "scripts/verify.sh", "scripts/cloud_disk.py": "scripts/matrix.sh",
    "scripts/test/ansible-test.sh": "scripts/test/integration.sh",
    "scripts/test/ansible-versions.sh": UNIT,
}  # fmt: skip
"""File, or first folder -> script that installs packages for it, where its name does not say which."""


def table() -> dict[str, tuple[set[str], set[str]]]:
    """Return package -> (groups, programs) of scripts/packages.txt."""
    rows = [line.split("|") for line in text_of(Path("scripts/packages.txt")).splitlines() if not line.startswith("#")]
    return {package.strip(): (set(groups.split()), set(programs.split())) for package, groups, programs in rows}


def asked(script: str) -> set[str]:
    """Return the words that a script gives to packages.sh, also by way of setup.sh and of lib.sh."""
    text = text_of(Path(script))
    lines = re.findall(r'(?m)(?:/packages\.sh"?|^ready \w+) ([\w .+-]+)', text)
    by_setup = re.search(r"(?m)/setup\.sh|^ready_for_guests ", text)
    return {word for line in lines for word in line.split()} | ({"lab"} if by_setup else set())


def server(path: Path) -> str:
    """Return the script that installs what the file `path` needs."""
    for name in (str(path), path.parts[0]):
        if name in SERVES:
            return SERVES[name]
    if path.parts[0] == "tests" and len(path.parts) > 2:
        own = f"scripts/test/{path.parts[1]}.sh"
        return own if (ROOT / own).is_file() else f"scripts/{path.parts[1]}.sh"
    return str(path) if path.parts[0] == "scripts" else UNIT


def installed(groups: set[str]) -> set[str]:
    return {program for of, programs in table().values() if of & groups for program in programs}


def is_sh(path: Path) -> bool:
    begun = text_of(path).startswith(("#!/bin/sh", "#!/usr/bin/env bash"))
    return path.suffix == ".sh" or (begun and path.suffix != ".py")


@cache
def shells() -> dict[Path, set[str]]:
    """Return file -> what it names where a command may stand, without the functions of any file."""
    texts = {path: Shell(text_of(path).split("\n\'\'\'\n")[0]) for path in project_files() if is_sh(path)}
    functions = set().union(*(text.functions() for text in texts.values()))
    return {path: text.programs() - functions for path, text in texts.items()}


def on_hosts(path: Path) -> bool:
    return str(path).startswith(HOSTS)


@cache
def readers() -> dict[Path, Python]:
    folders = {"plugins", "scripts", "tests"}
    return {
        path: Python(text_of(path))
        for path in project_files()
        if path.suffix == ".py" and path.parts[0] in folders
    }


@cache
def pythons() -> dict[Path, set[str]]:
    """Return file -> the programs that it starts, or that it names for another file to start."""
    return {
        path: {name for name, _line in reader.started()} | (set() if path.parts[0] == "tests" else reader.listed())
        for path, reader in readers().items()
    }


def unknown(started: dict[Path, set[str]]) -> list[str]:
    """Return "file: program" for each program that the packages for that file do not bring."""
    known = ALWAYS_THERE | IN_ENVIRONMENTS | NEVER_THERE
    return [
        f"{path}: {program} is not in a package of scripts/packages.txt that {server(path)} asks for"
        for path, programs in started.items()
        for program in sorted(programs - known - installed(asked(server(path))))
        if not (server(path) == UNIT and program in STAND_INS_IN_UNIT_TESTS)
    ]


def test_every_program_that_python_code_starts_is_installed_for_it() -> None:
    assert unknown(pythons()) == []


def test_programs_are_started_only_in_ways_that_are_read_here() -> None:
    assert {str(path): reader.odd() for path, reader in readers().items() if reader.odd()} == {}


def test_a_missing_program_is_told_with_the_package_that_scripts_install() -> None:
    told = set().union(*(reader.tools() for path, reader in readers().items() if path.parts[0] == "plugins"))
    assert len(told) > 5
    known = {package: programs for package, (_groups, programs) in table().items()}
    assert [(name, package) for name, package in told - {("sudo", "sudo, or run as root")}
            if package not in known or not {name} - {""} <= known[package]] == []


def test_every_program_that_scripts_start_is_installed_for_them() -> None:
    assert unknown({path: programs for path, programs in shells().items() if not on_hosts(path)}) == []


def test_unit_tests_have_every_program_of_plugins_that_nothing_stands_in_for() -> None:
    of_plugins = set().union(*(names for path, names in pythons().items() if path.parts[0] == "plugins"))
    assert of_plugins - ALWAYS_THERE - IN_ENVIRONMENTS - installed({"unit"}) - STAND_INS_IN_UNIT_TESTS == set()
    assert of_plugins >= STAND_INS_IN_UNIT_TESTS


def test_sh_programs_ask_no_more_of_a_host_than_a_system_has() -> None:
    started = {path: names - ON_HOSTS for path, names in shells().items() if on_hosts(path)}
    assert len(started) > 20
    assert {str(path): names for path, names in started.items() if names} == {}


def test_every_group_of_packages_is_asked_for_and_every_word_asked_for_is_a_group_or_a_package() -> None:
    scripts = [path for path in project_files() if path.parts[0] == "scripts" and is_sh(path)]
    words = set().union(*(asked(str(path)) for path in scripts))
    groups = set().union(*(of for of, _programs in table().values()))
    assert groups - words == set()
    assert {word for word in words - groups if not word.startswith("python")} == set()


@pytest.mark.parametrize(("text", "programs"), [
    ("subprocess.run(['a', 'b'])", "a"),
    ("subprocess.Popen([*WORDS, 'b'])\nWORDS = ('a', 'c')", "a"),
    ("def f(x):\n    subprocess.run(x)\nf(['a'])\nf(g())\ndef g():\n    return ['c', 'd']", "a c"),
    ("shutil.which('a') or find_tool('b', 'c')", "a b"),
    ("[w for w in ('a', 'b') if shutil.which(w)]", "a b"),
    ("os.spawnlp(os.P_WAIT, 'a', 'b')\nos.execvp('c', [])", "a c"),
    ("subprocess.run('a | b', shell=True)", "a b"),
    ("subprocess.run(['sh', '-c', 'exec a'])", "a sh"),
    ("subprocess.run(['nice', '-n', '5', 'a', 'b'])\nsubprocess.run(['unshare', '-m', *words])\nwords = ['c', 'd']",
     "a c nice unshare"),
    ("run(['a'])\nsubprocess.run([sys.executable, 'b'])", ""),
])
def test_programs_are_found_in_python(text: str, programs: str) -> None:
    assert {name for name, _line in Python(text).started()} == set(programs.split())


@pytest.mark.parametrize(("text", "programs"), [
    ("run(['a', '-b'])", "a"), ("['a', x, '--long', *y]", "a"), ("['a', 'b']", ""), ("[a, '-b']", ""),
    ("['A', '-b']", ""), ("choices = ['a', 'b-c']", ""), ("[]", ""),
])
def test_argument_lists_are_known_by_their_options(text: str, programs: str) -> None:
    assert Python(text).listed() == set(programs.split())


@pytest.mark.parametrize(("text", "odd"), [
    ("import os\nos.system('a')", "os.system"), ("from subprocess import run", "run"),
    ("import subprocess\nsubprocess.run(['a'])", ""), ("from subprocess import PIPE", ""),
])
def test_a_way_to_start_programs_that_is_not_read_is_found(text: str, odd: str) -> None:
    assert Python(text).odd() == set(odd.split())


@pytest.mark.parametrize(("text", "programs"), [
    ("a b | c && d || e; f", "a c d e f"),
    ("if ! a; then b; elif c; then d; else e; fi", "a b c d e"),
    ("case $x in\n a | b) c ;;\n *) d ;;\nesac", "c d"),
    ('x=$(a "$(b)") y=\'$(n)\' c "d $(e | f)"', "a b c e f"),
    ("cat <<END\na b\nEND\nc", "cat c"),
    ("# a\nexec nice -n 5 b >c 2>&1", "b nice"),
    ("f() { a; }\nf $((b + 1))", "a"),
    ("(a; b) | c", "a b c"),
])
def test_programs_are_found_in_sh(text: str, programs: str) -> None:
    assert Shell(text).programs() == set(programs.split())
