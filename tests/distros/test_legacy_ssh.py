# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that speaks only the SSH of 2009 to 2012: a real sshd that is restricted to such algorithms."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from trees import tree

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = pathlib.Path(__file__).parent / "files"
TREE = tree(pathlib.Path(os.environ["KEDR_CACHE"]), "old-ssh")
LIMIT = 600

KINDS = {
    "group1-rsa": ("diffie-hellman-group1-sha1", "ssh-rsa", "3des-cbc", "hmac-sha1"),
    "group14-rsa": ("diffie-hellman-group14-sha1", "ssh-rsa", "aes128-cbc", "hmac-md5"),
    "exchange-dss": ("diffie-hellman-group-exchange-sha1", "ssh-dss", "aes256-cbc", "hmac-sha1"),
}
"""Name of a host -> the one key exchange, kind of host key, cipher and MAC that it knows."""


def has_dss() -> bool:
    """Tell whether the control node's SSH client still has ssh-dss."""
    return "ssh-dss" in subprocess.run(["ssh", "-Q", "key"], capture_output=True, text=True, check=True).stdout.split()


@dataclass
class OldHost:
    """A running sshd that knows one algorithm of each sort."""

    name: str
    port: int
    place: pathlib.Path

    def row(self, ssh: dict[str, str]) -> dict:
        """Return the host as a row of the systems; ``ssh`` is the row's key of that name, or nothing."""
        remote = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.place / "client"),
        }
        about = {"system": "Fedora 12", "kernel": "2.6.31 x86_64", "arch": "x86_64", "group": "seed", "why": "a test"}
        return {"name": self.name, **about, **ssh, "remote": remote}

    @property
    def own(self) -> dict[str, str]:
        """What no row may say: variables of the host in an inventory of the user."""
        files = f"-F /dev/null -o UserKnownHostsFile={self.place}/known_hosts"
        return {"ansible_ssh_extra_args": f"{files} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"}


