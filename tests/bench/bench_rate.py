# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints, as Markdown, the highest rate of records that streams from one guest without loss, and what the accounts
say beyond it.

    bench_rate.py CACHE [SYSTEM as JSON, a row of lab_guests]

A module of the bench makes calls at a steady rate while the ring buffer is streamed; the buffer is so small that it
holds a small part of the records only. The rate is doubled until records are lost, then the gap is halved. Needs the
packages of requirements/collect.txt. Under software emulation the guest's one processor makes the records, reads and
packs them, so the rate says more of the emulation than of the transport.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench_calls import CALLS, HOST, ROOT, build, machine, on_a_guest, send, source
from guests import Lab

sys.path.insert(0, str(ROOT / ".collections"))
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import rounds
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.stream import HostStream, Streams
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import accounts
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import collected

SECONDS = 20
BUFFER_KB = 512
FIRST = 1000
HALVINGS = 3
MOST = 1 << 20
EVENT = "my_payload1/called_kfree"
PLACE = "/sys/kernel/tracing/instances/bench"
COUNTER = "/sys/module/my_payload1/parameters/called_kfree"


class Try(NamedTuple):
    """What became of one rate: calls wanted and made per second, records, what came of them, the accounts."""

    wanted: int
    made: float
    calls: int
    came: int
    lost: int
    share: str
    holds: bool
    megabytes: float


def argv(lab: Lab, command: str) -> list[str]:
    """The command line that runs a shell command on the guest."""
    known = lab.hosts[HOST]
    words = ["ssh", "-p", str(known["ansible_port"]), "-i", known["ansible_ssh_private_key_file"]]
    return [*words, *shlex.split(known["ansible_ssh_common_args"]), f"root@{known['ansible_host']}", command]


def prepare(lab: Lab, directory: Path, cache: Path) -> None:
    """Build, send and load the controller, the payload and the target."""
    send(lab, build(lab, directory, cache, [source(directory / "bench_target", "bench_target", CALLS / "loop.c")]))
    lab.ssh(HOST, "[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing")
    lab.ssh(HOST, "cd /tmp/bench && insmod cp_controller.ko target_name=bench_target && insmod my_payload1.ko && "
                  "insmod bench_target.ko && grep -q '^site kfree call core' /sys/kernel/kedr/report")  # fmt: skip


def run(lab: Lab, directory: Path, rate: int) -> Try:
    """Stream at one rate, with a fresh instance."""
    lab.ssh(HOST, f"mkdir {PLACE} && cd {PLACE} && echo {BUFFER_KB} >buffer_size_kb && echo 0 >options/overwrite && "
                  f"echo 1 >events/{EVENT}/enable")  # fmt: skip
    before = int(lab.ssh(HOST, f"cat {COUNTER}"))
    jobs: list[subprocess.Popen] = []

    def live(_hosts: Streams) -> None:
        jobs.append(subprocess.Popen(argv(lab, f"sh /tmp/bench/rate.sh {rate} {SECONDS}")))

    def ended(_hosts: Streams) -> bool:
        return bool(jobs) and jobs[0].poll() is not None

    for final in (False, True):
        host = HostStream(HOST, lambda command: argv(lab, command), str(directory), "bench", [EVENT])
        rounds.collect([host], ended, quiet, final=final, on_live=None if final else live)
        if host.error or jobs[0].returncode:
            sys.exit(f"bench_rate.py: the stream or the calls failed: {host.error}")
    calls = int(lab.ssh(HOST, f"cat {COUNTER}")) - before
    lab.ssh(HOST, f"echo 0 >{PLACE}/events/{EVENT}/enable; rmdir {PLACE}")
    return judged(directory, rate, calls, host.received)


def quiet(_text: str) -> None:
    """Nobody wants to read it."""


def judged(directory: Path, rate: int, calls: int, received: int) -> Try:
    """The accounts of one rate."""
    found = collected.read(str(directory))
    found.count()
    said = accounts.account(found, {EVENT: calls}, [EVENT], False)
    wrong = [one for one in said if one.outcome in ("fail", "missing") and " lost " not in one.text]
    times = [time for cpu in found.cpus.values() for time in (cpu.first_ns, cpu.last_ns) if time is not None]
    took = (max(times) - min(times)) / 1e9
    return Try(rate, calls / took, calls, found.decoded, found.lost, accounts.share(found.lost, calls), not wrong,
               received / 1e6)  # fmt: skip


def search(lab: Lab, directory: Path) -> Iterator[Try]:
    """Double the rate until there is loss, then halve the gap."""
    good, bad, left = 0, 0, HALVINGS
    rate = FIRST
    while left and rate <= MOST:
        one = run(lab, directory / f"at{rate}", rate)
        yield one
        left -= bool(bad)
        if one.lost:
            bad = rate
        else:
            good = rate
        rate = (good + bad) // 2 if bad else 2 * rate


def measure(lab: Lab, directory: Path, cache: Path) -> Iterator[str]:
    prepare(lab, directory, cache)
    yield f"Kernel {lab.ssh(HOST, 'uname -r').strip()}, {machine(lab)}; {SECONDS} s each, {BUFFER_KB} KiB of buffer."
    yield ""
    yield "| calls/s wanted | calls/s made | calls | records that came | lost | share | counts add up | MB sent |"
    yield "|---:|---:|---:|---:|---:|---:|---|---:|"
    best = 0.0
    for one in search(lab, directory):
        best = max(best, 0.0 if one.lost else one.made)
        holds = "yes" if one.holds else "NO"
        yield (
            f"| {one.wanted} | {one.made:.0f} | {one.calls} | {one.came} | {one.lost} | {one.share} | {holds} "
            f"| {one.megabytes:.2f} |"
        )
    yield ""
    yield f"Highest rate without loss: {best:.0f} records per second."


if __name__ == "__main__":
    on_a_guest(measure)
