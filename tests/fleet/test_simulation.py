# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred simulated hosts: what was recorded arrives to the record, or what is missing is told."""

from __future__ import annotations

import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import rounds
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.rounds import Limits
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream, Streams
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.stats import parse_stats
from fleet import HERE, Fleet, SimulatedHost
from running import ENVIRONMENT, MakeFleet, MakeWriter, Writer, streams
from writer import read_records

HOSTS = 100
RATE = 5.0
"""Pages per second and CPU, of 203 records each."""
PAGES = 450
"""Pages of a CPU at most; the hosts stop when all mishaps are over."""
ROOMY = 1 << 20
"""Bytes that a buffer holds: more than comes while the machine is busy with other hosts."""
SMALL = 1 << 16
LIMITS = Limits(silence=8.0, attempts=3)
MAX_MEMORY = 64 << 20
"""Bytes that the control process may take more for all hosts together."""


def peak() -> int:
    """Bytes that this process had at most."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) << 10


def numbers(place: pathlib.Path, host: str, cpu: str) -> np.ndarray:
    """The numbers of the records that came from one CPU, in their order."""
    (path,) = (path for path in (place / host / "raw").glob(f"{cpu}.pages*") if path.suffix != ".sums")
    return read_records(path.read_bytes())


class Mishaps:
    """What happens to some hosts while all stream."""

    def __init__(self, fleet: Fleet, hosts: list[HostStream], writer: Writer) -> None:
        self.fleet, self.hosts, self.writer = fleet, hosts, writer
        self.begun, self.step, self.later = False, 0, 0.0
        names = [host.name for host in fleet.hosts]
        self.killed, self.frozen, self.cut = names[10:13], names[20:23], names[30:33]
        self.slow, self.stuck, self.hung_up, self.away = names[40:43], names[50:52], names[60:63], names[70:72]
        self.lost = {*self.killed, *self.frozen, *self.cut}

    def each(self, names: list[str]) -> list[SimulatedHost]:
        return [host for host in self.fleet.hosts if host.name in names]

    def begin(self, _hosts: Streams) -> None:
        """All hosts stream: the kernel may begin."""
        self.begun = True
        self.writer.go()

    def until(self, hosts: Streams) -> bool:
        """One mishap after the other; then the kernel stops, and it is time to stop."""
        now = time.monotonic()
        if self.step == 0 and self.begun and all(len(host.records) == self.fleet.cpus for host in hosts.values()):
            self.strike()
            self.next_step(now + 3)
        elif self.step == 1 and now > self.later:
            for host in self.each(self.stuck):
                host.thaw()
            self.next_step(now + LIMITS.silence)
        elif self.step == 2 and now > self.later:
            for host in self.each(self.away):
                host.plug_in()
            self.writer.go()
            self.next_step(now)
        return self.step == 3 and self.writer.done()

    def next_step(self, later: float) -> None:
        self.step, self.later = self.step + 1, later

    def strike(self) -> None:
        for host in self.each(self.killed):
            host.kill()
        for host in self.each([*self.frozen, *self.stuck]):
            host.freeze()
        for host in self.each([*self.cut, *self.away]):
            host.cut_off()
        for host in self.each(self.slow):
            host.slow_down("300kbit")
        for host in self.hosts:
            if host.name in self.hung_up and host.link:
                host.link.process.terminate()


def test_a_hundred_hosts_of_which_some_have_mishaps(
    make_fleet: MakeFleet, make_writer: MakeWriter, tmp_path: pathlib.Path
) -> None:
    fleet = make_fleet(HOSTS)
    writer = make_writer(fleet.hosts, RATE, PAGES, ROOMY)
    place = tmp_path / "run"
    hosts = streams(fleet, place)
    mishaps = Mishaps(fleet, hosts, writer)
    # What earlier tests needed would hide any growth: the peak begins anew.
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    said: list[str] = []
    rounds.collect(hosts, mishaps.until, said.append, final=True, on_live=mishaps.begin, limits=LIMITS)
    memory = peak() - before

    assert {host.name: host.error for host in hosts if not host.complete}.keys() == mishaps.lost
    for host in hosts:
        counts = writer.counts[host.name]
        if host.complete:
            expect_all(host, place, counts)
        else:
            expect_beginning(host, place, counts)
    by_name = {host.name: host for host in hosts}
    for name in (*mishaps.hung_up, *mishaps.away):
        assert by_name[name].lost_connections > 0  # and complete all the same, see above
        assert any(name in line and "connecting again" in line for line in said)
    assert memory < MAX_MEMORY


def expect_all(host: HostStream, place: pathlib.Path, counts: dict[str, list[int]]) -> None:
    """All records came, each once and in order, and the kernel's counts say the same."""
    stats = parse_stats((place / host.name / "stats.txt").read_text())
    for number, (cpu, (generated, overrun)) in enumerate(sorted(counts.items())):
        found = numbers(place, host.name, cpu)
        assert overrun == 0, host.name
        assert np.array_equal(found, np.arange(generated)), f"{host.name}, {host.lost_connections} times lost"
        assert host.records[cpu] == generated == stats[number].read
    assert not list((place / host.name / "raw").glob("*.part"))
    assert (place / host.name / "comms.txt").read_text() == "4242 simulated\n"


