# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence of one host -> its verdict, for every kind of run.

Absence is never OK: whatever evidence is missing, damaged or unreadable makes the verdict NO-RESULT, unless
something else already shows a failure.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from ..base import rundir
from ..evidence.finding import Finding
from .case import Case, Check, Decision
from .checks import facts, guest, logs, steps

OF_THE_TARGET = ("console.log", "dmesg.txt", "sites.txt")
"""What these show of the target stands, whatever else went wrong."""
CAUSES = (*OF_THE_TARGET, "stats.txt", "formats.txt", "calls.json", "witness.txt")
"""Sources of failures in the order in which one explains the next; what a rule says comes last."""
ALWAYS = (facts.check, steps.check, logs.console, logs.dmesg, guest.check)
"""The checks of a host on which a step failed before a module was loaded: what the others look at cannot be there."""


class RunKind(NamedTuple):
    """A kind of run: its steps in order, each of which must be ok, and its checks in the order in which they are made.

    The order of the checks is that of the findings, and the first of two findings of one weight is the reason.
    """

    steps: tuple[str, ...]
    checks: tuple[Check, ...]


def judge(case: Case, kind: RunKind) -> Decision:
    """Judge a host.  Never raises for what a host left behind, so that no host harms another."""
    try:
        decision = decide(case, kind.checks)
    except Exception as error:
        decision = Decision("NO-RESULT", f"the evidence cannot be judged: {type(error).__name__}: {error}")
        case.add("missing", ".", decision.reason)
    if decision.verdict != "OK":
        case.console = logs.tail(case)
    return decision


def decide(case: Case, checks: Sequence[Check]) -> Decision:
    """Make the checks; returns what follows from what they found."""
    nothing = _nothing_done(case)
    if nothing:
        return nothing
    for check in checks:
        if case.has_evidence or check in ALWAYS:
            case.attempt(check)
    if case.panic:
        where = case.decided.reason if case.decided else "after the last step"
        return Decision("CRASH", f"{where}; the console says: {case.panic}")
    return case.died or case.restarted or _outweighed(case) or case.decided or _by_findings(case)


def _nothing_done(case: Case) -> Decision | None:
    """Read the steps.  Returns the verdict of a host with which nothing can have been done."""
    if not rundir.HOST_NAME.fullmatch(case.name):
        case.add("missing", ".", "the host's name cannot name a directory")
        return Decision("NO-RESULT", "the host's name cannot name a directory; rename it in the inventory")
    there = os.path.isdir(case.path)
    if there:
        case.attempt(steps.read)
    dead = case.info.get("embedded") and case.info.get("alive") is False
    if dead and not any(step["status"] == "ok" for step in case.steps):
        case.add("note", "run.json", "the guest was not running when the run began")
        return Decision("INFRA", "the guest is not running; start it with make lab-up")
    if not there:
        case.add("missing", ".", "no directory of this host: nothing was recorded")
        return Decision("NO-RESULT", "no directory of this host in the run directory: nothing was recorded")
    return None


def _outweighed(case: Case) -> Decision | None:
    """FAIL when something was found of the target, which is the cause of a failed step or weighs more; else None."""
    decided = case.decided
    if decided is None or decided.verdict == "CRASH":
        return None
    found = next((one for one in _failures(case) if one.source in OF_THE_TARGET), None)
    return Decision("FAIL", f"{found.source}: {found.text}; {decided.reason}") if found else None


def _by_findings(case: Case) -> Decision:
    """The failure that explains the others decides; without one, the first evidence that is missing; else OK."""
    missing = [finding for finding in case.findings if finding.outcome == "missing"]
    for verdict, findings in (("FAIL", _failures(case)), ("NO-RESULT", missing)):
        if findings:
            return Decision(verdict, f"{findings[0].source}: {findings[0].text}")
    good = sum(finding.outcome == "ok" for finding in case.findings)
    return Decision("OK", f"all {good} checks hold")


def _failures(case: Case) -> list[Finding]:
    """What failed, causes first."""
    order = {source: rank for rank, source in enumerate(CAUSES)}
    failed = [finding for finding in case.findings if finding.outcome == "fail"]
    return sorted(failed, key=lambda finding: order.get(finding.source, len(order)))
