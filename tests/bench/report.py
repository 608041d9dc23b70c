# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints speeds and sizes of one run. Usage: report.py RUN_DIR CACHE_DIR BEGUN ENDED (seconds since the epoch)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path


def steps_of(host: Path) -> list[dict]:
    """Return what each step of a host wrote down."""
    return [json.loads(line) for line in (host / "steps.jsonl").read_text().splitlines()]


def patching_of(host: Path) -> tuple[int, int]:
    """Return the scanned bytes and the nanoseconds that the controller reported; 0 without a report."""
    scanned = nanoseconds = 0
    sites = host / "sites.txt"
    for line in sites.read_text().splitlines() if sites.exists() else ():
        words = line.split()
        if words[:1] == ["text"] and "scanned" in words:
            scanned += int(words[words.index("scanned") + 1])
        elif words[:1] == ["nanoseconds"]:
            nanoseconds = int(words[1])
    return scanned, nanoseconds


def rows(run: Path, cache: Path, seconds: float) -> Iterator[tuple[str, str]]:
    """Yield what was measured, and its value with its unit."""
    yield "warm make verify, end to end", f"{seconds:.1f} s"
    for host in sorted(path.parent for path in run.glob("*/steps.jsonl")):
        steps = steps_of(host)
        yield f"{host.name}: steps", f"{sum(step['seconds'] for step in steps):.1f} s"
        yield f"{host.name}: round trips", f"{sum(step['round_trips'] for step in steps)}"
        for step in steps:
            yield f"{host.name}: {step['step']}", f"{step['seconds']:.2f} s, {step['round_trips']} round trips"
        scanned, nanoseconds = patching_of(host)
        if scanned:
            yield f"{host.name}: patching", f"{nanoseconds / 1e6 / (scanned / 1e6):.2f} ms per MB ({scanned} bytes)"
    for image in sorted(cache.glob("images/*/disk.raw")):
        stat = image.stat()
        size = f"{stat.st_blocks * 512 / 1e6:.0f} MB on disk, {stat.st_size / 1e6:.0f} MB long"
        yield f"image {image.parent.name}", size


def main() -> None:
    run, cache = Path(sys.argv[1]), Path(sys.argv[2])
    for what, value in rows(run, cache, float(sys.argv[4]) - float(sys.argv[3])):
        print(f"{what:<40} {value}")


if __name__ == "__main__":
    main()
