# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints how fast pages of the ring buffer become the table of records. Usage: bench_parse.py [MILLIONS].

The pages are those of tests/unit/data/host, over and over with times that go on, about MILLIONS (default 1) records.
Everything runs on one core; what counts is processor time, of the rounds the best. Beside it, in the same run and on
the same records: `trace-cmd report | wc -l` on the trace.dat that kedr export makes, and the kernel's text read by
plugin_utils/trace/text.py.
"""

from __future__ import annotations

import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils.trace import collected

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".collections"))
SAMPLE = ROOT / "tests" / "unit" / "data" / "host"
ROUNDS = 3

from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import host_records
from ansible_collections.kedr.lab.plugins.plugin_utils.export import trace_dat
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import dataset, pages, rows


class Way(NamedTuple):
    """One way to read records: what it is called, what does it (returns the records), the bytes that it reads."""

    name: str
    read: Callable[[], int]
    size: int


def cpu_seconds() -> float:
    """Processor time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def make_pages(host: Path, copies: int) -> int:
    """Repeat the sample's pages; returns their size."""
    layout = pages.parse_header_page((SAMPLE / "header.txt").read_text())
    raw = (SAMPLE / "raw" / "cpu0.pages").read_bytes()
    whole = [raw[at : at + layout.size] for at in range(0, len(raw), layout.size)]
    first, last = (struct.unpack_from("<Q", whole[index])[0] for index in (0, -1))
    span = (last - first) * len(whole) // (len(whole) - 1)
    with open(host / "raw" / "cpu0.pages", "wb") as out:
        for copy in range(copies):
            for page in whole:
                out.write(struct.pack("<Q", struct.unpack_from("<Q", page)[0] + copy * span) + page[8:])
    return copies * len(raw)


def make_dat(host: Path, path: Path) -> None:
    """Write the trace.dat of the same pages."""
    texts = {name: (host / name).read_text() for name in ("header.txt", "formats.txt", "comms.txt", "stats.txt")}
    with open(path, "wb") as out:
        trace_dat.write(out, texts, {0: str(host / "raw" / "cpu0.pages")}, "", "local")


def make_text(host: Path, copies: int) -> int:
    """Repeat the sample's text, a tenth as often, and leave the pages out; returns its size."""
    shutil.rmtree(host / "raw")
    lines = (SAMPLE / "trace.txt").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("#")) * max(1, copies // 10)
    (host / "trace.txt").write_text(text)
    return len(text)


def batches(host: Path) -> Iterator[rows.pa.RecordBatch]:
    return host_records.find(str(host), "bench").batches()


def ways(top: Path, copies: int) -> Iterator[Way]:
    """Make the files and name the ways."""
    binary, printed = (Path(shutil.copytree(SAMPLE, top / name)) for name in ("binary", "printed"))
    size, dat = make_pages(binary, copies), top / "trace.dat"

    def walk() -> int:
        layout, found = pages.parse_header_page((binary / "header.txt").read_text()), 0
        with open(binary / "raw" / "cpu0.pages", "rb") as stream:
            while data := stream.read(collected.CHUNK):
                found += len(pages.walk(data, layout).at)
        return found

    yield Way("pages -> records", walk, size)
    yield Way("pages -> table", lambda: sum(batch.num_rows for batch in batches(binary)), size)
    yield Way("pages -> Parquet", lambda: dataset.write(str(top / "records"), "r", "s", "h", batches(binary)), size)
    if shutil.which("trace-cmd"):
        make_dat(binary, dat)
        command = f"trace-cmd report -i '{dat}' 2>/dev/null | grep -v '^cpus=' | wc -l"
        yield Way("trace-cmd report | wc", lambda: int(subprocess.check_output(["sh", "-c", command])), size)
    else:
        print("trace-cmd is not installed: nothing is compared with it")
    length = make_text(printed, copies)
    yield Way("text -> table", lambda: sum(batch.num_rows for batch in batches(printed)), length)


def main() -> None:
    copies = int(float(sys.argv[1] if len(sys.argv) > 1 else "1") * 1e6) // 783 + 1
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows.pa.set_cpu_count(1)
    base = 0.0
    print(f"{'':24}{'records':>10}{'CPU s':>8}{'records/s':>12}{'MB/s':>8}{'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for way in ways(Path(folder), copies):
            best, count = float("inf"), 0
            for _round in range(ROUNDS):
                begun = cpu_seconds()
                count = way.read()
                best = min(best, cpu_seconds() - begun)
            speed = count / best
            base = base or speed
            print(
                f"{way.name:24}{count:>10}{best:>8.2f}{speed:>12.0f}{way.size / best / 1e6:>8.1f}{speed / base:>7.2f}"
            )
        size = sum(path.stat().st_size for path in Path(folder, "records").rglob("*.parquet"))
        print(f"Parquet: {size} bytes, {size / (copies * 783):.1f} for each record")


if __name__ == "__main__":
    main()
