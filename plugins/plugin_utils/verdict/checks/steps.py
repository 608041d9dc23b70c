# SPDX-License-Identifier: GPL-3.0-or-later
"""``steps.jsonl``: was every step done, in order, and in one boot of the host?"""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from ...base import rundir
from ...base.errors import ForeignError
from ...base.files import strict_json
from ...base.foreign import plain
from ...base.steps import NAME, STATUSES
from ..case import Case, Decision, data_of, one_line
from . import guest

ONCE = ("load", "trace", "target", "exercise", "unload_target", "collect", "unload", "release")
"""Steps that a run does once."""


def read(case: Case) -> None:
    """Read the records of the steps; each has a checksum of itself and of all that stands above it."""
    above, sealed = hashlib.sha256(), []
    for number, line in enumerate(case.text(NAME).splitlines(), 1):
        step = _record(line)
        if step is None:
            case.add("missing", NAME, f"line {number} is not the record of a step")
            continue
        sealed.append(step.get("sum") is not None)
        if sealed[-1] and step["sum"] != rundir.seal(above, {key: step[key] for key in step if key != "sum"}):
            case.add("missing", NAME, f"line {number}, or one above it, is not what was written")
        above.update(line.encode("utf-8", "surrogateescape") + b"\n")
        case.steps.append(step)
        files = step.get("files")
        for name, digest in files.items() if isinstance(files, dict) else ():
            case.files[name] = str(digest)
    if any(sealed) and not all(sealed):
        case.add("missing", NAME, "a record of a step has no checksum")


def _record(line: str) -> dict[str, Any] | None:
    try:
        step = strict_json(line)
    except ForeignError:
        return None
    good = isinstance(step, dict) and isinstance(step.get("step"), str) and step.get("status") in STATUSES
    return step if good else None


def check(case: Case) -> None:
    """Let the first step that is not ok decide, unless a later one shows that the system died."""
    if not case.steps:
        return
    for step in case.steps:
        outcome = _judge_step(case, step)
        if outcome is None:
            continue
        case.add("note" if outcome.verdict in ("SKIP", "INFRA") else "fail", NAME, f"step {outcome.reason}")
        if case.failed is None or (outcome.verdict == "CRASH" and case.failed.verdict == "INFRA"):
            case.failed = outcome
    case.has_evidence = case.failed is None or case.was_done("load")
    if case.failed is not None:
        return
    absent = [name for name in case.wanted if not case.was_done(name)]
    if absent:
        case.add("missing", NAME, f"no record that these steps were done: {', '.join(absent)}")
    else:
        _check_order(case)


def _check_order(case: Case) -> None:
    """All steps are done: were they done one after another, and those that load, work and unload once?"""
    names = [step["step"] for step in case.steps]
    last = [len(names) - 1 - names[::-1].index(name) for name in case.wanted]
    again = [name for name in case.wanted if name in ONCE and names.count(name) > 1]
    if again:
        case.add("missing", NAME, f"recorded more than once: {', '.join(again)}")
    elif last != sorted(last):
        case.add("missing", NAME, "the steps are not recorded in the order in which they are done")
    else:
        case.add("ok", NAME, f"all {len(case.wanted)} steps done")


def _judge_step(case: Case, step: Mapping[str, Any]) -> Decision | None:
    """What a step decides that is not ok; None for one that is."""
    status, name, kind = step["status"], step["step"], step.get("kind")
    reason = one_line(step.get("reason")) or "no reason given"
    if status == "ok":
        if kind:
            case.add("missing", NAME, f"{name} is recorded as ok and as {plain(kind, 20)}: {reason}")
        return None
    if status == "unreachable":
        return _judge_lost(case, name, reason)
    if status in ("refused", "skipped"):
        return Decision("SKIP", f"{name}: {reason}")
    return Decision(kind if kind in ("FAIL", "INFRA", "SKIP") else "FAIL", f"{name}: {reason}")


def _judge_lost(case: Case, step: str, reason: str) -> Decision:
    """A host that was lost: CRASH when its guest is dead or did not answer again with modules loaded, else INFRA."""
    if guest.read(case).get("alive") is False:
        return Decision("CRASH", f"{step}: the guest is gone: its QEMU process has ended")
    if not _loading(case, step):
        return Decision("INFRA", f"{step}: not reachable: {reason}")
    if _answered_after(case):
        return Decision("INFRA", f"{step}: lost contact at step {step}, and the host lived on: {reason}")
    seen = "see its console" if case.has("console.log") else "no console"
    return Decision("CRASH", f"{step}: lost contact at step {step}; {seen}: {reason}")


def _answered_after(case: Case) -> bool:
    """Did the host answer, in the same boot, after contact was lost last?"""
    lost = [index for index, entry in enumerate(case.steps) if entry["status"] == "unreachable"]
    later = case.steps[lost[-1] + 1 :] if lost else []
    return bool(case.boot) and any(entry["status"] == "ok" and entry.get("boot") == case.boot for entry in later)


def _loading(case: Case, step: str) -> bool:
    """Was a module loaded, or being loaded, when contact was lost at ``step``?"""
    names = [entry["step"] for entry in case.steps]
    order = {name: index for index, name in enumerate(case.wanted)}
    names = names[: names.index(step) + 1] if step in names else [*names, step]
    # A host is let go of whether or not anything was loaded there.
    return any(name != "release" and order.get(name, -1) >= order["load"] for name in names)


def boots(case: Case) -> None:
    """Was the host started anew after its facts were read?  That decides: it is a crash."""
    if not case.boot:
        raise ForeignError("no 'boot_id': it is not known whether the host was restarted during the run", "facts.json")
    places = [index for index, step in enumerate(case.steps) if step["step"] == "facts"]
    since = [step for step in case.steps[places[-1] if places else 0 :] if step.get("boot")]
    if not since:
        raise ForeignError("no step says which boot of the host it ran in", NAME)
    before = "facts"
    for step in since:
        if step["boot"] != case.boot:
            case.add("fail", NAME, f"the host was restarted between the steps {before} and {step['step']}")
            case.restarted = Decision("CRASH", f"{step['step']}: the host was restarted after the step {before}")
            return
        before = step["step"]
    case.add("ok", NAME, "the host was not restarted during the run")


def agreement(case: Case) -> None:
    """Do the steps that trace and collect agree with what they brought, and with the name of the run?"""
    for step in case.steps:
        data = data_of(step) if step["step"] in ("trace", "collect") else {}
        missing = data.get("missing")
        if missing:
            named = ", ".join(map(str, missing)) if isinstance(missing, list) else missing
            case.add("missing", NAME, f"collect: not there on the host: {plain(named, 300)}")
        if data.get("instance") is True and case.run_id not in str(data.get("tracing_dir")):
            place = plain(data.get("tracing_dir"), 200)
            case.add("missing", NAME, f"trace: the trace instance {place} is not one of this run")


def files(case: Case) -> None:
    """Is every file that a step brought, and that no other check has opened, what was received?"""
    for name in sorted(set(case.files) - case.opened):
        case.attempt(partial(_file, name=name))


def _file(case: Case, name: str) -> None:
    case.open(name).close()
