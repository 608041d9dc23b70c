# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that repeats a run on one host, without secrets."""

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from ..base import rundir
from ..base.foreign import plain

_RUN_ID = re.compile(r"(?<!\S)kedr_run_id=\S*\s*")
_GIVEN_RUN_ID = re.compile(r" -e kedr_run_id=[\w.-]+|(?<=')-e kedr_run_id=[\w.-]+ ?")
"""A run has its own id, so the command that repeats it names none."""


def command(info: Mapping[str, Any], host: str, given: str = "") -> str:
    """Return the command that repeats a host: what was ``given``, else that of run.json, which says ``info``."""
    again = given.replace("{host}", host) or f"{_of_run(info)} --limit {shlex.quote(host)}"
    return plain(again, 4000)


def from_environment() -> str:
    """Return the command that whoever started this run gave for repeating it, or nothing."""
    return _GIVEN_RUN_ID.sub("", rundir.hide_values(os.environ.get("KEDR_REPRODUCE", "")))


def _of_run(info: Mapping[str, Any]) -> str:
    """The command of run.json without its limit, its secrets and the name that it gave to the run."""
    kept: list[str] = []
    for word, value in rundir.arguments(rundir.without_secrets(str(word) for word in info.get("command") or [])):
        if value is None:
            kept.append(word)
        elif rundir.is_limit(word):
            kept += [word[:-1]] if re.fullmatch(r"-[^-]+l", word) else []
        elif rest := _RUN_ID.sub("", value).strip():
            kept += [word, rest]
    place = f"cd {shlex.quote(str(info['directory']))} && " if info.get("directory") else ""
    return place + (shlex.join(kept) if kept else "ansible-playbook playbooks/verify.yml")
