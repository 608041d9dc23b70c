# SPDX-License-Identifier: GPL-3.0-or-later
"""The command kedr-export: what was collected, in the forms that other tools open.

Of one host's directory comes one file; of a run's, a directory with a file for each host.  A host of which the
form cannot be made is named, the others are exported, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TextIO

from ..base.errors import ForeignError, InputError, KedrError
from ..base.files import whole_file
from ..base.foreign import printable
from ..evidence import accounts, host_records
from ..export import hosts, merged, perfetto, trace_dat
from ..export.hosts import Host
from ..trace import clocks, pages, rows

BATCH = 10_000
"""Rows that are held as Python objects."""
MAX_TEXT = 64 << 20
"""Characters that a description (formats, names of threads) may have."""
MANIFEST = "perfetto_manifest.json"


class Kind(NamedTuple):
    """A form: what it is, how one host's file is written and named."""

    about: str
    write: Callable[[Host, str], str]
    name: Callable[[str], str]


def main(program: str, arguments: Sequence[str]) -> int:
    """Export; returns 0, 1 when something is missing from what was made, 2 when nothing was made."""
    options = _parser(program).parse_args(arguments)
    try:
        found = hosts.hosts(options.path)
        if options.kind == "merged":
            return _merged(program, found, options.output)
        if hosts.is_host(options.path):
            return _one(program, KINDS[options.kind], found[0], options.output)
        return _many(program, options.kind, found, options.output)
    except KedrError as error:
        return _refuse(program, str(error))
    except OSError as error:
        return _refuse(program, f"{error.filename or options.output}: {error.strerror or error}")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Exports what was collected to the forms that other tools open.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="kinds:\n" + "\n".join(f"  {name:10} {kind.about}" for name, kind in KINDS.items()) + "\n"
        "  merged     JSON Lines: records of all hosts in the order of the clock of day, with its error",
    )
    parser.add_argument("kind", choices=[*KINDS, "merged"], metavar="KIND", help="what to make, see below")
    parser.add_argument("path", metavar="DIR", help="a run directory, or the directory of one host in it")
    parser.add_argument(
        "-o", "--output", metavar="FILE|DIR", required=True, help="a file for one host or merged, else a directory"
    )
    return parser


def _say(text: str, out: TextIO | None = None) -> None:
    """Print a line; what a host has put into it steers no terminal."""
    print(printable(text), file=out or sys.stdout)


def _refuse(program: str, text: str) -> int:
    _say(f"{program}: error: {text}", sys.stderr)
    return 2


def _one(program: str, kind: Kind, host: Host, output: str) -> int:
    _say(f"{output}: {_make(kind, host, output)}")
    return 0


def _many(program: str, name: str, found: Sequence[Host], output: str) -> int:
    kind = KINDS[name]
    os.makedirs(output, mode=0o700, exist_ok=True)
    made: list[Host] = []
    for host in found:
        path = os.path.join(output, kind.name(host.name))
        try:
            _say(f"{path}: {_make(kind, host, path)}")
            made.append(host)
        except KedrError as error:
            _say(f"{program}: left out: {error}", sys.stderr)
    if not made:
        return _refuse(program, "of no host could this be made")
    if name == "perfetto":
        _manifest(made, output)
    return 0 if len(made) == len(found) else 1


def _make(kind: Kind, host: Host, path: str) -> str:
    """Write one host's file; returns what it holds.  Raises KedrError naming the host, or OSError."""
    try:
        return kind.write(host, path)
    except ForeignError as error:
        raise ForeignError(str(error), host.name) from None


# -- trace.dat ---------------------------------------------------------------------------------------


def _trace_dat(host: Host, path: str) -> str:
    found = hosts.pages(host)
    if not found:
        raise InputError(
            f"{host.name}: no raw pages were collected (raw/cpuN.pages), and trace.dat is made of nothing else; "
            "the kernel's text is there with: kedr-export text"
        )
    texts = {name: _text(host, name) for name in ("header.txt", "formats.txt")}
    texts |= {name: _text(host, name) for name in ("comms.txt", "stats.txt") if _there(host, name)}
    clock = hosts.clock(host).name
    with whole_file(path) as stream:
        trace_dat.write(stream, texts, found, _uname(host), clock)
    parts = [cpu for cpu, name in found.items() if name.endswith(".part")]
    said = f"pages of {len(found)} CPUs, {os.path.getsize(path)} bytes{hosts.loss(host)}"
    return said + (f"; cut off: CPU {', '.join(map(str, parts))}" if parts else "")


def _there(host: Host, name: str) -> bool:
    return os.path.exists(os.path.join(host.directory, name))


def _text(host: Host, name: str) -> str:
    path = os.path.join(host.directory, name)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            text = stream.read(MAX_TEXT + 1)
    except FileNotFoundError:
        raise InputError(f"{host.name}: {name} is missing; without it the pages cannot be read") from None
    if len(text) > MAX_TEXT:
        raise InputError(f"{host.name}: {name} is longer than {MAX_TEXT} characters, which no kernel's is")
    return text


