# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed, processor time and memory of bringing a trace home from many hosts, beside other ways to do it.

Usage: bench_transfer.py [HOSTS...]   (1 10 50 100)

The hosts are simulated (tests/fleet) and share the processors with the control node, so that only ratios within one
run mean something.  Every host has a trace of 10 MB.  ``cat``, ``scp`` and ``fetch`` copy it as a file; the stream
takes it out of a pipe page by page, as it does with the kernel's buffer, checks it and acknowledges it.  Processor
time and memory are those of the control node: the process that is measured, and all that it starts.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import select
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import paramiko

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "tests" / "fleet")]
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import rounds
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream
from fleet import EVENT, INSTANCE, Fleet, SimulatedHost, stats
from writer import F_SETPIPE_SZ, PER_PAGE, records

HOSTS = (1, 10, 50, 100)
PAGES = 2560
"""10 MiB."""
MB = 1e6
LIMIT = 1200
"""Seconds that one way may take."""
FORKS = 50
WAYS = ("ssh cat", "paramiko cat", "stream", "stream, unpacked", "scp", "fetch")


class Measured(NamedTuple):
    """What one way took: seconds, processor seconds, bytes of memory at most."""

    seconds: float
    processor: float
    memory: int


def make_trace(path: pathlib.Path) -> None:
    """Write pages of records whose pointers and times differ as real ones do; zstd -1 packs them 3 to 4 times."""
    random = np.random.default_rng(1)
    with open(path, "wb") as file:
        for number in range(PAGES):
            page = np.zeros(4096, np.uint8)
            page[:16].view("<u8")[:] = (1_000_000_000 + number * 400_000, PER_PAGE * 20)
            table = records(page)
            table["head"] = 4 | random.integers(500, 4000, PER_PAGE) << 5
            table["type"], table["pid"] = 1999, random.integers(4240, 4250)
            offset = random.integers(0, 1 << 20, PER_PAGE, np.uint64) << np.uint64(6)
            table["seq"] = np.uint64(0xFFFF888000000000) + offset
            file.write(page.tobytes())


# -- the ways, each run in a process of its own ----------------------------------------------------------


def wait_for_all(commands: Sequence[tuple[Sequence[str], pathlib.Path | None]]) -> None:
    """Run commands side by side, the output of each to its file.  All must succeed."""
    running = []
    for argv, path in commands:
        with open(path or os.devnull, "wb") as output:
            running.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output))
    assert [process.wait(LIMIT) for process in running] == [0] * len(running)


def run_cat(plan: dict) -> None:
    wait_for_all([
        ([*plan["enter"], "ssh", *plan["options"], f"root@{address}", "cat /mnt/trace.bin"],
         pathlib.Path(plan["place"], name))
        for name, address in plan["hosts"].items()
    ])  # fmt: skip


def run_paramiko(plan: dict) -> None:
    """The same command through channels of paramiko in one selector loop, in a process inside the fleet's network."""
    inside = [*plan["enter"], sys.executable, __file__, "--run", "paramiko inside", json.dumps(plan)]
    wait_for_all([(inside, None)])


def connect(address: str, plan: dict) -> paramiko.Channel:
    client = paramiko.SSHClient()
    key = paramiko.Ed25519Key(filename=plan["key"])  # the hosts' own key as well
    client.get_host_keys().add(address, key.get_name(), key)
    client.connect(address, username="root", pkey=key, allow_agent=False, look_for_keys=False, timeout=LIMIT,
                   banner_timeout=LIMIT, auth_timeout=LIMIT)  # fmt: skip
    channel = client.get_transport().open_session()  # type: ignore[union-attr]
    channel.exec_command("cat /mnt/trace.bin")
    return channel


