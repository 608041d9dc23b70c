# SPDX-License-Identifier: GPL-3.0-or-later
"""``end.json`` and the steps that unload: did everything go, and is the kernel tainted only as expected?"""

from collections.abc import Sequence
from typing import Any, TypeGuard

from ...base import steps
from ...base.errors import ForeignError
from ...base.foreign import plain
from ..case import MAX_NAMED, Case, data_of, number

NAME = "end.json"


def check(case: Case) -> None:
    """Is each target unloaded, and is the kernel tainted as expected?"""
    end = case.json(NAME, dict)
    modules = end.get("modules")
    if not isinstance(modules, list) or not all(isinstance(name, str) for name in modules):
        raise ForeignError("no list 'modules': it is not known what is still loaded", NAME)
    if number(end.get("uptime")) < number(case.facts.get("uptime")):
        times = f"up for {plain(end.get('uptime'), 20)} s, at the beginning {plain(case.facts.get('uptime'), 20)} s"
        case.add("missing", NAME, f"{times}: these are not of one run")
    for target in case.targets:
        if target in modules:
            case.add("fail", NAME, f"{target} was still loaded when the trace was collected")
        else:
            case.add("ok", NAME, f"{target} is unloaded")
    _check_taint(case, end.get("taint"))
    _note_modules(case, modules)


def gone(case: Case) -> None:
    """Do the steps that unload say, after they looked, that every module is gone?

    One that this run loaded must have been unloaded by it: if it was gone before, somebody else did that.
    """
    unloaded = _modules(case, ("unload_target", "unload"), "changed_modules")
    absent = _modules(case, ("unload_target", "unload"), "unchanged_modules")
    vanished = sorted((absent - unloaded) & _modules(case, ("load", "target"), "changed_modules"))
    if vanished:
        text = f"loaded by this run, and gone before this run unloaded them: {', '.join(vanished)}"
        case.add("fail", steps.NAME, text)
    _check_loaded(case)
    wanted = dict.fromkeys([*case.expect.gone, *case.modules()])
    left = [name for name in wanted if name not in unloaded | absent]
    if left:
        case.add("missing", steps.NAME, f"no record that these modules are gone: {', '.join(left)}")
    elif not vanished:
        case.add("ok", steps.NAME, f"gone: {', '.join(wanted)}")


def _check_taint(case: Case, after: Any) -> None:
    before, taint = case.facts.get("taint"), case.expect.taint
    if not _is_taint(before) or not _is_taint(after):
        raise ForeignError("no number 'taint'", NAME if _is_taint(before) else "facts.json")
    if before & ~after:
        raise ForeignError(f"taint {before} before, {after} after: only a restart clears flags", NAME)
    wrong = after & ~before & ~sum(taint.may_add)
    absent = [bit for bit in taint.must_show if not after & bit]
    text = f"taint {before} before, {after} after"
    if wrong:
        bits = ", ".join(str(1 << bit) for bit in range(wrong.bit_length()) if wrong >> bit & 1)
        case.add("fail", NAME, f"{text}: flags {bits} are new and not expected")
    elif absent:
        case.add("fail", NAME, f"{text}: flags {', '.join(map(str, absent))} are expected and not set")
    else:
        case.add("ok", NAME, f"{text}: as expected")


def _is_taint(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64


def _note_modules(case: Case, after: list[str]) -> None:
    """Modules that are none of ours and came, or went, between facts.json and end.json."""
    before = case.facts.get("modules")
    if not isinstance(before, list):
        case.add("note", "facts.json", "no list 'modules': it is not known which modules came during the run")
        return
    ours = {case.expect.target, *case.expect.gone, *case.modules()}
    for names, text in ((set(after) - set(before), "came during the run and stayed"),
                        (set(before) - set(after), "went during the run")):  # fmt: skip
        others = sorted(map(str, names - ours))
        if others:
            more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
            case.add("note", NAME, f"modules that {text}: {', '.join(others[:MAX_NAMED])}{more}")


def _check_loaded(case: Case) -> None:
    """The steps that load name the target, afresh, and each payload."""
    loading, target = ("load", "target"), case.expect.target
    fresh = _modules(case, loading, "changed_modules")
    there = fresh | _modules(case, loading, "unchanged_modules")
    absent = [name for name in case.modules() if name not in there]
    absent += [target] if target and target not in fresh else []
    if absent:
        case.add("missing", steps.NAME, f"no record that this run loaded {', '.join(absent)}")


def _modules(case: Case, names: Sequence[str], key: str) -> set[str]:
    """The modules that some steps name under a key of their data."""
    found: set[str] = set()
    for step in case.steps:
        if step["step"] in names and step["status"] == "ok":
            told = data_of(step).get(key)
            found.update(name for name in (told if isinstance(told, list) else ()) if isinstance(name, str))
    return found