def expect_beginning(host: HostStream, place: pathlib.Path, counts: dict[str, list[int]]) -> None:
    """Everything came up to a moment, nothing after it, and the host's row says how much that is."""
    for cpu, (generated, _overrun) in counts.items():
        found = numbers(place, host.name, cpu)
        assert np.array_equal(found, np.arange(len(found))), host.name
        assert 0 < len(found) < generated
        assert host.records[cpu] == len(found)
    (told,) = re.findall(r"(\d+) records in \d+ packets were acknowledged and are safe in ", host.error)
    assert int(told) == host.records.total()
    assert not (place / host.name / "stats.txt").exists()
    assert not list((place / host.name / "raw").glob("*.pages"))


def test_two_rounds(make_fleet: MakeFleet, make_writer: MakeWriter, tmp_path: pathlib.Path) -> None:
    """The first round leaves tracing on and ends without the end; the second goes on where it was."""
    fleet = make_fleet(3)
    writer = make_writer(fleet.hosts, 20, 80, ROOMY)
    place = tmp_path / "run"
    first = streams(fleet, place)
    rounds.collect(
        first, lambda hosts: all(host.records.total() > 4000 for host in hosts.values()), print, final=False,
        on_live=lambda hosts: writer.go(),
    )  # fmt: skip
    assert [(host.done, host.complete, host.error) for host in first] == [(True, False, "")] * 3
    assert [(host.instance / "tracing_on").read_text() for host in fleet.hosts] == ["1\n"] * 3
    second = streams(fleet, place)
    rounds.collect(second, lambda hosts: writer.done(), print, final=True)
    assert [(host.instance / "tracing_on").read_text() for host in fleet.hosts] == ["0\n"] * 3
    for host in second:
        assert host.complete, host.error
        expect_all(host, place, writer.counts[host.name])


def test_a_stopped_control_node_leads_to_counted_loss_and_nothing_else(
    make_fleet: MakeFleet, make_writer: MakeWriter, tmp_path: pathlib.Path
) -> None:
    fleet = make_fleet(2)
    writer = make_writer(fleet.hosts, 100, 1000, SMALL)
    place = tmp_path / "run"
    hosts = streams(fleet, place)
    script = [sys.executable, HERE / "control.py", place, *(word for host in fleet.hosts for word in (
        host.name, host.address))]  # fmt: skip
    control = subprocess.Popen(
        script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**ENVIRONMENT, "ENTER": " ".join(fleet.enter()), "SSH_OPTIONS": "\n".join(fleet.ssh_options())},
    )  # fmt: skip
    assert hosts and control.stdin and control.stdout
    try:
        assert control.stdout.readline() == "live\n"
        writer.go()
        control.send_signal(signal.SIGSTOP)
        end = time.monotonic() + 60
        while not writer.done():
            assert time.monotonic() < end
            time.sleep(0.1)
        control.send_signal(signal.SIGCONT)
        control.stdin.write("stop\n")
        control.stdin.close()
        said = control.stdout.read()
        assert control.wait(120) == 0, said
    finally:
        control.kill()
        control.wait()
    for host in fleet.hosts:
        stats = parse_stats((place / host.name / "stats.txt").read_text())
        for number, (cpu, (generated, overrun)) in enumerate(sorted(writer.counts[host.name].items())):
            found = numbers(place, host.name, cpu)
            assert overrun > 0
            assert len(found) == generated - overrun == stats[number].read
            assert stats[number].overrun == overrun
            assert np.all(np.diff(found.astype(np.int64)) > 0)


def test_nothing_stays_when_the_tests_are_killed(tmp_path: pathlib.Path) -> None:
    program = f"""
import fleet, pathlib, time
hosts = fleet.Fleet(pathlib.Path({str(tmp_path)!r}), 3)
print(hosts.bridge.pid, *(pid for host in hosts.hosts for pid in (host.process.pid, *host.processes())), flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=HERE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    pids = process.stdout.readline().split()
    assert len(pids) >= 7
    process.kill()
    process.wait()
    end = time.monotonic() + 20
    while left := [pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, left
        time.sleep(0.1)


@pytest.mark.parametrize("size", [1, 3])
def test_a_full_disk_of_the_control_node_stops_cleanly(size: int, tmp_path: pathlib.Path) -> None:
    """On a file system of so many MiB, which only the process that streams can see."""
    script = f"mount -t tmpfs -o size={size}m tmpfs {tmp_path} && exec \"$@\""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, HERE / "full_disk.py", tmp_path],
        capture_output=True, text=True, timeout=120, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for line in done.stdout.splitlines():
        found = re.fullmatch(
            r"the trace cannot be written on the control node: No space left on device; (\d+) records in (\d+) packets "
            r"were acknowledged and are safe in \S+\|(\d+)", line)  # fmt: skip
        assert found, line
        assert int(found[3]) == int(found[2]) * 64 * 4096  # whole packets
        assert int(found[1]) == int(found[2]) * 64 * 2
    assert len(done.stdout.splitlines()) == 2
