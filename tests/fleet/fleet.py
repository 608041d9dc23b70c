# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated hosts on this machine: each has namespaces, an address and an sshd of its own, and a tracefs made of files.

Nothing touches the machine's own network: the bridge between the hosts is in a network namespace too, and whoever
talks to a host enters it (``Fleet.enter``).  Everything ends with the processes that are started here, and they end
with the process that started them.
"""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

HERE = pathlib.Path(__file__).parent
UNIT = HERE.parent / "unit" / "plugins" / "plugin_utils"
INSTANCE = "kedr"
EVENT = "kedr/called_simulated"
EVENT_ID = 1999
FORMAT = f"""\
name: called_simulated
ID: {EVENT_ID}
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:unsigned long seq;\toffset:8;\tsize:8;\tsigned:0;

print fmt: "seq=%lu", REC->seq
"""
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
UP_LIMIT = 60
"""Seconds that the hosts may take to answer."""


def header_page() -> str:
    """Return ``events/header_page`` of the pages that the unit tests make."""
    sys.path.insert(0, str(UNIT))
    import ring_pages

    return ring_pages.HEADER


@dataclass
class SimulatedHost:
    """One running host."""

    name: str
    number: int
    address: str
    place: pathlib.Path
    process: subprocess.Popen[bytes]
    frozen: bool = False

    @property
    def instance(self) -> pathlib.Path:
        """The directory of the trace instance."""
        return self.place / "tracing" / "instances" / INSTANCE

    def processes(self) -> list[int]:
        """The host's processes, the first one first."""
        found = _children(self.process.pid)
        for pid in found:
            found += _children(pid)
        return found

    def kill(self) -> None:
        """End the host at once, with everything that runs on it."""
        self.signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stop everything that runs on the host; its network goes on taking packets."""
        for _attempt in range(20):
            before = self.processes()
            self.signal(signal.SIGSTOP)
            if self.processes() == before:
                return

    def thaw(self) -> None:
        """Let the host go on."""
        self.signal(signal.SIGCONT)

    def signal(self, number: int) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def network(self, *command: str) -> None:
        """Run a command in the host's network namespace."""
        pid = self.processes()[0]
        subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", *command], check=True, timeout=60)

    def cut_off(self) -> None:
        """Take the host's network away: packets vanish, and nobody is told."""
        self.network("ip", "link", "set", "eth0", "down")

    def plug_in(self) -> None:
        """Give the host its network back."""
        self.network("ip", "link", "set", "eth0", "up")

    def slow_down(self, rate: str) -> None:
        """Limit what the host can send, as ``tc`` says it: 200kbit."""
        bucket = ("tbf", "rate", rate, "burst", "8k", "latency", "400ms")
        self.network("tc", "qdisc", "add", "dev", "eth0", "root", *bucket)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Fleet:
    """Some simulated hosts with one bridge between them."""

    def __init__(self, place: pathlib.Path, count: int, cpus: int = 2) -> None:
        self.place, self.cpus = place, cpus
        self.hosts: list[SimulatedHost] = []
        self.bridge = subprocess.Popen(
            [*DIES_WITH_US, "unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL
        )
        try:
            self._start(count)
        except BaseException:
            self.stop()
            raise

    def _start(self, count: int) -> None:
        key = self.place / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fleet", "-f", key], check=True)
        public = pathlib.Path(f"{key}.pub").read_text()
        (self.place / "known_hosts").write_text(f"* {public}")
        _wait_for(lambda: self._comm() == "sleep", 10, "the bridge's namespace")
        header = header_page()
        for number in range(count):
            self.hosts.append(self._host(number, key, header))
        for host in self.hosts:
            _wait_for(lambda host=host: len(_children(host.process.pid)) == 1, 30, f"{host.name}'s first process")
        lines = [
            "link set lo up", "link add br0 type bridge", "link set br0 up", "address add 10.77.255.254/16 dev br0",
        ]  # fmt: skip
        for host in self.hosts:
            lines += [
                f"link add h{host.number} type veth peer name eth0 netns {host.processes()[0]}",
                f"link set h{host.number} master br0 up",
            ]
        batch = "".join(f"{line}\n" for line in lines)
        subprocess.run([*self.enter(), "ip", "-batch", "-"], input=batch.encode(), check=True, timeout=60)
        for host in self.hosts:
            assert host.process.stdin
            host.process.stdin.write(b"go\n")
            host.process.stdin.close()
        for host in self.hosts:
            _wait_for(lambda host=host: self._listens(host), UP_LIMIT, f"{host.name}'s sshd")

    def _comm(self) -> str:
        return pathlib.Path(f"/proc/{self.bridge.pid}/comm").read_text().strip()

    @staticmethod
    def _listens(host: SimulatedHost) -> bool:
        log = host.place / "sshd.log"
        return log.exists() and "Server listening" in log.read_text()

    def _host(self, number: int, key: pathlib.Path, header: str) -> SimulatedHost:
        name = f"host{number:03}"
        place = self.place / name
        address = f"10.77.{number // 250}.{number % 250 + 1}"
        self._tracing(place / "tracing", header)
        (place / "hostkey").write_text(key.read_text())
        (place / "hostkey").chmod(0o600)
        (place / "authorized_keys").write_text(pathlib.Path(f"{key}.pub").read_text())
        (place / "sshd_config").write_text(
            f"ListenAddress {address}\nHostKey /mnt/hostkey\nPidFile none\nUsePAM no\nUseDNS no\nStrictModes no\n"
            "AuthorizedKeysFile /mnt/authorized_keys\nPermitRootLogin prohibit-password\nPrintMotd no\n"
            "Subsystem sftp internal-sftp\n"
        )
        argv = [*DIES_WITH_US, "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
                "sh", HERE / "files" / "host.sh", place, address]  # fmt: skip
        with open(place / "host.log", "wb") as log:
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=log)
        return SimulatedHost(name, number, address, place, process)

    def _tracing(self, tracing: pathlib.Path, header: str) -> None:
        """A directory that looks like tracefs.  The pages come out of pipes: what was read is gone."""
        event = tracing / "events" / EVENT
        instance = tracing / "instances" / INSTANCE
        event.mkdir(parents=True)
        instance.mkdir(parents=True)
        (tracing / "trace").touch()
        (tracing / "events" / "header_page").write_text(header)
        (event / "format").write_text(FORMAT)
        (tracing / "saved_cmdlines").write_text("4242 simulated\n")
        (instance / "tracing_on").write_text("1\n")
        (instance / "trace_pipe").touch()
        for cpu in range(self.cpus):
            folder = instance / "per_cpu" / f"cpu{cpu}"
            folder.mkdir(parents=True)
            os.mkfifo(folder / "trace_pipe_raw")
            (folder / "stats").write_text(stats(0, 0, 0))

    def enter(self) -> list[str]:
        """The words before a command that talks to the hosts."""
        return ["nsenter", f"--net=/proc/{self.bridge.pid}/ns/net"]

    def ssh_options(self) -> list[str]:
        """Options for ssh and scp, much as the connection plugin of Ansible gives them.

        The key exchange is a cheap one: both ends of a hundred share this machine's processors.
        """
        return [
            "-F", "none", "-i", str(self.place / "key"), "-o", f"UserKnownHostsFile={self.place}/known_hosts",
            "-o", "GlobalKnownHostsFile=/dev/null", "-o", "KbdInteractiveAuthentication=no",
            "-o", "PreferredAuthentications=publickey", "-o", "PasswordAuthentication=no", "-o", "ConnectTimeout=10",
            "-o", "ControlPath=none", "-o", "KexAlgorithms=curve25519-sha256",
        ]  # fmt: skip

    def argv(self, host: SimulatedHost) -> Callable[[str], Sequence[str]]:
        """What makes the command line that runs a command on a host."""
        return lambda command: [*self.enter(), "ssh", *self.ssh_options(), f"root@{host.address}", command]

    def inventory(self, hosts: Iterable[SimulatedHost]) -> str:
        """An inventory of Ansible with some of the hosts, as JSON."""
        shared = {
            "ansible_user": "root", "ansible_ssh_private_key_file": str(self.place / "key"), "kedr_test_host": True,
            "ansible_ssh_common_args": shlex.join(self.ssh_options()),
        }  # fmt: skip
        return json.dumps({"all": {"hosts": {host.name: {"ansible_host": host.address} for host in hosts},
                                   "vars": shared}})  # fmt: skip

    def stop(self) -> None:
        """End all hosts, and the bridge."""
        for process in (*(host.process for host in self.hosts), self.bridge):
            process.kill()
        for process in (*(host.process for host in self.hosts), self.bridge):
            process.wait()


def stats(entries: int, overrun: int, read: int) -> str:
    """Text of ``per_cpu/cpuN/stats``."""
    return (
        f"entries: {entries}\noverrun: {overrun}\ncommit overrun: 0\nbytes: 0\noldest event ts: 0.0\nnow ts: 0.0\n"
        f"dropped events: 0\nread events: {read}\n"
    )


def _wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.02)
