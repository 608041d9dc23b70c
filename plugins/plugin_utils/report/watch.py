# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a watch -> watch.json, and a table for the terminal."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ..base.files import write_file
from ..base.table import table as table_of
from ..evidence.accounts import share
from .text import differs

NAME = "watch.json"
PAGE = "timeline.html"
"""The page that is made of it."""
HEADINGS = ("host", "system", "kernel", "records", "lost", "share", "verdict")
_NUMBERS = ("records", "lost", "share")


def dump(results: Mapping[str, Any]) -> str:
    """Return the text of watch.json."""
    return json.dumps(results, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(run_dir: str, results: Mapping[str, Any]) -> bool:
    """Write watch.json (mode 0600); returns whether it is new.

    When it cannot be written, an older one and its page are removed: they may say something else.  Raises OSError.
    """
    path, text = os.path.join(run_dir, NAME), dump(results)
    changed = differs(path, text)
    try:
        write_file(path, text)
    except OSError:
        for stale in (path, os.path.join(run_dir, PAGE)):
            with contextlib.suppress(OSError):
                os.unlink(stale)
        raise
    return changed


def table(results: Mapping[str, Any]) -> str:
    """Return a line for each host, below them why a host is not OK, and how many are."""
    hosts = results["hosts"]
    shown = table_of(HEADINGS, [_row(entry) for entry in hosts], [name in _NUMBERS for name in HEADINGS])
    for entry in hosts:
        if entry["verdict"] != "OK" or len(hosts) == 1:
            shown += _details(entry)
    return "\n".join([*shown, "", summary(results)])


def summary(results: Mapping[str, Any]) -> str:
    """Return ``watch: 3 of 4 hosts OK, 120 records, 0 lost``."""
    hosts = results["hosts"]
    good = sum(entry["verdict"] == "OK" for entry in hosts)
    came, lost = (sum(entry[key] for entry in hosts) for key in ("records", "lost"))
    return f"watch: {good} of {len(hosts)} hosts OK, {came} records, {lost} lost"


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    part = share(entry["lost"], entry["lost"] + entry["records"]) if entry["lost"] else "-"
    texts = {"records": str(entry["records"]), "lost": str(entry["lost"]), "share": part}
    return tuple(texts.get(name) or str(entry[name] or "-")[:40] for name in HEADINGS)


def _details(entry: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"{entry['host']}: {entry['verdict']}: {entry['reason']}"
    for check in entry["checks"]:
        yield f"  {'ok' if check['ok'] else 'BAD':<4} {check['name']}: {check['text']}"
    for note in entry["notes"]:
        yield f"  note {note}"
