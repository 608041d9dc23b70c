# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a test host: the text of a hold, and whether the run behind it still lives.

A hold is words ``NAME=VALUE``: ``run`` ``by`` ``as`` (the host's name in the inventory of that run) ``pid`` ``start``
(of the process that runs the playbook, start in ticks since the control node's boot) ``node`` (which control node: its
boot and its namespace of processes), then ``since`` (seconds since 1970) ``boot`` ``up`` (boot and uptime of the host).
"""

import getpass
import os
import re
import socket
import time
from collections.abc import Mapping

from ..base.processes import start_of

LEASE = 3600
"""Seconds for which a hold of another control node is believed while nothing on the host shows a sign of life."""

_WORD = re.compile(r"([a-z]{1,10})=([A-Za-z0-9_.@:+/-]{0,300})\Z")
_ODD = re.compile(r"[^A-Za-z0-9_.-]")


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def this_node(proc: str = "/proc") -> str:
    """Which start of which machine, and which namespace of processes, this is."""
    boot = _read(os.path.join(proc, "sys/kernel/random/boot_id")).strip()
    try:
        space = re.sub(r"[^0-9]", "", os.readlink(os.path.join(proc, "self/ns/pid")))
    except OSError:
        space = ""
    return f"{boot}/{space}"


def claim(run_id: str, host: str, pid: int) -> str:
    """The words with which process ``pid`` takes ``host`` for a run; the same whenever they are made."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    by = f"{_ODD.sub('_', user)}@{_ODD.sub('_', socket.gethostname())}"
    return f"run={_ODD.sub('_', run_id)} by={by} as={host} pid={pid} start={start_of(pid)} node={this_node()}"


def parse(text: str) -> dict[str, str]:
    """Return the words of a hold as {name: value}; anything else in the text is left out."""
    return {found[1]: found[2] for found in map(_WORD.match, text.split(" ")) if found}


def is_dead(hold: Mapping[str, str], boot: str, uptime: float, streams: bool) -> bool:
    """Is the run behind a hold over?  ``boot``, ``uptime`` and ``streams`` are what the host says now."""
    if hold.get("boot") != boot:
        return True
    if hold.get("node") == this_node():
        pid = hold.get("pid", "")
        return not pid.isdigit() or start_of(int(pid)) != hold.get("start")
    taken = hold.get("up", "")
    return not streams and (not taken.isdigit() or uptime - int(taken) > LEASE)


def describe(hold: Mapping[str, str]) -> str:
    """Return a sentence that says who holds the host."""
    since = hold.get("since", "")
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(int(since))) if re.fullmatch(r"\d{1,11}", since) else "?"
    return (
        f"run {hold.get('run', '?')} of {hold.get('by', '?')} (process {hold.get('pid', '?')}, "
        f"host {hold.get('as', '?')}) since {when}"
    )