def run_channels(plan: dict) -> None:
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        with concurrent.futures.ThreadPoolExecutor(FORKS) as pool:
            channels = list(pool.map(lambda address: connect(address, plan), plan["hosts"].values()))
        for name, channel in zip(plan["hosts"], channels, strict=True):
            file = stack.enter_context(open(pathlib.Path(plan["place"], name), "wb"))
            selector.register(channel, selectors.EVENT_READ, file)
        while selector.get_map():
            for key, _events in selector.select(LIMIT):
                data = key.fileobj.recv(1 << 17)  # type: ignore[union-attr]
                key.data.write(data)
                if not data:
                    selector.unregister(key.fileobj)
    os._exit(0)  # the threads of a hundred connections take seconds to end


def run_scp(plan: dict) -> None:
    wait_for_all([
        ([*plan["enter"], "scp", "-q", *plan["options"], f"root@{address}:/mnt/trace.bin", f"{plan['place']}/{name}"],
         None)
        for name, address in plan["hosts"].items()
    ])  # fmt: skip


def run_fetch(plan: dict) -> None:
    book = pathlib.Path(plan["place"], "fetch.json")
    inventory = pathlib.Path(plan["place"], "inventory.json")
    inventory.write_text(plan["inventory"])
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [
        {"ansible.builtin.fetch": {"src": "/mnt/trace.bin", "dest": f"{plan['place']}/{{{{ inventory_hostname }}}}",
                                   "flat": True}}]}]))  # fmt: skip
    argv = [*plan["enter"], "ansible-playbook", "-f", str(min(FORKS, len(plan["hosts"]))), "-i", str(inventory)]
    wait_for_all([([*argv, str(book)], pathlib.Path(plan["place"], "fetch.log"))])


def run_stream(plan: dict, packers: Sequence[str]) -> None:
    """The product's own way; a line on standard input says that the buffers have handed everything out."""
    hosts = []
    for name, address in plan["hosts"].items():
        words = [*plan["enter"], "ssh", *plan["options"], f"root@{address}"]
        directory = pathlib.Path(plan["place"], name)
        directory.mkdir()
        hosts.append(HostStream(name, lambda command, words=words: [*words, command], str(directory), INSTANCE,
                                [EVENT], packers))  # fmt: skip
    rounds.collect(
        hosts, lambda _hosts: bool(select.select([sys.stdin], [], [], 0)[0]), lambda _line: None, final=True,
    )  # fmt: skip
    assert [host.error for host in hosts] == [""] * len(hosts)


RUNS = {
    "ssh cat": run_cat, "paramiko cat": run_paramiko, "paramiko inside": run_channels,
    "scp": run_scp, "fetch": run_fetch,
    "stream": lambda plan: run_stream(plan, ("zstd", "gzip")), "stream, unpacked": lambda plan: run_stream(plan, ()),
}  # fmt: skip


# -- measuring ---------------------------------------------------------------------------------------------


def tree_memory(pid: int) -> int:
    """Bytes of memory of a process and all that it started; what they share counts once."""
    total = 0
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) << 10
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += tree_memory(int(child))
    return total


def measure(argv: Sequence[str], feeder: Feeder | None) -> Measured:
    """Run one way in a process of its own."""
    begun = time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.PIPE)
    assert process.stdin
    peak, ended = 0, False
    while not ended:
        peak = max(peak, tree_memory(process.pid))
        if feeder and feeder.done.is_set() and not process.stdin.closed:
            process.stdin.close()
        assert time.monotonic() - begun < LIMIT
        time.sleep(0.3)
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        ended = pid != 0
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, argv
    return Measured(seconds, usage.ru_utime + usage.ru_stime, peak)


