# SPDX-License-Identifier: GPL-3.0-or-later
"""What a payload tries while it is built in a root tree of the control node: its Kbuild runs any command it likes."""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.host import build_root
from ansible_collections.kedr.lab.plugins.plugin_utils.host.shell import Call
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cache import ensure_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import DebianSpec
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.places import cache_root

ROOT = pathlib.Path(__file__).resolve().parents[2]
CANARY = "kedr-canary-9f31c2"
LEFT = "kedr-was-here"
STAYS = "31415.9"  # seconds for which the process sleeps that wants to stay
TRIED = 1500  # processes that the bomb starts
KBUILD = (
    "ifeq ($(wildcard /tmp/{name}),)\n$(shell touch /tmp/{name}; sh $(src)/{name}.sh >&2)\nendif\nobj-m := {name}.o\n"
)
EMPTY = '#include <linux/module.h>\n\nMODULE_LICENSE("GPL");\n'
STEAL = '{empty}asm(".section .data\\n.incbin \\"{path}\\"\\n.previous");\n'
REACH = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
    struct sockaddr_in loopback = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
    struct sockaddr_un named = { .sun_family = AF_UNIX };
    size_t length = strlen(argv[2]);

    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(named.sun_path + 1, argv[2], length);
    printf("attack loopback: %d\n", connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&loopback, sizeof(loopback)));
    printf("attack abstract: %d\n", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&named,
        offsetof(struct sockaddr_un, sun_path) + 1 + length));
    printf("attack memory: %d\n", mmap(NULL, 3UL << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        -1, 0) == MAP_FAILED ? -1 : 0);
    return argc != 3;
}
"""
ATTACK = """
say() {{ echo "attack $1: $2"; }}
gcc -include stddef.h -o /tmp/reach {directory}/reach.c && /tmp/reach {port} {name}
say user "$(id -u):$(id -g):$(id -G)"
say privileges "$(sed -n 's/^\\(CapEff\\|NoNewPrivs\\):\t//p' /proc/self/status | tr '\\n' ' ')"
say canaries "$(cat /proc/[0-9]*/root{canary} {canary} 2>/dev/null | sort -u)"
say processes "$(ls -d /proc/[0-9]* | wc -l)"
say environment "$(env | cut -d= -f1 | sort | tr '\\n' ' ')"
say variable "$(cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | sed -n 's/^KEDR_CANARY=//p' | sort -u)"
say devices "$(ls /dev | tr '\\n' ' ')"
touch /{left} /usr/lib/{left} /lib/modules/*/build/{left} /proc/fs/{left} 2>/dev/null && say written yes
mount -t tmpfs tmpfs /mnt 2>/dev/null && say mounted yes
unshare --user true 2>/dev/null && say namespace yes
say file "$(dd if=/dev/zero of=/tmp/big bs=1M seek=600 count=1 2>/dev/null && echo made)"
say room "$(df -k /tmp | awk 'NR > 1 {{ print $2 }}')"
setsid sleep {stays} >/dev/null 2>&1 </dev/null &
"""
BOMB = """
i=0
while [ $i -lt {tried} ]; do
    sleep 8 >/dev/null 2>&1 &
    i=$((i + 1))
    echo "attack started: $i"
done
"""


class Attacked(NamedTuple):
    """What the attacks answered, what was built, and the tree and the place of the canary."""

    answers: dict[str, str]
    built: dict[str, bytes]
    tree: pathlib.Path
    canary: pathlib.Path
    log: str


@pytest.fixture(scope="module")
def tree() -> pathlib.Path:
    """Return the root tree of the lab's default image."""
    return pathlib.Path(ensure_image(DebianSpec.load({}), cache_root("", os.environ), print)["tree"])


def write_module(place: pathlib.Path, name: str, source: str, program: str = "", **files: str) -> dict[str, str]:
    """Write the sources of a module whose Kbuild runs a program of sh; returns its row for kmod_build."""
    (place / name).mkdir()
    (place / name / "Kbuild").write_text(KBUILD.format(name=name))
    texts = {f"{name}.c": source, f"{name}.sh": program, **{f"{stem}.c": text for stem, text in files.items()}}
    for path, text in texts.items():
        (place / name / path).write_text(text)
    return {"name": name, "source": str(place / name)}


def write_kernel(place: pathlib.Path) -> str:
    """Copy what every build needs, with one probe instead of all."""
    for folder in ("include", "probes"):
        (place / "kernel" / folder).mkdir(parents=True)
    for path in ("build.sh", "probes/always.c"):
        (place / "kernel" / path).write_text((ROOT / "kernel" / path).read_text())
    (place / "kernel" / "probes" / "Kbuild").write_text("obj-m := always.o\n")
    return str(place / "kernel")


def build(place: pathlib.Path, tree: pathlib.Path, modules: list[dict[str, str]]) -> str:
    """Build modules by a playbook; returns the log."""
    release = next((tree / "lib/modules").iterdir()).name
    options = {
        "facts": {"release": release}, "kernel_dir": write_kernel(place), "cache_dir": str(place / "cache"),
        "build_root": str(tree), "run_dir": str(place / "run"), "modules": modules,
    }  # fmt: skip
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"kedr.lab.kmod_build": options}]}
    (place / "play.json").write_text(json.dumps([play]))
    variables = "ansible_connection=local kedr_test_host=true"
    command = ["ansible-playbook", "-i", "victim,", "-e", variables, str(place / "play.json")]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "KEDR_CANARY": CANARY}, capture_output=True, text=True, check=False
    )
    log = place / "run" / "victim" / "build.log"
    assert log.exists(), done.stdout + done.stderr
    return log.read_text()


@pytest.fixture(scope="module")
def attacked(tree: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """Build a module whose Kbuild tries everything, modules that include the canary, and a bomb of processes."""
    place = tmp_path_factory.mktemp("attacked")
    canary = place / "canary"
    canary.write_text(CANARY)
    canary.chmod(0o600)
    with socket.socket() as loopback, socket.socket(socket.AF_UNIX) as abstract:
        loopback.bind(("127.0.0.1", 0))
        loopback.listen()
        abstract.bind("\0" + place.name)
        abstract.listen()
        program = ATTACK.format(
            directory="$(dirname $0)",
            port=loopback.getsockname()[1],
            name=place.name,
            canary=canary,
            left=LEFT,
            stays=STAYS,
        )
        modules = [write_module(place, "attack", EMPTY, program, reach=REACH)]
        ways = {"by_process": f"/proc/{os.getpid()}/root", "by_first": "/proc/1/root", "by_path": ""}
        for name, root in ways.items():
            modules.append(write_module(place, name, STEAL.format(empty=EMPTY, path=f"{root}{canary}")))
        modules.append(write_module(place, "bomb", EMPTY, BOMB.format(tried=TRIED)))
        log = build(place, tree, modules)
    assert "attack user:" in log, log
    try:
        yield Attacked(
            dict(re.findall(r"^attack (\w+): ?(.*)$", log, re.MULTILINE)),
            {path.stem: path.read_bytes() for path in place.rglob("*.ko")},
            tree, canary, log,
        )  # fmt: skip
    finally:
        for left in [*tree.glob(LEFT), *tree.glob(f"usr/lib/{LEFT}"), *tree.glob(f"usr/src/*/{LEFT}")]:
            left.unlink()


