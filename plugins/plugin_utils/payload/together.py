# SPDX-License-Identifier: GPL-3.0-or-later
"""Data files that are to be loaded together: all are read, and no two may claim one module or one function."""

import os
from collections.abc import Iterable

from .model import Payload, Problem
from .read import Claims, Reading, read_file


def read_together(paths: Iterable[str]) -> tuple[list[Payload], list[Problem], bool]:
    """Return the payloads without a mistake, every mistake of every file, and whether all files could be read.

    A file that is named twice is read once. Files with mistakes take part in the search for conflicts.
    """
    readings: list[Reading] = []
    seen: set[str] = set()
    for path in paths:
        real = os.path.realpath(path) if "\0" not in path else path
        if real not in seen:
            seen.add(real)
            readings.append(read_file(path))
    problems = [problem for reading in readings for problem in reading.problems]
    problems += conflicts(reading.claims for reading in readings)
    payloads = [reading.payload for reading in readings if reading.payload]
    return payloads, problems, all(reading.readable for reading in readings)


def conflicts(files: Iterable[Claims]) -> list[Problem]:
    """Return what is wrong about files that are loaded together: modules and functions that two of them claim."""
    problems: list[Problem] = []
    modules: dict[str, Claims] = {}
    functions: dict[str, tuple[Claims, int]] = {}
    for file in files:
        first = modules.setdefault(file.module, file) if file.module else file
        if first is not file:
            text = f"module.name {file.module!r} is also that of {first.path}; give each payload its own"
            problems.append(Problem(file.path, file.module_line, text))
        for name, line in file.functions:
            owner, earlier = functions.setdefault(name, (file, line))
            if owner is not file:
                text = f"function {name!r} is already in {owner.path}:{earlier}"
                rule = "one function can be replaced by one payload only"
                problems.append(Problem(file.path, line, f"{text}; {rule}"))
    return problems
