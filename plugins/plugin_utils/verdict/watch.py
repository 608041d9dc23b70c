# SPDX-License-Identifier: GPL-3.0-or-later
"""A watch: targets are traced while others use them, and OK needs counts that add up and nothing lost but by choice.

``KIND`` lists its steps and the checks of its evidence: a new check is a file in ``checks/`` and a line here.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..base import rundir
from ..base.foreign import plain
from ..base.packages import need
from ..evidence.expect import Expect, Taint
from ..evidence.policy import Policy
from . import entry
from .case import Case, read_run
from .checks import accounts, end, facts, guest, logs, plans, sites, steps, stream
from .judge import RunKind, judge

STEPS = (
    "facts", "render", "build", "load", "trace", "target", "stream", "unload_target", "collect", "drain", "unload",
    "release",
)  # fmt: skip

KIND = RunKind(STEPS, (
    facts.check, steps.check, plans.check,
    logs.console, logs.dmesg, steps.boots,
    stream.check, stream.received,
    sites.targets, accounts.check, sites.check, sites.callers,
    end.check, end.gone,
    steps.files, guest.check,
))  # fmt: skip

TAINT = Taint(
    "Modules out of the kernel's tree, unsigned, proprietary or of staging taint the kernel by being loaded.",
    {
        1: "a proprietary module",
        1024: "a module of staging",
        4096: "a module from outside of the kernel's tree",
        8192: "a module without a valid signature",
    },
    (4096,),
)
"""What loading the modules of a watch may do; the controller is from outside of the kernel's tree."""


def judge_run(run_dir: str, hosts: Iterable[str], policy: Policy) -> dict[str, Any]:
    """Judge the hosts of a watch; returns what watch.json holds, and writes their tables of records.

    Raises KedrError when a package is missing, ForeignError when run.json is missing or unusable.
    """
    need("numpy", "pyarrow")
    known = read_run(run_dir)["hosts"]
    cases = [_case(run_dir, name, known.get(name), policy) for name in dict.fromkeys(hosts)]
    targets = dict.fromkeys(name for info in known.values() if isinstance(info, dict) for name in _targets(info))
    return {
        "run_id": plain(_run_id(run_dir), 100),
        "targets": [plain(name, 100) for name in targets],
        "hosts": [entry.of_watch(case, judge(case, KIND)) for case in cases],
    }


def hosts_of(run_dir: str) -> list[str]:
    """Return the hosts that a run was about.  Raises ForeignError, InputError."""
    names = [str(name) for name in read_run(run_dir)["hosts"]]
    rundir.check_hosts(names)
    return names


def _case(run_dir: str, name: str, info: Any, policy: Policy) -> Case:
    """The case of a host, of which run.json says ``info``."""
    known = info if isinstance(info, dict) else {}
    targets = _targets(known)
    expect = Expect("", targets[0] if targets else "", (*targets, "cp_controller"), (), TAINT)
    return Case(name, _run_id(run_dir), os.path.join(run_dir, name), known, expect, policy, STEPS, targets)


def _run_id(run_dir: str) -> str:
    return os.path.basename(os.path.realpath(run_dir))


def _targets(info: Mapping[str, Any]) -> tuple[str, ...]:
    """The modules that a host was to be watched for."""
    given = info.get("targets")
    names = given if isinstance(given, list) else str(info.get("target") or "").split(",")
    return tuple(dict.fromkeys(str(name).strip().replace("-", "_") for name in names if str(name).strip()))
