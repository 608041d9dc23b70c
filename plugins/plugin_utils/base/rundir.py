# SPDX-License-Identifier: GPL-3.0-or-later
"""The run directory: ``RUNS/ID/`` with run.json, and ``RUNS/latest`` that points to the newest run.

run.json keeps the command line of the run; what may be a secret in it is left out.
"""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import ownership
from .errors import InputError, KedrError
from .files import append_file, write_file

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
HOST_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")
HIDDEN = "…"
MAX_LOG = 64 << 20
"""Bytes of a kernel log or a console that are looked through."""
ROW_KEYS = ("name", "system", "kernel", "arch", "group", "why", "variant")
"""What run.json says of a host that is a row of data/systems.yml; the last one is optional."""

_OPTION = re.compile(r"(-[bCDJKkv]*[el]|--ex[a-z-]*|--lim[a-z]*)=?(.*)", re.DOTALL)
_SECRET = re.compile(r"pass|secret|key|token", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"""(?<![\w-])([\w.]*(?:pass|secret|key|token)[\w.]*["'\\]*\s*[=:]).*""", re.IGNORECASE | re.DOTALL
)


def new_id(now: float, pid: int) -> str:
    """``20260131T235959Z-4711``: time in UTC and the process that runs."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)) + f"-{pid}"


def begins(run_id: str) -> str:
    """Return the line that begins a run in the kernel log of a host."""
    return f"kedr: run {run_id} begins"


def ends(run_id: str) -> str:
    """Return the line that ends a run in the kernel log of a host."""
    return f"kedr: run {run_id} ends"


def check_hosts(names: Iterable[str]) -> None:
    """Raise InputError for a host name that cannot name a directory below the run."""
    for name in names:
        if not HOST_NAME.fullmatch(name):
            raise InputError(f"the host name {name[:100]!r} cannot name a directory: letters, digits, '.', '_' and '-' "
                             "are allowed, a '.' at the beginning is not; rename the host in the inventory")


def arguments(command: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """The words of a command line of Ansible, each with None.

    An option that gives extra variables or a limit comes with its value, in whichever way it was written.
    """
    words = iter(command)
    for word in words:
        found = _OPTION.fullmatch(word)
        if found is None:
            yield word, None
        else:
            yield found[1], found[2] or next(words, "")


def is_limit(option: str) -> bool:
    """Is an option of ``arguments`` with a value the limit (else it gives extra variables)?"""
    return option.startswith("--lim") or (option[:2] != "--" and option.endswith("l"))


def without_secrets(command: Iterable[str]) -> list[str]:
    """A command line of Ansible in which no extra variable tells a secret."""
    kept: list[str] = []
    for word, value in arguments(command):
        kept.append(word)
        if value is not None:
            kept.append(value if is_limit(word) else _hide_variables(value))
    return kept


def _hide_variables(text: str) -> str:
    """Extra variables without secrets: of JSON and YAML nothing is kept, else what stands before the first."""
    if text.lstrip()[:1] in ("{", "["):
        return HIDDEN if _SECRET.search(text) or "\\" in text else text
    return hide_values(text)


def hide_values(text: str) -> str:
    """``a=b password=…``: text up to the value of the first name that sounds like a secret."""
    return _SECRET_VALUE.sub(lambda found: found[1] + HIDDEN, text)


def is_secret(name: str) -> bool:
    """Does the name of a variable sound like a secret?"""
    return _SECRET.search(name) is not None


def make_run(runs_dir: str, run_id: str, about: Mapping[str, Any]) -> str:
    """Make the directory of a run (mode 0700) with run.json, point ``latest`` to it; returns its path.

    The directory may be there already, since the lab writes the guests' consoles into it from power-on;
    it is a run of its own when it holds run.json.

    ``about`` goes into run.json and has the hosts under ``hosts``.  Raises InputError.
    """
    if not _ID.fullmatch(run_id) or run_id == "latest":
        raise InputError(f"run_id '{run_id[:100]}' cannot name a run: letters, digits, '.', '_' and '-' are allowed, "
                         "a '.' at the beginning and the word 'latest' are not")
    check_hosts(about["hosts"])
    path = os.path.join(runs_dir, run_id)
    try:
        ownership.check(runs_dir, "the directory of runs")
        ownership.make(os.path.abspath(runs_dir), 0o755)
        ownership.check(path, "the run directory")
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        os.chmod(path, 0o700)
        with open(
            os.open(os.path.join(path, "run.json"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as stream:
            whole = {"run_id": run_id, **about}
            json.dump({**whole, "sum": seal(hashlib.sha256(), whole)}, stream, indent=1, sort_keys=True)
            stream.write("\n")
        _point(runs_dir, run_id)
    except KedrError as error:
        raise InputError(str(error)) from None
    except FileExistsError:
        raise InputError(f"{path} exists already; give another run_id, or none") from None
    except OSError as error:
        raise InputError(f"{path} cannot be made: {error.strerror or error}; choose another runs_dir") from None
    return path


def _point(runs_dir: str, run_id: str) -> None:
    link = os.path.join(runs_dir, "latest")
    temporary = os.path.join(runs_dir, f".latest.{run_id}")
    if os.path.isdir(link) and not os.path.islink(link):
        raise OSError(0, f"{link} is a directory of its own; move it away")
    os.symlink(run_id, temporary)
    os.replace(temporary, link)


def seal(above: Any, record: Mapping[str, Any]) -> str:
    """The checksum of a record, and of what stands above it in its file, whose SHA-256 so far is ``above``."""
    digest = above.copy()
    digest.update(json.dumps(record, sort_keys=True).encode())
    return str(digest.hexdigest())


def keep(path: str, content: str | bytes) -> None:
    """Write a file of a run whole or not at all, and make its directory (mode 0700).  Raises OSError."""
    ownership.make(os.path.dirname(path))
    write_file(path, content)


def append(path: str, content: str | bytes) -> None:
    """Append to a file of a run in one write, and make its directory (mode 0700).  Raises OSError."""
    ownership.make(os.path.dirname(path))
    append_file(path, content)