class Feeder:
    """Plays the kernel: fills the hosts' pipes with their traces as fast as they are read, half of it for each CPU."""

    def __init__(self, hosts: Sequence[SimulatedHost], trace: bytes) -> None:
        self.done, self.stopping = threading.Event(), threading.Event()
        self.halves = (trace[: len(trace) // 2], trace[len(trace) // 2 :])
        self.places: dict[int, tuple[int, int]] = {}
        for host in hosts:
            for cpu in range(2):
                folder = host.instance / "per_cpu" / f"cpu{cpu}"
                (folder / "stats").write_text(stats(1, 0, 0))
                pipe = os.open(folder / "trace_pipe_raw", os.O_RDWR | os.O_NONBLOCK)
                fcntl.fcntl(pipe, F_SETPIPE_SZ, 1 << 20)
                self.places[pipe] = (cpu, 0)
        self.pipes = list(self.places)
        self.thread = threading.Thread(target=self.feed)
        self.thread.start()

    def feed(self) -> None:
        with select.epoll() as ready:
            for pipe in self.places:
                ready.register(pipe, select.EPOLLOUT)
            while self.places and not self.stopping.is_set():
                for pipe, _event in ready.poll(0.5):
                    cpu, at = self.places[pipe]
                    half = self.halves[cpu]
                    with contextlib.suppress(BlockingIOError):
                        at += os.write(pipe, memoryview(half)[at : at + (1 << 19)])
                    self.places[pipe] = (cpu, at)
                    if at == len(half):
                        ready.unregister(pipe)
                        del self.places[pipe]
        self.done.set()

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join()
        for pipe in self.pipes:
            os.close(pipe)


def check(way: str, hosts: Sequence[SimulatedHost], place: pathlib.Path, trace: bytes) -> None:
    """Every byte of every host must have come."""
    for host in hosts:
        whole = place / host.name
        if way.startswith("stream"):
            got = b"".join((whole / "raw" / f"cpu{cpu}.pages").read_bytes() for cpu in range(2))
        else:
            got = whole.read_bytes()
        assert hashlib.sha256(got).digest() == hashlib.sha256(trace).digest(), f"{way}, {host.name}"


def transfer(way: str, fleet: Fleet, count: int, trace: bytes) -> Measured:
    """Measure one way with the first hosts of the fleet."""
    hosts = fleet.hosts[:count]
    with tempfile.TemporaryDirectory(dir=fleet.place) as place:
        plan = {
            "key": f"{fleet.place}/key", "enter": fleet.enter(), "options": fleet.ssh_options(), "place": place,
            "hosts": {host.name: host.address for host in hosts}, "inventory": fleet.inventory(hosts),
        }  # fmt: skip
        feeder = Feeder(hosts, trace) if way.startswith("stream") else None
        try:
            measured = measure([sys.executable, __file__, "--run", way, json.dumps(plan)], feeder)
        finally:
            if feeder:
                feeder.stop()
        check(way, hosts, pathlib.Path(place), trace)
    return measured


def row(count: int, way: str, size: float, found: Measured, first: Measured | None) -> str:
    ratio = f"{first.seconds / found.seconds:.2f}" if first else ""
    return (f"| {count} | {size:.0f} | {way} | {found.seconds:.1f} | {count * size / found.seconds:.1f} | {ratio} | "
            f"{found.processor / count / size * 1000:.1f} | {found.memory / MB:.0f} |")  # fmt: skip


def lines(fleet: Fleet, counts: Sequence[int], trace: bytes) -> Iterator[str]:
    """Yield a table; its last line is about a trace ten times as long."""
    yield "| hosts | MB each | way | seconds | MB/s | to ssh cat | processor ms per MB | memory, MB |"
    yield "|---:|---:|---|---:|---:|---:|---:|---:|"
    for count in counts:
        first = None
        for way in WAYS:
            found = transfer(way, fleet, count, trace)
            first = first or found
            yield row(count, way, len(trace) / MB, found, first)
    few = min(10, max(counts))
    yield row(few, "stream", len(trace) * 10 / MB, transfer("stream", fleet, few, trace * 10), None)


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        RUNS[sys.argv[2]](json.loads(sys.argv[3]))
        return
    counts = [int(word) for word in sys.argv[1:]] or HOSTS
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        make_trace(place / "trace.bin")
        trace = (place / "trace.bin").read_bytes()
        fleet = Fleet(place, max(counts))
        try:
            for host in fleet.hosts:
                os.link(place / "trace.bin", host.place / "trace.bin")
            for line in lines(fleet, counts, trace):
                print(line, flush=True)
        finally:
            fleet.stop()


if __name__ == "__main__":
    main()