def keygen(kind: str, path: pathlib.Path) -> None:
    """Make a key with the ssh-keygen of the tree, which knows kinds that the control node's may not know."""
    inside = ["chroot", TREE, "ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "old", "-f", f"/tmp/{path.name}"]
    subprocess.run(inside, check=True, capture_output=True)
    for suffix in ("", ".pub"):
        shutil.move(TREE / "tmp" / f"{path.name}{suffix}", f"{path}{suffix}")


@contextlib.contextmanager
def old_host(name: str, place: pathlib.Path) -> Iterator[OldHost]:
    """Run one such host."""
    exchange, kind, cipher, mac = KINDS[name]
    inside = place / "standin"
    inside.mkdir(parents=True)
    dss = kind == "ssh-dss"
    for path in (inside / f"{name}-host", place / "client"):
        keygen("dsa" if dss else "rsa", path)
    shutil.copy(place / "client.pub", inside / "authorized_keys")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    public = (inside / f"{name}-host.pub").read_text()
    (place / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
    # This server announces signatures with SHA-2 whatever its list says, so a client with an RSA key makes such a one;
    # a server of 2010 announces nothing, and the client takes ssh-rsa.
    signatures = "ssh-dss" if dss else "ssh-rsa,rsa-sha2-512"
    (inside / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey /standin/{name}-host\nPidFile none\nUsePAM no\n"
        "AuthorizedKeysFile /standin/authorized_keys\nStrictModes no\nPermitRootLogin prohibit-password\n"
        f"KexAlgorithms {exchange}\nHostKeyAlgorithms {kind}\nCiphers {cipher}\nMACs {mac}\n"
        f"PubkeyAcceptedAlgorithms {signatures}\n"
    )
    start = "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -f /standin/sshd_config"
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", FILES / "enter.sh", TREE, place]
    with open(place / "host.log", "wb") as log:
        process = subprocess.Popen([*argv, "sh", "-c", start], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait(port, process, place / "host.log")
        yield OldHost(name, port, place)
    finally:
        process.kill()
        process.wait()


def wait(port: int, process: subprocess.Popen, log: pathlib.Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            if sock.recv(3) == b"SSH":
                return
        time.sleep(0.1)
    raise AssertionError(f"the SSH server did not come up: {log.read_text()}")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, OldHost]]:
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(old_host(name, tmp_path_factory.mktemp(name))) for name in KINDS}


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [program, *(str(word) for word in arguments)]
    return subprocess.run(
        words, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=LIMIT,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
    )  # fmt: skip


def inventory(place: pathlib.Path, rows: list[dict], own: dict[str, dict[str, str]]) -> pathlib.Path:
    (place / "host_vars").mkdir()
    for name, variables in own.items():
        (place / "host_vars" / f"{name}.yml").write_text(json.dumps(variables))
    path = place / "systems.yml"
    path.write_text(json.dumps({"plugin": "kedr.lab.systems", "systems": rows}))
    return path


def look(place: pathlib.Path, rows: list[dict], own: dict[str, dict[str, str]]) -> tuple[str, dict[str, dict]]:
    """Read the facts of the hosts of the rows; return what was printed, and the one step of each host.

    ``own`` are variables that stand in files of the user, by host.
    """
    book = place / "look.yml"
    book.write_text(json.dumps([{
        "hosts": "all", "gather_facts": False, "ignore_errors": True,
        "tasks": [{"kedr.lab.kernel_facts": {"run_dir": str(place / "run")}}],
    }]))  # fmt: skip
    done = run("ansible-playbook", "-i", inventory(place, rows, own), book)
    steps = {}
    for row in rows:
        (line,) = (place / "run" / row["name"] / "steps.jsonl").read_text().splitlines()
        steps[row["name"]] = json.loads(line)
    return done.stdout + done.stderr, steps


def test_without_the_mark_an_old_host_is_lost_and_what_to_write_is_told(
    hosts: dict[str, OldHost], tmp_path: pathlib.Path
) -> None:
    old = hosts["group14-rsa"]
    output, steps = look(tmp_path, [old.row({})], {old.name: old.own})
    assert steps["group14-rsa"]["status"] == "unreachable", output
    assert "write 'ssh: legacy' in its row" in steps["group14-rsa"]["reason"]


def test_facts_are_read_over_every_old_algorithm(hosts: dict[str, OldHost], tmp_path: pathlib.Path) -> None:
    names = [name for name in hosts if has_dss() or "dss" not in name]
    rows = [hosts[name].row({"ssh": "legacy"}) for name in names]
    output, steps = look(tmp_path, rows, {name: hosts[name].own for name in names})
    assert {name: step["status"] for name, step in steps.items()} == dict.fromkeys(names, "ok"), output
    for name in names:
        facts = json.loads((tmp_path / "run" / name / "facts.json").read_text())
        assert facts["release"] == os.uname().release


def test_a_client_without_ssh_dss_is_told_together_with_one_that_has_it(
    hosts: dict[str, OldHost], tmp_path: pathlib.Path
) -> None:
    client = tmp_path / "ssh"
    client.write_text("""#!/bin/sh
case $1 in
-Q) ssh "$@" | grep -v ssh-dss ;;
*) exec ssh -o HostKeyAlgorithms=-ssh-dss* "$@" ;;
esac
""")
    client.chmod(0o755)
    old = hosts["exchange-dss"]
    own = {**old.own, "ansible_ssh_executable": str(client)}
    own["ansible_ssh_args"] = "-o ControlPath=none"  # no connection that another test has left open
    output, steps = look(tmp_path, [old.row({"ssh": "legacy"})], {old.name: own})
    assert steps["exchange-dss"]["status"] == "unreachable", output
    assert "no longer has any host key type that the host knows (ssh-dss)" in steps["exchange-dss"]["reason"]
    assert "openssh-client-ssh1" in steps["exchange-dss"]["reason"]


def test_no_other_host_gets_the_relaxed_options(hosts: dict[str, OldHost], tmp_path: pathlib.Path) -> None:
    other = {**hosts["group14-rsa"].row({}), "name": "modern"}
    rows = [hosts["group1-rsa"].row({"ssh": "legacy"}), other]
    own = {"modern": {"ansible_ssh_common_args": "-o StrictHostKeyChecking=yes"}}
    done = run("ansible-inventory", "-i", inventory(tmp_path, rows, own), "--list", "--export")
    variables = json.loads(done.stdout)["_meta"]["hostvars"]
    words = {name: str(each["ansible_ssh_common_args"]) for name, each in variables.items()}
    assert "diffie-hellman-group1-sha1" in words["group1-rsa"]
    assert words["modern"] == own["modern"]["ansible_ssh_common_args"]