def sleeping() -> list[int]:
    """Return the processes that sleep for as long as the one that wants to stay."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if STAYS.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def sleepers() -> list[int]:
    """Return the processes that go on sleeping: one that was killed may take a moment to go."""
    for _moment in range(100):
        if not sleeping():
            break
        time.sleep(0.1)
    return sleeping()


def test_a_module_is_built_though_its_kbuild_attacks(attacked: Attacked) -> None:
    assert "begin attack\nbuilt attack " in attacked.log
    assert attacked.built["attack"].startswith(b"\x7fELF")


def test_a_build_runs_as_a_user_without_privileges(attacked: Attacked) -> None:
    user = attacked.answers["user"].split(":")[0]
    assert int(user) > 1000
    assert attacked.answers["user"] == f"{user}:{user}:{user}"
    assert attacked.answers["privileges"].split() == ["0" * 16, "1"]


@pytest.mark.parametrize("way", ["by_process", "by_first", "by_path"])
def test_a_module_cannot_include_a_file_of_root(attacked: Attacked, way: str) -> None:
    assert f"begin {way}\nfailed {way}\n" in attacked.log
    assert not [content for content in attacked.built.values() if CANARY.encode() in content]


def test_a_command_of_a_build_finds_neither_files_nor_variables_of_the_control_node(attacked: Attacked) -> None:
    assert (attacked.answers["canaries"], attacked.answers["variable"]) == ("", "")
    assert attacked.canary.read_text() == CANARY
    assert "KEDR_CANARY" not in attacked.answers["environment"].split()


def test_a_build_sees_its_own_processes_only(attacked: Attacked) -> None:
    assert 1 < int(attacked.answers["processes"]) < 30


def test_a_build_has_no_devices_but_those_that_hold_nothing(attacked: Attacked) -> None:
    assert attacked.answers["devices"].split() == "fd full null random stderr stdin stdout urandom zero".split()


def test_a_build_reaches_no_service_of_the_control_node(attacked: Attacked) -> None:
    assert (attacked.answers["loopback"], attacked.answers["abstract"]) == ("-1", "-1")


def test_a_build_cannot_mount_nor_make_namespaces(attacked: Attacked) -> None:
    assert not {"mounted", "namespace"} & set(attacked.answers)


def test_a_build_writes_nothing_into_the_tree(attacked: Attacked) -> None:
    assert "written" not in attacked.answers
    assert not [path for path in ("", "usr/lib", "usr/src") if list((attacked.tree / path).glob(f"**/{LEFT}"))]


def test_no_process_of_a_build_outlives_it(attacked: Attacked) -> None:
    left = sleepers()
    for number in left:
        os.kill(number, 9)
    assert left == []


def test_memory_files_and_processes_of_a_build_have_limits(attacked: Attacked) -> None:
    assert (attacked.answers["memory"], attacked.answers["file"]) == ("-1", "")
    assert int(attacked.answers["room"]) <= 1 << 20
    assert 100 < int(attacked.answers["started"]) < TRIED


def test_a_build_that_answers_without_end_is_stopped(tree: pathlib.Path) -> None:
    with pytest.raises(KedrError, match="answered more than 8 MiB, and nothing of it was taken"):
        build_root.run(str(tree), Call("echo kedr-begin n; exec cat /dev/zero", b"", "n"), 60, 8 << 20)


def test_a_build_without_end_is_stopped_with_all_that_it_started(tree: pathlib.Path) -> None:
    with pytest.raises(KedrError, match="did not end within 2 s"):
        build_root.run(str(tree), Call(f"setsid sleep {STAYS} & trap '' TERM; sleep {STAYS}", b"", ""), 2, 8 << 20)
    assert sleepers() == []
