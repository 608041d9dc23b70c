# SPDX-License-Identifier: GPL-3.0-or-later
"""A verify: the target is exercised, and its trace must show what is expected.

``KIND`` lists its steps and the checks of its evidence: a new check is a file in ``checks/`` and a line here.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..evidence.expect import Expect
from ..evidence.policy import Policy
from . import entry, reproduce
from .case import Case, read_run
from .checks import counts, end, exercise, facts, guest, logs, plans, sites, steps, trace, witness
from .judge import RunKind, judge

STEPS = (
    "facts", "render", "build", "load", "trace", "target", "exercise", "unload_target", "collect", "unload", "release",
)  # fmt: skip

KIND = RunKind(STEPS, (
    facts.check, steps.check, plans.check,
    logs.console, logs.dmesg, steps.boots,
    exercise.check, steps.agreement,
    counts.ring_buffer, sites.check, trace.check, counts.calls, witness.check, sites.callers,
    end.check, end.gone,
    steps.files, guest.check,
))  # fmt: skip


def judge_run(
    run_dir: str, hosts: Iterable[str], expects: Mapping[str, Expect], policy: Policy, again: str = ""
) -> list[dict[str, Any]]:
    """Judge all hosts of a verify, in the order given; returns what results.json holds.

    ``expects`` has the expectations of each host by its name.
    ``again`` is the command that repeats a host, with ``{host}`` for the host's name; without it the command
    line in run.json is taken, limited to the host.
    Raises ForeignError when run.json is missing or unusable.
    """
    info = read_run(run_dir)
    found = []
    for name in dict.fromkeys(hosts):
        case = _case(run_dir, name, info["hosts"].get(name), expects[name], policy)
        found.append(entry.of_verify(case, judge(case, KIND), reproduce.command(info, name, again)))
    return found


def _case(run_dir: str, name: str, info: Any, expect: Expect, policy: Policy) -> Case:
    """The case of a host, of which run.json says ``info``."""
    known = info if isinstance(info, dict) else {}
    run_id, path = os.path.basename(os.path.normpath(run_dir)), os.path.join(run_dir, name)
    case = Case(name, run_id, path, known, expect, policy, STEPS, (expect.target,))
    if not known:
        case.add("missing", "run.json", "it does not name this host: what was known of it is not there")
    watched = str(known.get("target") or expect.target)
    if watched.replace("-", "_") != expect.target:
        case.add("missing", expect.path, f"these are the expectations of {expect.target}; the run was of {watched}")
    return case
