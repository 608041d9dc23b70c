# SPDX-License-Identifier: GPL-3.0-or-later
"""What gives something away is recorded before its call: a trace of two CPUs never shows two holders of one lock."""

from __future__ import annotations

import itertools
import os
import pathlib
import time
from collections.abc import Iterator

import pytest
import yaml
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.formats import parse_formats
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import Record, TraceReader
from guests import DATA, ROOT, Lab, playbook, start_lab, stop_lab

HOST = "pair"
ROUNDS = 150
PAYLOADS = {"my_payload3": "before", "late": "after"}
"""Payload modules: the shipped one, and one that records ``up`` after its call, and takes its time."""
LATE = "record = after\nmiddleCode = mdelay(2);"
INSTANCE = "/sys/kernel/tracing/instances/handover"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, dict[str, pathlib.Path]]]:
    """A guest with two CPUs, and the modules for it."""
    directory = tmp_path_factory.mktemp("moments")
    lab = start_lab(directory / "lab", [{"name": HOST, "cpus": 2}])
    try:
        yield lab, build(lab, directory)
    finally:
        stop_lab(lab)


def build(lab: Lab, directory: pathlib.Path) -> dict[str, pathlib.Path]:
    text = (DATA / "my_payload3.data").read_text()
    assert text.count("record = before") == 1
    late = directory / "late.data"
    text = text.replace("header = ", "header = #include <linux/delay.h>\nheader = ", 1)
    late.write_text(text.replace("record = before", LATE).replace("= my_payload3", "= late"))
    payloads, kernel = [str(DATA / "my_payload3.data"), str(late)], str(ROOT / "kernel")
    modules = [
        {"name": "cp_controller", "source": f"{kernel}/controller"},
        *(
            {"name": name, "source": f"{{{{ rendered_{name}.sources.{name} }}}}", "needs": ["cp_controller"]}
            for name in PAYLOADS
        ),
        {"name": "handover", "source": str(pathlib.Path(__file__).parent / "files" / "handover")},
    ]
    tasks: list[dict] = []
    for name, payload in zip(PAYLOADS, payloads, strict=True):
        render = {"payloads": [payload], "facts": "{{ read.facts }}", "dest": str(directory / "src" / name)}
        tasks += [
            {"kedr.lab.kernel_facts": {"payloads": [payload]}, "register": "read"},
            {"kedr.lab.payload_render": render, "register": f"rendered_{name}"},
        ]
    cache = os.environ.get("KEDR_CACHE") or str(pathlib.Path.home() / ".cache" / "kedr-lab")
    needed = {
        "cache_dir": cache,
        "facts": "{{ read.facts }}",
        "kernel_dir": kernel,
        "build_root": "{{ kedr_build_root }}",
    }
    needed |= {"modules": modules, "run_dir": str(directory)}
    tasks.append({"kedr.lab.kmod_build": needed})
    path = directory / "build.yml"
    path.write_text(yaml.safe_dump([{"hosts": HOST, "gather_facts": False, "tasks": tasks}]))
    done = playbook("-i", str(lab.inventory), str(path), lab=lab.directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.stem: path for path in (directory / HOST / "modules").glob("*.ko")}


def hand_over(lab: Lab, modules: dict[str, pathlib.Path], payload: str) -> tuple[TraceReader, list[Record]]:
    """Watch the two threads through one payload; returns what was recorded."""

    def insmod(name: str, parameters: str = "") -> None:
        command = f"cat >/tmp/{name}.ko && insmod /tmp/{name}.ko {parameters} && rm /tmp/{name}.ko"
        lab.ssh(HOST, command, stdin=modules[name].read_bytes())

    insmod("cp_controller", "target_name=handover")
    insmod(payload)
    lab.ssh(HOST, "grep -q ' tracefs ' /proc/mounts || mount -t tracefs none /sys/kernel/tracing")
    settings = {
        "buffer_size_kb": "4096",
        "trace_clock": "mono",
        "options/hash-ptr": "0",
        f"events/{payload}/enable": "1",
    }
    written = [f"echo {value} >{INSTANCE}/{name}" for name, value in settings.items()]
    lab.ssh(HOST, " && ".join([f"mkdir {INSTANCE}", *written]))
    insmod("handover", f"rounds={ROUNDS}")
    end = time.monotonic() + 120
    while lab.ssh(HOST, "cat /sys/module/handover/parameters/left").strip() != "0":
        assert time.monotonic() < end, "the threads have not ended"
        time.sleep(0.5)
    lab.ssh(HOST, "rmmod handover")
    text = lab.ssh(HOST, f"cat {INSTANCE}/trace")
    formats = "".join(
        f"== {payload}/{name}\n" + lab.ssh(HOST, f"cat /sys/kernel/tracing/events/{payload}/{name}/format")
        for name in ("called_down", "called_up")
    )
    lab.ssh(HOST, f"rmdir {INSTANCE}; rmmod {payload} cp_controller")
    reader = TraceReader(text.encode().splitlines(keepends=True), parse_formats(formats))
    return reader, list(reader)


def out_of_order(records: list[Record]) -> tuple[int, int]:
    """How often one thread took the semaphore after the other, and how often it had two holders by the trace."""
    downs = [record for record in records if record.event == "called_down"]
    handed = sum(one.pid != two.pid for one, two in itertools.pairwise(downs))
    both = sum(one.event == two.event == "called_down" for one, two in itertools.pairwise(records))
    return handed, both


def test_a_semaphore_never_has_two_holders_in_the_trace(pair: tuple[Lab, dict[str, pathlib.Path]]) -> None:
    figures = {}
    for payload in PAYLOADS:
        reader, records = hand_over(*pair, payload)
        assert (reader.malformed_count, reader.backwards, len(records)) == (0, 0, 4 * ROUNDS)
        assert {(record.comm, record.cpu) for record in records} == {("runner0", 0), ("runner1", 1)}
        figures[PAYLOADS[payload]] = out_of_order(records)
    assert min(handed for handed, _both in figures.values()) > ROUNDS, figures
    assert figures["before"][1] == 0, figures
    assert figures["after"][1] > 0, figures  # the same threads, recorded after the call, show what is not so
