# SPDX-License-Identifier: GPL-3.0-or-later
"""The stream of a watch (``stream.json``, ``raw/*.sums``): has all come, and is it still what came?"""

from ...base import sums
from ...base.errors import about
from ...base.foreign import plain
from ..case import Case, Decision

NAME = "stream.json"


def check(case: Case) -> None:
    """Did all come that the host had to send?"""
    told = case.json(NAME, dict)
    case.snapshot = told.get("mode") == "snapshot"
    local = told.get("local_command")
    if isinstance(local, dict) and local.get("status") != 0 and not local.get("killed"):
        text = f"the command on the control node ended with exit status {local.get('status')}"
        case.add("fail", NAME, text)
    if told.get("complete") is True:
        case.add("ok", NAME, "the host has said that all was sent, and all has come")
        return
    error = plain(told.get("error") or "the stream has no end", 500)
    case.add("missing", NAME, error)
    if told.get("error"):
        case.trouble = Decision("INFRA", f"{NAME}: {error}")


def received(case: Case) -> None:
    """Are the files of the stream still what was received, by their checksums?"""
    with about("raw"), about(case.path):
        wrong = sums.damage(case.path)
    for name, text in wrong.items():
        case.add("missing", name, text)
    case.damaged = bool(wrong)
    if not wrong:
        case.add("ok", "raw", "the trace is what was received, by its checksums")
