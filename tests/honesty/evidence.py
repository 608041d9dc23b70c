# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the run directory of a good run, and ways to damage one of them.

A way is a function of this file: it takes the evidence and what faults.yml says under ``with``.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base import rundir
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.expect import default_expect

HOST = "one"


class Evidence:
    """The run directory of one host; ``expect`` is the file of expectations that it is judged by, or nothing."""

    def __init__(self, path: pathlib.Path, host: str = HOST) -> None:
        self.path = path
        self.host = host
        self.expect = ""

    @property
    def run_id(self) -> str:
        return self.path.name

    def file(self, name: str) -> pathlib.Path:
        """A file of the host, or run.json."""
        return self.path / name if name == "run.json" else self.path / self.host / name

    def text(self, name: str) -> str:
        return self.file(name).read_text(encoding="utf-8", errors="surrogateescape")

    def write(self, name: str, text: str) -> None:
        self.file(name).write_text(text, encoding="utf-8", errors="surrogateescape")

    def json(self, name: str) -> Any:
        return json.loads(self.text(name))

    def write_run(self, about: dict[str, Any]) -> None:
        """Write run.json with the checksum that belongs to it."""
        if "sum" in about:
            del about["sum"]
            about["sum"] = rundir.seal(hashlib.sha256(), about)
        self.write("run.json", json.dumps(about))

    def steps(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text("steps.jsonl").splitlines()]

    def write_steps(self, steps: list[dict[str, Any]]) -> None:
        self.write("steps.jsonl", "".join(json.dumps(step, sort_keys=True) + "\n" for step in steps))

    def _seal_steps(self, steps: list[dict[str, Any]]) -> None:
        text = ""
        for step in steps:
            record = {key: value for key, value in step.items() if key != "sum"}
            if "sum" in step:
                record["sum"] = rundir.seal(hashlib.sha256(text.encode()), record)
            text += json.dumps(record, sort_keys=True) + "\n"
        self.write("steps.jsonl", text)

    def seal(self) -> None:
        """Let the records of the steps say of every file what it holds now, as if it had come so."""
        steps = self.steps()
        for step in steps:
            for name in list(step.get("files") or {}):
                path = self.file(name)
                if path.exists():
                    step["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
                else:
                    del step["files"][name]
        self.write_steps(steps)
        self._seal_steps(steps)
        if self.file("guest.json").exists() and "console" in (about := self.json("guest.json")):
            data = self.file("console.log").read_bytes()
            about["console"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            self.write("guest.json", json.dumps(about))


def copy_of(good: pathlib.Path, place: pathlib.Path, host: str = HOST) -> Evidence:
    """A copy of a run directory below `place`, under its own name: the marker of a run names it."""
    path = place / good.name
    shutil.copytree(good, path, symlinks=True)
    for name in ("results.json", "report.html", "report.md", "junit.xml", f"{host}/verdict.json", "watch.json"):
        (path / name).unlink(missing_ok=True)
    return Evidence(path, host)


Way = Callable[..., None]
WAYS: dict[str, Way] = {}


def way(function: Way) -> Way:
    """Take a function as a way of faults.yml."""
    WAYS[function.__name__] = function
    return function


# -- any file ----------------------------------------------------------------------------------------


@way
def flip(evidence: Evidence, each: str, at: float = 0.5) -> None:
    """Flip the lowest bit of the byte at a part of the length of the file."""
    path = evidence.file(each)
    data = bytearray(path.read_bytes())
    data[min(int(len(data) * at), len(data) - 1)] ^= 1
    path.write_bytes(data)


@way
def remove(evidence: Evidence, each: str) -> None:
    evidence.file(each).unlink()
    if each == "console.log":  # what is still in the lab would be copied again
        about = evidence.json("run.json")
        about["hosts"][evidence.host]["console"] = str(evidence.file("gone.log"))
        evidence.write_run(about)


@way
def empty(evidence: Evidence, each: str) -> None:
    evidence.file(each).write_bytes(b"")


@way
def cut(evidence: Evidence, each: str) -> None:
    path = evidence.file(each)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@way
def binary(evidence: Evidence, each: str) -> None:
    """Put 4 KiB of bytes that are not text in front."""
    path = evidence.file(each)
    path.write_bytes(bytes(range(256)) * 16 + path.read_bytes())


@way
def instead(evidence: Evidence, each: str, file: str) -> None:
    """Put another file in place of one."""
    shutil.copyfile(evidence.file(file), evidence.file(each))


@way
def replaced(evidence: Evidence, file: str, old: str, new: str, count: int = 1) -> None:
    """Replace a regular expression, which must be there."""
    text, done = re.subn(old, new, evidence.text(file), count=count, flags=re.MULTILINE)
    assert done, f"{file} does not hold {old}"
    evidence.write(file, text)


@way
def set_value(evidence: Evidence, file: str, key: list[str], value: Any = None) -> None:
    """Set a value in a file of JSON; without a value take it out."""
    found = whole = evidence.json(file)
    for name in key[:-1]:
        found = found[name]
    if value is None:
        del found[key[-1]]
    else:
        found[key[-1]] = value
    evidence.write(file, json.dumps(whole))


# -- steps -------------------------------------------------------------------------------------------


def _change_step(evidence: Evidence, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    steps = evidence.steps()
    found = [step for step in steps if step["step"] == name]
    assert found, f"no step {name}"
    change(found[-1])
    evidence.write_steps(steps)


@way
def step_says(evidence: Evidence, step: str, value: dict[str, Any]) -> None:
    """Change the record of a step."""
    _change_step(evidence, step, lambda found: found.update(value))


@way
def step_data(evidence: Evidence, step: str, value: dict[str, Any]) -> None:
    """Change the data of the record of a step."""
    _change_step(evidence, step, lambda found: found["data"].update(value))


@way
def step_is_ok_and_failed(evidence: Evidence, each: str) -> None:
    step_says(evidence, each, {"kind": "FAIL"})


@way
def without_step(evidence: Evidence, each: str) -> None:
    evidence.write_steps([step for step in evidence.steps() if step["step"] != each])


@way
def steps_turned(evidence: Evidence) -> None:
    """Write the records of the steps in the opposite order."""
    evidence.write_steps(evidence.steps()[::-1])


@way
def other_boot(evidence: Evidence, step: str) -> None:
    """From a step on the host has another boot_id."""
    steps, other = evidence.steps(), False
    for record in steps:
        other = other or record["step"] == step
        if other:
            record["boot"] = "00000000-1111-2222-3333-444444444444"
    evidence.write_steps(steps)


# -- logs --------------------------------------------------------------------------------------------

LATE = 999.0


def _after_marker(text: str, run_id: str, lines: str) -> str:
    begins = f"kedr: run {run_id} begins"
    head, found, rest = text.partition(begins)
    assert found, "no marker"
    return f"{head}{found}\n{lines}{rest.removeprefix(chr(10))}"


def _stamped(each: str, level: int = 0) -> str:
    mark = f"<{level}>" if level else ""
    return "".join(f"{mark}[   {LATE:.6f}] {line}\n" for line in each.splitlines())


@way
def kernel_says(evidence: Evidence, each: str, file: str = "dmesg.txt") -> None:
    """The kernel prints lines after the run began."""
    text = evidence.text(file)
    evidence.write(file, _after_marker(text, evidence.run_id, _stamped(each, 3 if text.startswith("<") else 0)))


@way
def kernel_said_between_markers(evidence: Evidence, each: str) -> None:
    """A second marker of the run stands behind what the kernel says."""
    kernel_says(evidence, f"{each}\nkedr: run {evidence.run_id} begins")


@way
def splat_and_step(evidence: Evidence, each: str, step: str, status: str, kind: str, reason: str) -> None:
    """The kernel complains, and a step goes wrong for another reason."""
    kernel_says(evidence, each)
    step_says(evidence, step, {"status": status, "kind": kind, "reason": reason})


@way
def panic_and_step(evidence: Evidence, step: str, status: str, kind: str, reason: str) -> None:
    kernel_says(evidence, "Kernel panic - not syncing: Fatal exception", "console.log")
    step_says(evidence, step, {"status": status, "kind": kind, "reason": reason})


@way
def log_without(evidence: Evidence, file: str, each: str) -> None:
    """Take out the lines that hold a text, {run} standing for the run's name."""
    text = each.replace("{run}", evidence.run_id)
    lines = evidence.text(file).splitlines(keepends=True)
    kept = [line for line in lines if text not in line]
    assert len(kept) < len(lines), f"{file}: no line holds {text}"
    evidence.write(file, "".join(kept))


@way
def console_until_marker(evidence: Evidence) -> None:
    """The console ends before the run's marker."""
    head, found, _rest = evidence.text("console.log").partition(f"kedr: run {evidence.run_id} begins")
    assert found, "no marker"
    evidence.write("console.log", head.rpartition("\n")[0] + "\n")


@way
def log_cleared(evidence: Evidence) -> None:
    """Only the last line of the kernel's log is left, as after dmesg -C."""
    evidence.write("dmesg.txt", evidence.text("dmesg.txt").splitlines(keepends=True)[-1])


@way
def log_grows(evidence: Evidence, file: str, mebibytes: int) -> None:
    """Put harmless lines behind the first one."""
    first, rest = evidence.text(file).split("\n", 1)
    line = "x" * 4095 + "\n"
    evidence.write(file, f"{first}\n{line * (mebibytes << 8)}{rest}")


# -- the trace ---------------------------------------------------------------------------------------


def _records(evidence: Evidence, file: str = "trace.txt") -> tuple[list[str], list[str]]:
    lines = evidence.text(file).splitlines(keepends=True)
    return [line for line in lines if line.startswith("#")], [line for line in lines if not line.startswith("#")]


def _write_records(evidence: Evidence, head: list[str], records: list[str], file: str = "trace.txt") -> None:
    """Write the trace so that its heading and the counts of the (only) CPU agree with it."""
    number = len(records)
    heading = re.sub(r"(entries-written: )\d+/\d+", rf"\g<1>{number}/{number}", "".join(head))
    evidence.write(file, heading + "".join(records))
    stats = {"trace.txt": "stats.txt", "witness.txt": "witness_stats.txt"}[file]
    evidence.write(stats, re.sub(r"^entries: \d+", f"entries: {number}", evidence.text(stats), flags=re.MULTILINE))


def _count(evidence: Evidence, event: str, change: int) -> None:
    counts = evidence.json("calls.json")
    (name,) = [key for key in counts if key.endswith(f"/{event}")]
    counts[name] += change
    evidence.write("calls.json", json.dumps(counts))


def _without(records: list[str], event: str, number: int) -> list[str]:
    """The records without `number` of an event, taken evenly; the first and the last stay."""
    places = [at for at, line in enumerate(records) if f" {event}: " in line]
    gone = set(places[1:-1][:: max(1, (len(places) - 2) // number)][:number])
    assert len(gone) == number, f"too few records of {event}"
    return [line for at, line in enumerate(records) if at not in gone]


@way
def records_dropped(evidence: Evidence, events: dict[str, int]) -> None:
    """So many records of events never were: trace, counts of the CPU and counters agree."""
    head, records = _records(evidence)
    for event, number in events.items():
        records = _without(records, event, number)
        _count(evidence, event, -number)
    _write_records(evidence, head, records)


@way
def records_sent_elsewhere(evidence: Evidence, event: str, other: str) -> None:
    """The records of one event are of another one, and so are the calls that the payload counts."""
    head, records = _records(evidence)
    number = sum(f" {event}: " in line for line in records)
    name, there = event.removeprefix("called_"), other.removeprefix("called_")
    records = [line.replace(f" {event}: {name}(", f" {other}: {there}(") for line in records]
    _write_records(evidence, head, records)
    _count(evidence, event, -number)
    _count(evidence, other, number)


@way
def record_twice(evidence: Evidence, event: str, count: bool = False) -> None:
    """One record of an event stands twice."""
    head, records = _records(evidence)
    at = next(at for at, line in enumerate(records) if f" {event}: " in line)
    _write_records(evidence, head, records[: at + 1] + records[at:])
    if count:
        _count(evidence, event, 1)


@way
def lines_removed(evidence: Evidence, file: str, lines: int) -> None:
    """The last lines of a trace did not come."""
    kept = evidence.text(file).splitlines(keepends=True)[:-lines]
    evidence.write(file, "".join(kept))


@way
def witness_dropped(evidence: Evidence, text: str) -> None:
    """One of the kernel's own events, whose line holds a text, is not there."""
    head, records = _records(evidence, "witness.txt")
    at = next(at for at, line in enumerate(records) if text in line)
    _write_records(evidence, head, records[:at] + records[at + 1 :], "witness.txt")


@way
def time_goes_back(evidence: Evidence) -> None:
    """Two neighbours in the trace change places, times and all."""
    head, records = _records(evidence)
    middle = len(records) // 2
    stamp = re.compile(r"\s(\d+\.\d+):")
    while stamp.search(records[middle])[1] == stamp.search(records[middle + 1])[1]:  # type: ignore[index]
        middle += 1
    records[middle], records[middle + 1] = records[middle + 1], records[middle]
    _write_records(evidence, head, records)


@way
def calls_counted(evidence: Evidence, event: str, change: int) -> None:
    """The payload counts so many calls more."""
    _count(evidence, event, change)


# -- call sites --------------------------------------------------------------------------------------


@way
def site_dropped(evidence: Evidence, symbol: str, both: bool = False) -> None:
    """A call site is not reported; the count of the function fits where `both`."""
    replaced(evidence, "sites.txt", rf"^site {symbol} call core .*\n", "")
    if both:
        text = evidence.text("sites.txt")
        line = re.search(rf"^function {symbol} call (\d+)", text, re.MULTILINE)
        assert line, f"no count of {symbol}"
        new = f"function {symbol} call {int(line[1]) - 1}"
        evidence.write("sites.txt", text.replace(line[0], new, 1))


# -- expectations ------------------------------------------------------------------------------------


@way
def expects(evidence: Evidence, old: str, new: str) -> None:
    """The expectations say something else."""
    text = pathlib.Path(default_expect("cp_target")).read_text()
    assert old in text, f"the expectations do not hold {old!r}"
    path = evidence.path.parent / "expect.yml"
    path.write_text(text.replace(old, new, 1))
    evidence.expect = str(path)


@way
def expects_of(evidence: Evidence, target: str) -> None:
    """The expectations are those of another target."""
    evidence.expect = default_expect(target)


@way
def expects_file_gone(evidence: Evidence) -> None:
    evidence.expect = str(evidence.path.parent / "no-such-expect.yml")


# -- the run directory -------------------------------------------------------------------------------


@way
def host_gone(evidence: Evidence) -> None:
    shutil.rmtree(evidence.path / evidence.host)


@way
def link_to_nowhere(evidence: Evidence, each: str) -> None:
    path = evidence.file(each)
    path.unlink()
    os.symlink("/nonexistent", path)


@way
def directory_instead(evidence: Evidence, each: str) -> None:
    path = evidence.file(each)
    path.unlink()
    path.mkdir()


@way
def run_renamed(evidence: Evidence) -> None:
    """The evidence stands in the directory of another run."""
    evidence.path = evidence.path.rename(evidence.path.with_name("20200101T000000Z-1"))


@way
def nothing(evidence: Evidence) -> None:
    """Leave the evidence as it is."""


@way
def guest_unknown(evidence: Evidence) -> None:
    """Neither was it kept whether the guest lived, nor can it be found out."""
    about = evidence.json("run.json")
    about["hosts"][evidence.host].update(pidfile=str(evidence.file("gone.pid")), pid=0)
    evidence.write_run(about)
    evidence.file("guest.json").unlink()


NOT_EVIDENCE = {
    "sources/": "what was rendered; the modules that were made of it are the evidence",
    "verdict.json": "what was judged before",
    "clocks.jsonl": "readings of clocks, by which no verdict is decided",
    "console.log": "written by QEMU on the control node; looked through for complaints and for the run's marker",
    "guest.json": "written by the control node when it judges",
}
"""Files of a host in which a changed byte may go unnoticed, and why."""


@way
def pipe_instead(evidence: Evidence, each: str) -> None:
    path = evidence.file(each)
    path.unlink()
    os.mkfifo(path)


@way
def link_to_zero(evidence: Evidence, each: str) -> None:
    path = evidence.file(each)
    path.unlink()
    os.symlink("/dev/zero", path)


@way
def run_without_host(evidence: Evidence) -> None:
    about = evidence.json("run.json")
    about["hosts"] = {}
    evidence.write_run(about)


@way
def step_moved(evidence: Evidence, step: str, before: str) -> None:
    """The record of a step stands before that of another one."""
    steps = evidence.steps()
    (moved,) = [one for one in steps if one["step"] == step]
    steps.remove(moved)
    steps.insert([one["step"] for one in steps].index(before), moved)
    evidence.write_steps(steps)


@way
def steps_twice(evidence: Evidence) -> None:
    evidence.write_steps(evidence.steps() * 2)


# -- a watch -----------------------------------------------------------------------------------------


@way
def page_dropped(evidence: Evidence, each: str) -> None:
    """The last page of a file of pages is gone."""
    path = evidence.file(each)
    path.write_bytes(path.read_bytes()[:-4096])


@way
def page_twice(evidence: Evidence, each: str) -> None:
    """The first page of a file of pages stands twice."""
    path = evidence.file(each)
    data = path.read_bytes()
    path.write_bytes(data[:4096] + data)


@way
def flip_at(evidence: Evidence, file: str, each: str) -> None:
    """Flip a bit at a part of the length of a file."""
    flip(evidence, file, float(each))