def _facts(host: Host) -> dict[str, Any]:
    try:
        facts = json.loads(_text(host, "facts.json")) if _there(host, "facts.json") else {}
    except (ValueError, RecursionError) as error:
        raise InputError(f"{host.name}: facts.json is no JSON: {error}") from None
    return facts if isinstance(facts, dict) else {}


def _uname(host: Host) -> str:
    facts = _facts(host)
    words = [str(facts[key]) for key in ("release", "machine") if facts.get(key)]
    return " ".join(["Linux", host.name, *words]) if words else ""


# -- text --------------------------------------------------------------------------------------------


def _kernel_text(host: Host, path: str) -> str:
    for name in ("trace.txt", "raw/trace_pipe.txt", "raw/trace_pipe.txt.part"):
        source = os.path.join(host.directory, name)
        if os.path.isfile(source):
            with open(source, "rb") as stream, whole_file(path) as out:
                shutil.copyfileobj(stream, out, 1 << 20)
            cut = "; cut off" if name.endswith(".part") else ""
            return f"{os.path.getsize(path)} bytes of {name}, as the kernel printed them{cut}{hosts.loss(host)}"
    raise InputError(
        f"{host.name}: the kernel printed no text: its pages were streamed; trace-cmd report prints them of "
        "kedr-export trace-dat, or collect a snapshot"
    )


# -- Perfetto ----------------------------------------------------------------------------------------


def _perfetto(host: Host, path: str) -> str:
    if rows.ARROW_ERROR or pages.NUMPY_ERROR:
        raise InputError("pyarrow and numpy are needed; install what requirements/collect.txt names")
    found = host_records.find(host.directory, host.name)
    with whole_file(path) as stream:
        writer = perfetto.Writer(stream, host.name, hosts.clock(host))
        for batch in found.batches():
            for start in range(0, batch.num_rows, BATCH):
                for row in batch.slice(start, BATCH).to_pylist():
                    writer.add(row)
        if found.form == "pages":
            _draw_losses(host, writer)
    problems = hosts.loss(host) + "".join(f"; {problem}" for problem in found.problems)
    return f"{writer.records} records, {os.path.getsize(path)} bytes{problems}"


def _draw_losses(host: Host, writer: perfetto.Writer) -> None:
    """The holes that the pages tell of, as many as are kept."""
    found = accounts.read(host.directory)
    found.count()
    for cpu in found.cpus.values():
        for hole in cpu.losses:
            writer.lost(cpu.number, hole.records, hole.after_ns, hole.before_ns)


def _manifest(made: Sequence[Host], output: str) -> None:
    machines = {host.name: hosts.clock(host) for host in made}
    path = os.path.join(output, MANIFEST)
    with whole_file(path) as stream:
        text = json.dumps(perfetto.manifest(os.path.basename(made[0].run), machines), indent=1)
        stream.write(text.encode() + b"\n")
    unknown = [host for host, clock in machines.items() if not clock.pairs]
    note = f"; no clock readings, so not placed in time: {', '.join(unknown)}" if unknown else ""
    _say(f"{path}: {len(made)} machines{note}")


# -- merged ------------------------------------------------------------------------------------------


def _merged(program: str, found: Sequence[Host], output: str) -> int:
    if merged.DUCKDB_ERROR:
        raise InputError("duckdb is needed; install what requirements/collect.txt names")
    files, machines, left = _placeable(program, found)
    if not machines:
        return _refuse(program, "of no host can the records be placed in time")
    counts = {"certain": 0, "uncertain": 0}
    try:
        place = os.path.dirname(os.path.abspath(output))
        with whole_file(output) as stream, tempfile.TemporaryDirectory(prefix=".kedr-export-", dir=place) as spare:
            for row in merged.merge(files, machines, spare):
                counts[row["order"]] += 1
                stream.write(json.dumps(row, default=str).encode("ascii") + b"\n")
    except merged.duckdb.Error as error:
        raise InputError(f"the records cannot be merged: {error}") from None
    total = sum(counts.values())
    _say(f"{output}: {total} records of {len(machines)} hosts, {counts['uncertain']} of uncertain order")
    return 1 if left else 0


def _placeable(program: str, found: Sequence[Host]) -> tuple[list[str], dict[str, clocks.Clock], int]:
    """The tables and clocks of hosts that have both; how many have not, each of which is named."""
    files: list[str] = []
    machines: dict[str, clocks.Clock] = {}
    for host in found:
        try:
            clock, table = hosts.clock(host), hosts.table(host)
            if not clock.pairs:
                raise InputError(f"{host.name}: clocks.jsonl has no pair of clock readings")
        except KedrError as error:
            _say(f"{program}: left out: {error}", sys.stderr)
            continue
        if lost := hosts.loss(host):
            _say(f"{program}: {host.name}{lost}", sys.stderr)
        files.append(table)
        machines[host.name] = clock
    return files, machines, len(found) - len(machines)


KINDS = {
    "trace-dat": Kind("trace.dat for trace-cmd and KernelShark", _trace_dat, lambda host: f"{host}.dat"),
    "text": Kind("the text that the kernel printed, byte for byte", _kernel_text, lambda host: f"{host}.txt"),
    "perfetto": Kind("for the Perfetto UI, with the manifest that merges hosts", _perfetto, perfetto.file_name),
}
