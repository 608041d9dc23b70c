# SPDX-License-Identifier: GPL-3.0-or-later
"""The run directory: ``RUNS/ID/`` with run.json, and ``RUNS/latest`` that points to the newest run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_HOST = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")


class RunError(Exception):
    """A run directory that cannot be made; the text says why and what to do."""


def new_id(now: float, pid: int) -> str:
    """``20260131T235959Z-4711``: time in UTC and the process that runs."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)) + f"-{pid}"


def make_run(runs_dir: str, run_id: str, about: Mapping[str, Any]) -> str:
    """Make the directory of a run (mode 0700) with run.json, point ``latest`` to it; returns its path.

    The directory may be there already, since the lab writes the guests' consoles into it from power-on;
    it is a run of its own when it holds run.json.

    ``about`` goes into run.json and has the hosts under ``hosts``.  Raises RunError.
    """
    if not _ID.fullmatch(run_id) or run_id == "latest":
        raise RunError(
            f"run_id '{run_id[:100]}' cannot name a run: letters, digits, '.', '_' and '-' are allowed, "
            "a '.' at the beginning and the word 'latest' are not"
        )
    for name in about["hosts"]:
        if not _HOST.fullmatch(name):
            raise RunError(
                f"the host name {name[:100]!r} cannot name a directory: letters, digits, '.', '_' and '-' "
                "are allowed; rename the host in the inventory"
            )
    path = os.path.join(runs_dir, run_id)
    try:
        os.makedirs(runs_dir, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        os.chmod(path, 0o700)
        with open(
            os.open(os.path.join(path, "run.json"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as stream:
            json.dump({"run_id": run_id, **about}, stream, indent=1, sort_keys=True)
            stream.write("\n")
        _point(runs_dir, run_id)
    except FileExistsError:
        raise RunError(f"{path} exists already; give another run_id, or none") from None
    except OSError as error:
        raise RunError(f"{path} cannot be made: {error.strerror or error}; choose another runs_dir") from None
    return path


def _point(runs_dir: str, run_id: str) -> None:
    link = os.path.join(runs_dir, "latest")
    temporary = os.path.join(runs_dir, f".latest.{run_id}")
    if os.path.isdir(link) and not os.path.islink(link):
        raise OSError(0, f"{link} is a directory of its own; move it away")
    os.symlink(run_id, temporary)
    os.replace(temporary, link)
