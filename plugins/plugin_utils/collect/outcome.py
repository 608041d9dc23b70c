# SPDX-License-Identifier: GPL-3.0-or-later
"""How a round of a watch went on one host: its ``stream.json``, and the records of its steps."""

import hashlib
import json
import os
import time
from typing import Any

from ..base import rundir, steps
from ..base.errors import ForeignError
from ..base.files import read_json
from ..base.foreign import printable
from .watch import Watch, WatchedHost

_KEPT = ("began", "ended_by", "peak", "command", "local_command")
"""What the last round keeps of the one before."""


def step(final: bool) -> str:
    """The name of the step that a round is."""
    return "drain" if final else "stream"


def keep(watch: Watch, one: WatchedHost) -> dict[str, Any]:
    """Write stream.json of a host and the record of the step; return what the file holds.  Raises OSError."""
    host = one.stream
    path = os.path.join(host.directory, "stream.json")
    about = {**_earlier(path), **_about(watch, one)}
    about.setdefault("began", round(watch.begun.wall, 3))
    if one.script:
        _record_command(watch, one, about["command"])
    text = json.dumps(about, indent=1, sort_keys=True) + "\n"
    rundir.keep(path, text)
    steps.record(
        host.directory, step(watch.final), watch.begun, steps.outcome("INFRA", about["error"]), round_trips=1,
        boots=[host.boot] if host.boot else [],
        data={key: about[key] for key in ("records", "received", "complete")},
        files={**host.texts, "stream.json": hashlib.sha256(text.encode()).hexdigest()},
    )  # fmt: skip
    return about


def refuse(run_dir: str, name: str, final: bool, reason: str) -> None:
    """Record of a host that its stream was not begun.  Raises OSError."""
    if rundir.HOST_NAME.fullmatch(name):
        outcome = steps.outcome("INFRA", reason)
        steps.record(os.path.join(run_dir, name), step(final), steps.begin(), outcome)


def _about(watch: Watch, one: WatchedHost) -> dict[str, Any]:
    """What this round has to say."""
    host = one.stream
    about: dict[str, Any] = {
        "mode": "stream" if watch.streams else "snapshot", "ended": round(time.time(), 3),
        "received": host.received, "records": dict(sorted(host.records.items())), "complete": host.complete,
        "error": printable(host.error, 1000), "lost_connections": host.lost_connections,
    }  # fmt: skip
    about.update({name: value for name, value in (("form", host.form), ("packing", host.packing)) if value})
    if not watch.final:
        about["ended_by"], about["peak"] = watch.ending.reason, one.rate.peak
    if one.script:
        _output, status, error = one.command_result()
        about["command"] = {"status": status, "error": error, "killed": one.ender is not None}
    if watch.local:
        about["local_command"] = {"status": watch.local.status, "killed": watch.local_killed}
    return about


def _record_command(watch: Watch, one: WatchedHost, command: dict[str, Any]) -> None:
    """A command that failed on its own is a failed step; one that was ended, since all was over, is not."""
    status = command["status"]
    reason = command["error"] or "the host did not say how the command ended"
    if status is not None:
        reason = f"the command ended with exit status {status}"
    bad = status != 0 and not command["killed"]
    outcome = steps.outcome("INFRA" if status is None else "FAIL", reason if bad else "")
    steps.record(one.stream.directory, "command", watch.begun, outcome, round_trips=1, data={"status": status})


def _earlier(path: str) -> dict[str, Any]:
    """What an earlier round of this run wrote down."""
    try:
        earlier = read_json(path)
    except ForeignError:
        return {}
    return {key: earlier[key] for key in _KEPT if key in earlier}
