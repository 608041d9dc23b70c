# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence of a run directory + what is expected -> one verdict per host.

Absence is never OK: whatever evidence is missing, damaged or unreadable makes the verdict NO-RESULT, unless
something else already shows a failure.  Everything is read from ``RUN/HOST/``, so a run can be judged again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import stat
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader
from typing import Any, NamedTuple, TypeGuard

from ..base import files, rundir
from ..base.errors import ForeignError, about
from ..base.files import MAX_JSON, checked_json, strict_json
from ..base.foreign import plain
from ..base.rundir import MAX_LOG, ROW_KEYS
from ..evidence import counters, patched, relocations, sites, witness
from ..evidence import splats as splat
from ..evidence.expect import Expect
from ..evidence.patched import parse_report
from ..evidence.relocations import expected_sites
from ..evidence.rules import Check, Rule, Selector
from ..trace.formats import EventFormat, parse_formats
from ..trace.stats import CpuStats, parse_stats
from ..trace.text import TraceReader, read_lines

STEPS = (
    "facts",
    "render",
    "build",
    "load",
    "trace",
    "target",
    "exercise",
    "unload_target",
    "collect",
    "unload",
    "release",
)
"""The steps of a run in order; each must be there and be ok for OK."""

ONCE = ("load", "trace", "target", "exercise", "unload_target", "collect", "unload", "release")
"""Steps that a run does once."""

VERDICTS = ("OK", "FAIL", "CRASH", "INFRA", "SKIP", "NO-RESULT")
MAX_NAMED = 10
CONSOLE_LINES = 15

OWN_FILES = ("run.json", "steps.jsonl", "guest.json", "stream.json", "console.log")
"""Files that the control node writes by itself.  Any other came with a step, whose record has its checksum."""
OF_THE_TARGET = ("console.log", "dmesg.txt", "sites.txt")
"""What these show of the target stands, whatever else went wrong."""
CAUSES = (*OF_THE_TARGET, "stats.txt", "formats.txt", "calls.json", "witness.txt")
"""Sources of failures in the order in which one explains the next; what a rule says comes last."""

_STATUSES = ("ok", "failed", "unreachable", "refused", "skipped")
_RUN_ID = re.compile(r"(?<!\S)kedr_run_id=\S*\s*")


class Finding(NamedTuple):
    """One line of the verdict: ok, fail, missing or note; the file of the evidence; what it shows."""

    outcome: str
    source: str
    text: str


@dataclass
class Host:
    """A host being judged: its directory, what the run knew about it, and what has been found so far."""

    name: str
    run_id: str
    path: str
    info: Mapping[str, Any]
    target: str = ""
    findings: list[Finding] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    facts: dict[str, Any] = field(default_factory=dict)
    plans: list[dict[str, Any]] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    calls: dict[str, int] = field(default_factory=dict)
    nothing: Counter[str] = field(default_factory=Counter)
    whole: bool = False
    sites: dict[str, dict[str, int]] = field(default_factory=dict)
    unreached: dict[str, dict[str, int | bool]] = field(default_factory=dict)
    lost: int = 0
    boot: str = ""
    splats: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    wanted: tuple[str, ...] = STEPS

    def add(self, outcome: str, source: str, text: str) -> None:
        """Write down a finding."""
        self.findings.append(Finding(outcome, source, text))

    def file(self, name: str) -> str:
        """Path of a file of this host."""
        return os.path.join(self.path, name)


# -- reading evidence --------------------------------------------------------------------------------


def _open(host: Host, name: str) -> BufferedReader:
    """Open a file of the host that is what was received.  Raises ForeignError."""
    host.opened.add(name)
    try:
        # Without O_NONBLOCK a pipe in place of the file would be waited for.
        stream = open(os.open(host.file(name), os.O_RDONLY | os.O_NONBLOCK), "rb")  # noqa: SIM115 - see whoever asked
    except FileNotFoundError:
        raise ForeignError("the file is not there", name) from None
    except OSError as error:
        raise ForeignError(f"the file cannot be read: {error.strerror or error}", name) from None
    try:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ForeignError("not a regular file", name)
        _check_received(host, name, stream)
    except BaseException:
        stream.close()
        raise
    return stream


def _look_at(host: Host, name: str) -> None:
    """Raise ForeignError unless a file is what was received, also where nothing is read from it."""
    _open(host, name).close()


def _check_received(host: Host, name: str, stream: BufferedReader) -> None:
    """Raise ForeignError unless the file is what the step that brought it received."""
    if name in OWN_FILES:
        return
    wanted = host.files.get(name)
    if wanted is None:
        raise ForeignError("no step of this run says that it brought this file", name)
    if hashlib.file_digest(stream, "sha256").hexdigest() != wanted:
        raise ForeignError("the file is not what was received: its checksum differs", name)
    stream.seek(0)


def read_file(host: Host, name: str, limit: int = MAX_JSON) -> str:
    """The text of a file of the host.  Raises ForeignError when it is missing, empty or too large."""
    with about(name), _open(host, name) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ForeignError(f"the file has more than {limit} bytes", name)
    if not data.strip():
        raise ForeignError("the file is empty", name)
    return data.decode("utf-8", "surrogateescape")


def read_json(host: Host, name: str, kind: type) -> Any:
    """The JSON of a file of the host, of this kind.  Raises ForeignError."""
    with about(name):
        return checked_json(read_file(host, name), kind)


def read_run(run_dir: str) -> dict[str, Any]:
    """run.json of a run directory.  Raises ForeignError."""
    path = os.path.join(run_dir, "run.json")
    info: dict[str, Any] = files.read_json(path)
    told = info.pop("sum", None)
    if told is not None and told != rundir.seal(hashlib.sha256(), info):
        raise ForeignError("is not what was written: its checksum differs", path)
    if not isinstance(info.get("hosts"), dict):
        raise ForeignError("has no object 'hosts'", path)
    return info


def _read_steps(host: Host) -> None:
    """Read the records of the steps; each has a checksum of itself and of all that stands above it."""
    above, sealed = hashlib.sha256(), []
    for number, line in enumerate(read_file(host, "steps.jsonl").splitlines(), 1):
        try:
            step = strict_json(line)
        except ForeignError:
            step = None
        if not isinstance(step, dict) or not isinstance(step.get("step"), str) or step.get("status") not in _STATUSES:
            host.add("missing", "steps.jsonl", f"line {number} is not the record of a step")
            continue
        sealed.append(step.get("sum") is not None)
        if sealed[-1] and step["sum"] != rundir.seal(above, {key: step[key] for key in step if key != "sum"}):
            host.add("missing", "steps.jsonl", f"line {number}, or one above it, is not what was written")
        above.update(line.encode("utf-8", "surrogateescape") + b"\n")
        host.steps.append(step)
        files = step.get("files")
        for name, digest in files.items() if isinstance(files, dict) else ():
            host.files[name] = str(digest)
    if any(sealed) and not all(sealed):
        host.add("missing", "steps.jsonl", "a record of a step has no checksum")


def _read_facts(host: Host) -> None:
    host.facts = read_json(host, "facts.json", dict)
    for key in ("release", "machine", "system", "compiler"):
        if not isinstance(host.facts.get(key), str) or not host.facts[key]:
            host.add("missing", "facts.json", f"no '{key}': it is not known what was tested")
    host.boot = str(host.facts.get("boot_id") or "")


def read_plans(host: Host) -> None:
    """Read payloads.json: which events there are.  Raises ForeignError."""
    plans = read_json(host, "payloads.json", list)
    for plan in plans:
        if not _is_plan(plan):
            raise ForeignError("an entry is not the plan of a payload", "payloads.json")
    if not any(plan["events"] for plan in plans):
        raise ForeignError("no payload has an event: nothing was to be recorded", "payloads.json")
    for what in ("event", "function"):
        names = Counter(event[what] for plan in plans for event in plan["events"])
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ForeignError(f"more than one payload has the {what} {twice[0]}", "payloads.json")
    host.plans = plans
    for event in _planned(host):
        host.events[event] += 0


def _is_plan(plan: Any) -> bool:
    return (
        isinstance(plan, dict)
        and isinstance(plan.get("module"), str)
        and _rows(plan.get("events"), ("event", "function", "symbol"))
        and all(event.get("moment", "after") in ("before", "after") for event in plan["events"])
        and _rows(plan.get("unresolved", []), ("function",))
    )


def _rows(value: Any, keys: Sequence[str]) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and all(isinstance(item.get(key), str) for key in keys) for item in value
    )


def _planned(host: Host) -> list[str]:
    return [event["event"] for plan in host.plans for event in plan["events"]]


def _unresolved(host: Host) -> list[dict[str, Any]]:
    return [
        {"function": item["function"], "tried": [str(name) for name in item.get("tried", [])]}
        for plan in host.plans
        for item in plan.get("unresolved", [])
    ]


def data_of(step: Mapping[str, Any]) -> dict[str, Any]:
    """What a step recorded of its own; nothing where it recorded none, or no object."""
    data = step.get("data")
    return data if isinstance(data, dict) else {}


def _number(value: Any) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if good else 0.0


# -- the steps ---------------------------------------------------------------------------------------


def _judge_steps(host: Host) -> tuple[str, str] | None:
    """The first step that is not ok decides, unless a later one shows that the system died; None when all are ok."""
    decided: tuple[str, str] | None = None
    for step in host.steps:
        outcome = _judge_step(host, step)
        if outcome is None:
            continue
        verdict, reason = outcome
        host.add("note" if verdict in ("SKIP", "INFRA") else "fail", "steps.jsonl", f"step {reason}")
        if decided is None or (verdict == "CRASH" and decided[0] == "INFRA"):
            decided = outcome
    done = {step["step"] for step in host.steps if step["status"] == "ok"}
    absent = [name for name in host.wanted if name not in done]
    if absent and decided is None:
        host.add("missing", "steps.jsonl", f"no record that these steps were done: {', '.join(absent)}")
    elif not absent and decided is None:
        _judge_order(host)
    return decided


def _judge_order(host: Host) -> None:
    """All steps are done: were they done one after another, and those that load, work and unload once?"""
    names = [step["step"] for step in host.steps]
    last = [len(names) - 1 - names[::-1].index(name) for name in host.wanted]
    again = [name for name in host.wanted if name in ONCE and names.count(name) > 1]
    if again:
        host.add("missing", "steps.jsonl", f"recorded more than once: {', '.join(again)}")
    elif last != sorted(last):
        host.add("missing", "steps.jsonl", "the steps are not recorded in the order in which they are done")
    else:
        host.add("ok", "steps.jsonl", f"all {len(host.wanted)} steps done")


def _judge_step(host: Host, step: Mapping[str, Any]) -> tuple[str, str] | None:
    status, name = step["status"], step["step"]
    reason = _one_line(step.get("reason")) or "no reason given"
    if status == "ok":
        if step.get("kind"):
            host.add("missing", "steps.jsonl", f"{name} is recorded as ok and as {plain(step['kind'], 20)}: {reason}")
        return None
    if status == "unreachable":
        return _judge_lost(host, name, reason)
    if status in ("refused", "skipped"):
        return "SKIP", f"{name}: {reason}"
    kind = step.get("kind")
    return (kind if kind in ("FAIL", "INFRA", "SKIP") else "FAIL"), f"{name}: {reason}"


def _one_line(text: Any) -> str:
    return "; ".join(line.strip() for line in str(text or "").splitlines() if line.strip())


def _judge_lost(host: Host, step: str, reason: str) -> tuple[str, str]:
    """A host that was lost: CRASH when its guest is dead or did not answer again with modules loaded, else INFRA."""
    if _guest(host).get("alive") is False:
        return "CRASH", f"{step}: the guest is gone: its QEMU process has ended"
    if not _loading(host, step):
        return "INFRA", f"{step}: not reachable: {reason}"
    if _answered_after(host, step):
        return "INFRA", f"{step}: lost contact at step {step}, and the host lived on: {reason}"
    seen = "see its console" if _has_console(host) else "no console"
    return "CRASH", f"{step}: lost contact at step {step}; {seen}: {reason}"


def _answered_after(host: Host, step: str) -> bool:
    """Did the host answer, in the same boot, after contact was lost last, at ``step`` or later?"""
    lost = [index for index, entry in enumerate(host.steps) if entry["status"] == "unreachable"]
    later = host.steps[lost[-1] + 1 :] if lost else []
    return bool(host.boot) and any(entry["status"] == "ok" and entry.get("boot") == host.boot for entry in later)


def _loading(host: Host, step: str) -> bool:
    """Was a module loaded, or being loaded, when contact was lost at ``step``?"""
    names = [entry["step"] for entry in host.steps]
    order = {name: index for index, name in enumerate(host.wanted)}
    names = names[: names.index(step) + 1] if step in names else [*names, step]
    # A host is let go of whether or not anything was loaded there.
    return any(name != "release" and order.get(name, -1) >= order["load"] for name in names)


def _guest(host: Host) -> dict[str, Any]:
    if not host.info.get("embedded"):
        return {}
    try:
        value: dict[str, Any] = read_json(host, "guest.json", dict)
        return value
    except ForeignError:
        return {}


def _has_console(host: Host) -> bool:
    return os.path.exists(host.file("console.log"))


def _judge_boots(host: Host) -> tuple[str, str] | None:
    """CRASH when the host was started anew after its facts were read; None when it was not."""
    if not host.boot:
        raise ForeignError("no 'boot_id': it is not known whether the host was restarted during the run", "facts.json")
    places = [index for index, step in enumerate(host.steps) if step["step"] == "facts"]
    since = [step for step in host.steps[places[-1] if places else 0 :] if step.get("boot")]
    if not since:
        raise ForeignError("no step says which boot of the host it ran in", "steps.jsonl")
    before = "facts"
    for step in since:
        if step["boot"] != host.boot:
            host.add("fail", "steps.jsonl", f"the host was restarted between the steps {before} and {step['step']}")
            return "CRASH", f"{step['step']}: the host was restarted after the step {before}"
        before = step["step"]
    host.add("ok", "steps.jsonl", "the host was not restarted during the run")
    return None


# -- the logs ----------------------------------------------------------------------------------------


def _lines(stream: BufferedReader) -> Iterator[str]:
    """Lines of a log, up to MAX_LOG bytes, in bounded memory."""
    taken = 0
    while taken < MAX_LOG and (line := stream.readline(splat.MAX_LINE)):
        taken += len(line)
        yield line.decode("utf-8", "surrogateescape")


def _marker(host: Host) -> str:
    return f"kedr: run {host.run_id} begins"


def _end_marker(host: Host) -> str:
    return f"kedr: run {host.run_id} ends"


def _scan(host: Host, name: str, policy: splat.Policy) -> splat.Scan:
    """Look through a log for what this run caused; splats become findings.  Raises ForeignError."""
    with _open(host, name) as stream:
        found = splat.scan(
            _lines(stream), policy, _marker(host), whole=True, end=_end_marker(host), modules=_under_test(host)
        )
        size = os.fstat(stream.fileno()).st_size
    if not found.lines:
        raise ForeignError("the file is empty: nothing shows whether the kernel complained", name)
    _note_splats(host, found, name)
    if size > MAX_LOG:
        text = f"the log has {size >> 20} MiB, of which the first {MAX_LOG >> 20} were looked through"
        host.add("missing", name, text)
    return found


def _judge_whole(host: Host, found: splat.Scan, name: str, what: str) -> None:
    """No splat is good news only from a log that holds the run.  Raises ForeignError."""
    if not found.marker:
        raise ForeignError(f"no line '{_marker(host)}': what this run caused is not known", name)
    if found.holes:
        raise ForeignError(f"the kernel says in {found.holes} lines that messages are missing here", name)
    if not found.splats:
        host.add("ok", name, f"{what}, no splat ({found.allowed} allowed messages)")


def _under_test(host: Host) -> tuple[str, ...]:
    """The modules that this run loads."""
    return (host.target, "cp_controller", *(plan["module"] for plan in host.plans))


def _judge_dmesg(host: Host, policy: splat.Policy) -> None:
    found = _scan(host, "dmesg.txt", policy)
    if found.marker and not found.ended and _released(host):
        raise ForeignError(f"no line '{_end_marker(host)}': the log of the last steps is not there", "dmesg.txt")
    lines = (found.ended or found.lines + 1) - found.marker - 1
    _judge_whole(host, found, "dmesg.txt", f"{lines} lines from the first step to the last")


def _released(host: Host) -> bool:
    return any(step["step"] == "release" and step["status"] == "ok" for step in host.steps)


def _judge_console(host: Host, policy: splat.Policy) -> str:
    """Look through the console.  Returns the message of the panic that it shows, or nothing."""
    if not host.info.get("console") and not host.info.get("embedded") and not _has_console(host):
        return ""
    attempt(host, lambda: _judge_console_kept(host))
    found = _scan(host, "console.log", policy)
    panic = found.cause if any(one.fatal for one in found.splats) else ""
    if not panic:
        _judge_whole(host, found, "console.log", f"{found.lines} lines")
        _judge_console_shows(host)
    return panic


def _judge_console_kept(host: Host) -> None:
    """The console must begin as it was when the guest was looked at; a guest that went on wrote behind that."""
    kept = _guest(host).get("console")
    if not isinstance(kept, dict) or not isinstance(kept.get("bytes"), int):
        return
    with _open(host, "console.log") as stream:
        digest = hashlib.sha256(stream.read(max(0, min(kept["bytes"], MAX_LOG)))).hexdigest()
    if digest != kept.get("sha256"):
        raise ForeignError("the file is not what was kept of the console: its checksum differs", "console.log")


def _judge_console_shows(host: Host) -> None:
    """A variant of a system counts only if the kernel says on the console that it is one."""
    wanted = plain(host.info.get("console_shows") or "", 300)
    if not wanted:
        return
    with _open(host, "console.log") as stream:
        line = next((line for line in map(splat.message, _lines(stream)) if wanted in line), "")
    if line:
        host.add("ok", "console.log", f"the variant is in force: {line.strip()}")
    else:
        host.add("fail", "console.log", f"the variant is not in force: no line shows '{wanted}'")


def _note_splats(host: Host, found: splat.Scan, source: str) -> None:
    if found.splats:
        count = f"{found.total} lines of splats, from line {found.splats[0].line} on ({found.splats[0].rule})"
        host.add("fail", source, f"{found.cause}; {count}")
        host.splats += [one.text for one in found.splats[:MAX_NAMED]]
    if found.before:
        host.add("note", source, f"{found.before} lines of splats from before this run")
    if found.after:
        host.add("note", source, f"{found.after} lines of splats from after this run")
    for one in found.users[:MAX_NAMED]:
        host.add("note", source, f"line {one.line} is about a program of a user, whose names prove nothing: {one.text}")
    if found.users_total > MAX_NAMED:
        host.add("note", source, f"{found.users_total} lines about programs of users with such names in all")
    for one in found.told[:MAX_NAMED]:
        host.add("note", source, f"line {one.line}, at level error or worse: {one.text}")
    if found.told_total > MAX_NAMED:
        host.add("note", source, f"{found.told_total} lines of these modules at level error or worse in all")


def _console_tail(host: Host) -> list[str]:
    """The last lines of the console that say something."""
    try:
        with _open(host, "console.log") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - (1 << 16)))
            kept = deque(
                (text for line in _lines(stream) if (text := splat.message(line).strip())),
                maxlen=CONSOLE_LINES,
            )
            return list(kept)
    except (ForeignError, OSError):
        return []


# -- the trace ---------------------------------------------------------------------------------------


def _judge_stats(host: Host) -> dict[int, CpuStats]:
    with about("stats.txt"):
        stats = parse_stats(read_file(host, "stats.txt"))
    cpus = host.facts.get("cpus")
    if not isinstance(cpus, int) or isinstance(cpus, bool) or cpus < 1:
        raise ForeignError("no number 'cpus': it is not known of how many CPUs there must be records", "facts.json")
    if len(stats) < cpus:
        raise ForeignError(f"counts of {len(stats)} CPUs, the host has {cpus}", "stats.txt")
    host.lost = sum(count.lost for count in stats.values())
    for cpu, count in sorted(stats.items()):
        if count.lost:
            host.add(
                "fail",
                "stats.txt",
                f"cpu{cpu} lost {count.lost} records: overrun {count.overrun}, "
                f"commit overrun {count.commit_overrun}, dropped events {count.dropped or 0}",
            )
        if count.read:
            host.add("fail", "stats.txt", f"cpu{cpu}: {count.read} records were taken out by another reader")
    if not host.lost:
        total = sum(count.entries for count in stats.values())
        host.add("ok", "stats.txt", f"{total} records on {len(stats)} CPUs, none lost")
    return stats


def _judge_trace(host: Host, expect: Expect, stats: Mapping[int, CpuStats] | None) -> None:
    with about("formats.txt"):
        formats = parse_formats(read_file(host, "formats.txt"))
    absent = [event for event in _planned(host) if event not in formats]
    if absent:
        raise ForeignError(f"no format of {', '.join(absent[:MAX_NAMED])}", "formats.txt")
    if not _fields_fit(host, expect, formats):
        return
    checks = [(rule, rule.begin()) for rule in expect.rules]
    with _open(host, "trace.txt") as stream:
        reader = TraceReader(read_lines(stream), formats)
        _feed(host, reader, checks)
    if _whole(host, reader, stats):
        for rule, check in checks:
            outcome, text = check.answer()
            host.add(
                outcome,
                "trace.txt",
                f"{rule.name}: {text}"
                + ("" if outcome == "ok" else f" ({rule.means} {_place(rule)}){_order_in_doubt(host, rule)}"),
            )


def _order_in_doubt(host: Host, rule: Rule) -> str:
    """Why a rule about an order may fail without a fault: what gives something back is recorded after its call."""
    late = {
        one["function"]
        for plan in host.plans
        for one in plan["events"]
        if one.get("moment") != "before" and one["event"] in {selector.event for selector in rule.giving_back()}
    }
    if not late or host.facts.get("cpus") == 1:
        return ""
    return f"; recorded after the call, when another CPU may have got the same already: {', '.join(sorted(late))}"


def _place(rule: Rule) -> str:
    return f"[{os.path.basename(rule.place.path)}:{rule.place.line}]"


def _feed(host: Host, reader: TraceReader, checks: Sequence[tuple[Rule, Check]]) -> None:
    takers: dict[str, list[tuple[Check, Selector]]] = {}
    for rule, check in checks:
        for selector in rule.selectors():
            takers.setdefault(selector.event, []).append((check, selector))
    for record in reader:
        host.events[record.event] += 1
        if record.fields.get("returnValue") == witness.ZERO_SIZE_PTR:
            host.nothing[record.event] += 1
        for check, selector in takers.get(record.event, ()):
            takes = selector.takes(record)
            if takes is None:
                check.unknown += 1
            elif takes:
                check.see(record, selector)


def _fields_fit(host: Host, expect: Expect, formats: Mapping[str, list[EventFormat]]) -> bool:
    """Does every event that a rule names exist, and have the fields that the rule asks for?"""
    good = True
    optional = {f"called_{item['function']}" for item in _unresolved(host)}
    for rule in expect.rules:
        for selector in rule.selectors():
            if selector.event in optional and selector.event not in formats:
                continue
            known = [set(form.names) for form in formats.get(selector.event, [])]
            if not known:
                host.add("missing", "formats.txt", f"{rule.name}: no event {selector.event} {_place(rule)}")
                good = False
            elif not any(selector.fields() <= names for names in known):
                names = ", ".join(sorted(set().union(*known)))
                wrong = ", ".join(sorted(selector.fields() - set().union(*known)))
                host.add(
                    "missing",
                    "formats.txt",
                    f"{rule.name}: {selector.event} has no field {wrong}; it has {names} {_place(rule)}",
                )
                good = False
            elif wrong_type := _wrong_type(selector, formats[selector.event]):
                host.add("missing", "formats.txt", f"{rule.name}: {selector.event}: {wrong_type} {_place(rule)}")
                good = False
    return good


def _wrong_type(selector: Selector, forms: Sequence[EventFormat]) -> str:
    """Why a condition can never hold, whatever is recorded: it compares a text with a number; nothing when it can."""
    for test in selector.conditions:
        kinds = {form.kinds[test.field] for form in forms if test.field in form.kinds}
        if kinds and not any((kind == "str") == (test.kind == "text") for kind in kinds):
            kind, advice = ("text", "write a text") if "str" in kinds else ("number", "write the number without quotes")
            return f"{test.field} is a {kind} in the trace and '{test.words}' never holds; {advice}"
    return ""


def _whole(host: Host, reader: TraceReader, stats: Mapping[int, CpuStats] | None) -> bool:
    """Is every record there and readable?  Rules say nothing about a trace with holes."""
    before = len(host.findings)
    for bad in reader.malformed[:3]:
        host.add("missing", "trace.txt", f"line {bad.line} cannot be read ({bad.reason}): {bad.text}")
    if reader.malformed_count > 3:
        host.add("missing", "trace.txt", f"{reader.malformed_count} lines cannot be read in all")
    if reader.backwards:
        text = f"{reader.backwards} records are earlier than the one before them on the same CPU"
        host.add("missing", "trace.txt", f"{text}: the trace was altered, or its clock cannot be trusted")
    if reader.lost:
        host.lost = max(host.lost, reader.lost)
        host.add("fail", "trace.txt", f"the kernel says that {reader.lost} records or more are lost")
    if not reader.records:
        host.add("missing", "trace.txt", "no record at all")
    if reader.entries is not None and reader.entries != reader.records + reader.malformed_count:
        host.add("missing", "trace.txt", f"{reader.records} records; its heading promises {reader.entries}")
    if stats is not None:
        _judge_cpus(host, reader, stats)
    host.whole = len(host.findings) == before
    if host.whole:
        host.add("ok", "trace.txt", f"{reader.records} records, every line read")
    return host.whole


def _judge_cpus(host: Host, reader: TraceReader, stats: Mapping[int, CpuStats]) -> None:
    """Has each CPU as many records as the kernel counted there, and of the time that it tells?"""
    for cpu in sorted(set(stats) | set(reader.per_cpu)):
        found, promised = reader.per_cpu[cpu], stats[cpu].entries if cpu in stats else 0
        if promised != found:
            host.add("missing", "trace.txt", f"cpu{cpu}: {found} records; stats.txt counts {promised}")
        elif promised and not _in_time(stats[cpu], reader.earliest[cpu], reader.latest[cpu]):
            host.add("missing", "trace.txt", f"cpu{cpu}: records of a time at which stats.txt says there were none")


def _in_time(stats: CpuStats, first: int, last: int) -> bool:
    """Were the records written since the oldest page of the buffer was begun, and before it was looked at?

    A CPU may read the clock of another a little off, so a second more is allowed.
    """
    slack = 1_000_000_000
    return (stats.oldest or 0) <= first + slack and (stats.now is None or last <= stats.now + slack)


# -- the payloads' own counters ----------------------------------------------------------------------


def _judge_calls(host: Host) -> None:
    """Compare the records with how often the payloads say that their functions were called."""
    expected = max((_counters(step) for step in host.steps), default=0)
    with about("calls.json"):
        counts = counters.check(read_json(host, "calls.json", dict)) if expected else {}
    if len(counts) < expected:
        raise ForeignError(f"counts of {len(counts)} events, {expected} were read", "calls.json")
    if not host.whole:
        return
    pairs = [(plan["module"], one["event"]) for plan in host.plans for one in plan["events"]]
    counted = {event: counts[f"{module}/{event}"] for module, event in pairs if f"{module}/{event}" in counts}
    host.calls = counted
    planned = {one["event"]: one for plan in host.plans for one in plan["events"]}
    wrong = [event for event, count in counted.items() if count != host.events[event]]
    for event in wrong:
        function, moment = planned[event]["function"], str(planned[event].get("moment") or "after")
        host.add("fail", "calls.json", counters.difference(function, counted[event], host.events[event], moment))
    if counted and not wrong:
        text = f"the payloads count as many calls as there are records: {sum(counted.values())}"
        host.add("ok", "calls.json", text)
    silent = [event for _module, event in pairs if event not in counted]
    if silent:
        text = f"no payload counts the calls of {', '.join(silent[:MAX_NAMED])}: not compared"
        host.add("note", "calls.json", text)


def _counters(step: Mapping[str, Any]) -> int:
    if step["step"] != "collect" or step["status"] != "ok":
        return 0
    return int(_number(data_of(step).get("counters")))


# -- the kernel's own events -------------------------------------------------------------------------


def _judge_witness(host: Host, target: str) -> None:
    """Compare what the payloads recorded with the kernel's own count of the same calls."""
    if not any(_witness_events(step) for step in host.steps):
        host.add("note", "steps.jsonl", "no events of the kernel's own to compare the number of calls with")
        return
    if not host.whole:
        return
    with about("witness_stats.txt"):
        stats = parse_stats(read_file(host, "witness_stats.txt"))
    with about("formats.txt"):
        formats = parse_formats(read_file(host, "formats.txt"))
    lost, entries = (sum(getattr(count, key) for count in stats.values()) for key in ("lost", "entries"))
    if lost:
        host.add("missing", "witness_stats.txt", f"{lost} of the kernel's own events are lost: not compared")
    elif not witness.names_places(formats):
        host.add("note", "formats.txt", "the kernel's own events do not name where they come from: not compared")
    else:
        with _open(host, "witness.txt") as stream:
            reader = TraceReader(read_lines(stream), formats)
            found = witness.count(reader, target)
        if reader.malformed_count or reader.lost:
            bad = reader.malformed[0].line if reader.malformed else 0
            raise ForeignError(f"line {bad} cannot be read", "witness.txt")
        if reader.records != entries:
            raise ForeignError(f"{reader.records} records; witness_stats.txt counts {entries}", "witness.txt")
        _compare_witness(host, found, target)


def _witness_events(step: Mapping[str, Any]) -> bool:
    return step["step"] == "trace" and step["status"] == "ok" and bool(data_of(step).get("witness"))


def _compare_witness(host: Host, found: witness.Witness, target: str) -> None:
    equal: list[str] = []
    for plan in host.plans:
        for event in plan["events"]:
            if event["function"] not in witness.FUNCTIONS:
                continue
            counters = host.events[event["event"]] - host.nothing[event["event"]]
            seen = found.replaced[plan["module"], event["function"]]
            if counters != seen:
                text = f"{event['function']}: {counters} calls recorded, the kernel's own events count {seen}"
                host.add("fail", "witness.txt", text)
            elif counters:
                equal.append(f"{event['function']} {counters}")
    if equal:
        host.add("ok", "witness.txt", f"the kernel's own events count as many calls: {', '.join(equal)}")
    for name, count in sorted(found.target.items()):
        host.add("note", "witness.txt", f"{count} × {name} from {target} itself, not seen by a payload")


# -- sites, modules, taint ---------------------------------------------------------------------------


def judge_sites(host: Host, expect: Expect) -> None:
    """Compare the call sites that were patched with the relocations of the target.  Raises ForeignError."""
    symbols = {event["function"]: event["symbol"] for plan in host.plans for event in plan["events"]}
    name = f"modules/{expect.target}.ko"
    why = _why_no_file(host, expect.target)
    if why:
        raise ForeignError(f"the file did not come, so no call site can be checked: {why}", name)
    with about(name), _open(host, name) as stream:
        expected = expected_sites(stream, symbols.values())
    for function, symbol in symbols.items():
        _add_sites(host, function, {"expected": expected.total(symbol)})
    with about("sites.txt"):
        reports = parse_report(read_file(host, "sites.txt"))
    report = reports.get(expect.target)
    if report is None:
        raise ForeignError(f"no report about {expect.target}, only: {', '.join(reports)}", "sites.txt")
    for function, symbol in symbols.items():
        _add_sites(host, function, report.branches(symbol))
    _compare_sites(host, expected, report, symbols)


def _add_sites(host: Host, function: str, counts: Mapping[str, int]) -> None:
    """Add the sites of one target to those of a function."""
    sums = host.sites.setdefault(function, {"call": 0, "jmp": 0, "expected": 0})
    for kind, count in counts.items():
        sums[kind] = sums.get(kind, 0) + count


def _why_no_file(host: Host, target: str) -> str:
    """Why the step that loaded a target of the host could not bring its file; nothing when it did."""
    for step in host.steps:
        reasons = data_of(step).get("no_file") if step["step"] == "target" else None
        if isinstance(reasons, dict) and reasons.get(target):
            return str(reasons[target])
    return ""


def _compare_sites(
    host: Host, expected: relocations.Expected, report: patched.Report, symbols: Mapping[str, str]
) -> None:
    differences = [*sites.compare(expected, report, symbols), *_astray(host, report, symbols)]
    for text in differences:
        host.add("fail", "sites.txt", text)
    total = sum(expected.sites.values())
    if not total:
        host.add("missing", "sites.txt", "the target calls none of the functions: nothing to intercept")
    elif not differences:
        text = f"{total} call sites of {len(symbols)} functions, where the relocations name them"
        host.add("ok", "sites.txt", f"{text}, lead to the replacements")
    _note_unreached(host, expected, symbols)
    for symbol, count in sorted(report.noinstr.items()):
        text = f"{symbol}: {count} of its call sites are in code that must not be instrumented: records may be wrong"
        host.add("note", "sites.txt", text)


def _astray(host: Host, report: patched.Report, symbols: Mapping[str, str]) -> list[str]:
    """Say which sites do not lead to the replacement of their own function; the kernel names where they lead."""
    wanted = {
        event["symbol"]: (plan["module"], str(event.get("replacement") or ""))
        for plan in host.plans
        for event in plan["events"]
    }
    titles = {symbol: function for function, symbol in symbols.items()}
    owners: dict[tuple[str, str], str] = {}
    wrong: list[str] = []
    for site in report.sites:
        module, name = wanted.get(site.symbol, ("", ""))
        reached = site.to.partition(".")[0]
        right = site.to_module == module and not site.to_offset and reached == (name or reached)
        if not right or owners.setdefault((module, reached), site.symbol) != site.symbol:
            title = titles.get(site.symbol, site.symbol)
            reached = f"{site.to} [{site.to_module}]" if site.to_module else site.to
            place = f"the {site.kind} at {site.area} 0x{site.offset:x}"
            wrong.append(f"{title}: {place} leads to {reached}, not to its replacement")
    return wrong[:MAX_NAMED]


def judge_callers(host: Host, records: Mapping[str, int]) -> None:
    """What has no call site cannot have been called: compare records and counted calls with the sites, by function."""
    for event, function in ((one["event"], one["function"]) for plan in host.plans for one in plan["events"]):
        found = host.sites.get(function)
        seen = max(records.get(event, 0), host.calls.get(event, 0))
        if found is not None and seen and not any(found.values()):
            text = f"{function}: {seen} calls recorded or counted, and the target has no call of it"
            host.add("fail", "sites.txt", text)


def _note_unreached(host: Host, expected: relocations.Expected, symbols: Mapping[str, str]) -> None:
    """Tell of the calls that cannot be intercepted, or may not have been seen."""
    source = f"modules/{host.target}.ko"
    host.unreached = expected.unreached(symbols)
    kinds = {"pointers": "address taken", "static_calls": "static calls", "other": "other references"}
    for function, counts in host.unreached.items():
        parts = [f"{words} {counts[key]}" for key, words in kinds.items() if counts[key]]
        if parts:
            host.add("note", source, f"{function}: calls that are not intercepted are possible: {', '.join(parts)}")
    absent = [function for function, counts in host.unreached.items() if counts["unreferenced"]]
    if absent:
        text = f"no reference, so not called or compiled in: {', '.join(absent)}"
        host.add("note", source, text)
    if expected.indirect:
        text = f"{expected.indirect} calls through thunks, of which nothing says what they reach"
        host.add("note", source, text)


def judge_end(host: Host, expect: Expect, targets: Sequence[str] = ()) -> None:
    """Are the target, or all of the targets, unloaded, and is the kernel tainted as expected?"""
    end = read_json(host, "end.json", dict)
    modules = end.get("modules")
    if not isinstance(modules, list) or not all(isinstance(name, str) for name in modules):
        raise ForeignError("no list 'modules': it is not known what is still loaded", "end.json")
    if _number(end.get("uptime")) < _number(host.facts.get("uptime")):
        times = f"up for {plain(end.get('uptime'), 20)} s, at the beginning {plain(host.facts.get('uptime'), 20)} s"
        host.add("missing", "end.json", f"{times}: these are not of one run")
    for target in targets or (expect.target,):
        if target in modules:
            host.add("fail", "end.json", f"{target} was still loaded when the trace was collected")
        else:
            host.add("ok", "end.json", f"{target} is unloaded")
    _judge_taint(host, expect, end.get("taint"))
    _note_modules(host, expect, modules)


def _note_modules(host: Host, expect: Expect, after: list[str]) -> None:
    """Modules that are none of ours and came, or went, between facts.json and end.json."""
    before = host.facts.get("modules")
    if not isinstance(before, list):
        host.add("note", "facts.json", "no list 'modules': it is not known which modules came during the run")
        return
    ours = {expect.target, *expect.gone, *(plan["module"] for plan in host.plans)}
    for names, text in ((set(after) - set(before), "came during the run and stayed"),
                        (set(before) - set(after), "went during the run")):
        others = sorted(map(str, names - ours))
        if others:
            more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
            host.add("note", "end.json", f"modules that {text}: {', '.join(others[:MAX_NAMED])}{more}")


def _judge_taint(host: Host, expect: Expect, after: Any) -> None:
    before = host.facts.get("taint")
    if not _is_taint(before) or not _is_taint(after):
        raise ForeignError("no number 'taint'", "end.json" if _is_taint(before) else "facts.json")
    allowed = sum(expect.taint.may_add)
    if before & ~after:
        raise ForeignError(f"taint {before} before, {after} after: flags never go but by a restart", "end.json")
    wrong = after & ~before & ~allowed
    absent = [bit for bit in expect.taint.must_show if not after & bit]
    text = f"taint {before} before, {after} after"
    if wrong:
        bits = ", ".join(str(1 << bit) for bit in range(wrong.bit_length()) if wrong >> bit & 1)
        host.add("fail", "end.json", f"{text}: flags {bits} are new and not expected")
    elif absent:
        host.add("fail", "end.json", f"{text}: flags {', '.join(map(str, absent))} are expected and not set")
    else:
        host.add("ok", "end.json", f"{text}: as expected")


def _is_taint(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64


def judge_gone(host: Host, expect: Expect) -> None:
    """The steps that unload say, after they looked, which modules are gone.

    One that this run loaded must have been unloaded by it: if it was gone before, somebody else did that.
    """
    unloaded = _modules(host, ("unload_target", "unload"), "changed_modules")
    absent = _modules(host, ("unload_target", "unload"), "unchanged_modules")
    vanished = sorted((absent - unloaded) & _modules(host, ("load", "target"), "changed_modules"))
    if vanished:
        text = f"loaded by this run, and gone before this run unloaded them: {', '.join(vanished)}"
        host.add("fail", "steps.jsonl", text)
    _judge_loaded(host, expect)
    wanted = dict.fromkeys([*expect.gone, *(plan["module"] for plan in host.plans)])
    left = [name for name in wanted if name not in unloaded | absent]
    if left:
        host.add("missing", "steps.jsonl", f"no record that these modules are gone: {', '.join(left)}")
    elif not vanished:
        host.add("ok", "steps.jsonl", f"gone: {', '.join(wanted)}")


def _judge_loaded(host: Host, expect: Expect) -> None:
    """The steps that load name the target, afresh, and each payload."""
    steps = ("load", "target")
    fresh = _modules(host, steps, "changed_modules")
    there = fresh | _modules(host, steps, "unchanged_modules")
    absent = [name for name in (plan["module"] for plan in host.plans) if name not in there]
    absent += [expect.target] if expect.target and expect.target not in fresh else []
    if absent:
        host.add("missing", "steps.jsonl", f"no record that this run loaded {', '.join(absent)}")


def _modules(host: Host, steps: Sequence[str], key: str) -> set[str]:
    """The modules that some steps name under a key of their data."""
    found: set[str] = set()
    for step in host.steps:
        if step["step"] in steps and step["status"] == "ok":
            names = data_of(step).get(key)
            found.update(name for name in (names if isinstance(names, list) else ()) if isinstance(name, str))
    return found


# -- the verdict -------------------------------------------------------------------------------------


def judge_host(
    run_dir: str, name: str, expect: Expect, policy: splat.Policy, info: Mapping[str, Any], reproduce: str
) -> dict[str, Any]:
    """Judge one host; returns its entry of results.json.  Never raises for what a host left behind."""
    host = Host(name, os.path.basename(os.path.normpath(run_dir)), os.path.join(run_dir, name), info, expect.target)
    if not info:
        host.add("missing", "run.json", "it does not name this host: what was known of it is not there")
    watched = str(info.get("target") or expect.target)
    if watched.replace("-", "_") != expect.target:
        host.add("missing", expect.path, f"these are the expectations of {expect.target}; the run was of {watched}")
    try:
        verdict, reason = _judge(host, expect, policy)
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        RecursionError,
        OverflowError,
        MemoryError,
    ) as error:
        verdict = "NO-RESULT"
        reason = f"the evidence cannot be judged: {type(error).__name__}: {error}"
        host.add("missing", ".", reason)
    return _entry(host, verdict, reason, reproduce)


def _judge(host: Host, expect: Expect, policy: splat.Policy) -> tuple[str, str]:
    verdict, reason = decide(host, expect, policy)
    if verdict != "OK":
        host.console = _console_tail(host)
    return verdict, reason


Evidence = Callable[[Host, Expect], tuple[str, str] | None]
"""Judges what only one kind of run has; returns a verdict that outweighs the findings, or None."""


def decide(host: Host, expect: Expect, policy: splat.Policy, evidence: Evidence | None = None) -> tuple[str, str]:
    """The verdict of a host and its reason; ``evidence`` takes the place of what verify looks at."""
    nothing = _nothing_done(host)
    if nothing:
        return nothing
    attempt(host, lambda: _read_facts(host))
    decided = _judge_steps(host) if host.steps else None
    looked_at = decided is None or _loaded(host)
    if looked_at:
        attempt(host, lambda: read_plans(host))
    panic = attempt(host, lambda: _judge_console(host, policy))
    attempt(host, lambda: _judge_dmesg(host, policy))
    restarted = None
    if looked_at:
        restarted = attempt(host, lambda: _judge_boots(host))
        found = (evidence or _judge_evidence)(host, expect)
        decided = decided or found
        for name in sorted(set(host.files) - host.opened):
            attempt(host, partial(_look_at, host, name))
    died = attempt(host, lambda: _judge_guest(host, decided))
    if panic:
        where = decided[1] if decided else "after the last step"
        return "CRASH", f"{where}; the console says: {panic}"
    return died or restarted or _outweighed(host, decided) or decided or _by_findings(host)


def _outweighed(host: Host, decided: tuple[str, str] | None) -> tuple[str, str] | None:
    """FAIL when something was found of the target, which is the cause of a failed step or weighs more; else None."""
    if decided is None or decided[0] == "CRASH":
        return None
    found = next((one for one in _failures(host) if one.source in OF_THE_TARGET), None)
    return ("FAIL", f"{found.source}: {found.text}; {decided[1]}") if found else None


def _nothing_done(host: Host) -> tuple[str, str] | None:
    """Read the steps.  Returns the verdict of a host with which nothing can have been done."""
    if not rundir.HOST_NAME.fullmatch(host.name):
        host.add("missing", ".", "the host's name cannot name a directory")
        return "NO-RESULT", "the host's name cannot name a directory; rename it in the inventory"
    there = os.path.isdir(host.path)
    if there:
        attempt(host, lambda: _read_steps(host))
    dead = host.info.get("embedded") and host.info.get("alive") is False
    if dead and not any(step["status"] == "ok" for step in host.steps):
        host.add("note", "run.json", "the guest was not running when the run began")
        return "INFRA", "the guest is not running; start it with make lab-up"
    if not there:
        host.add("missing", ".", "no directory of this host: nothing was recorded")
        return "NO-RESULT", "no directory of this host in the run directory: nothing was recorded"
    return None


def _judge_guest(host: Host, decided: tuple[str, str] | None) -> tuple[str, str] | None:
    """CRASH when the guest did not live to the end; None when it did, or when the steps show a crash already."""
    if not host.info.get("embedded") or (decided and decided[0] == "CRASH"):
        return None
    alive = read_json(host, "guest.json", dict).get("alive")
    if alive is True:
        host.add("ok", "guest.json", "the guest lived to the end of the run")
        return None
    if alive is not False:
        raise ForeignError("it is not known whether the guest lived to the end of the run", "guest.json")
    host.add("fail", "guest.json", "the guest's QEMU process has ended")
    return "CRASH", f"{decided[1]}; later the guest died" if decided else "the guest died after the last step"


def _loaded(host: Host) -> bool:
    """Was there a module in the kernel?  Without one there is nothing else to look at."""
    return any(step["step"] == "load" and step["status"] == "ok" for step in host.steps)


def _judge_evidence(host: Host, expect: Expect) -> tuple[str, str] | None:
    """What verify has: the exercise's checks, the trace as text and what it must show."""
    attempt(host, lambda: _judge_checks(host, expect))
    _judge_agreement(host)
    stats = attempt(host, lambda: _judge_stats(host))
    if host.plans:
        attempt(host, lambda: judge_sites(host, expect))
        attempt(host, lambda: _judge_trace(host, expect, stats))
        attempt(host, lambda: _judge_calls(host))
        attempt(host, lambda: _judge_witness(host, expect.target))
        judge_callers(host, host.events)
    attempt(host, lambda: judge_end(host, expect))
    attempt(host, lambda: judge_gone(host, expect))
    return None


def _judge_checks(host: Host, expect: Expect) -> None:
    """Did the exercise make every check that is expected of it?"""
    seen: set[str] = set()
    for step in host.steps:
        data = data_of(step) if step["step"] == "exercise" else {}
        checks = data.get("checks")
        for check in checks if isinstance(checks, list) else ():
            if isinstance(check, dict) and check.get("ok") is True:
                seen.add(str(check.get("name")))
            else:
                host.add("fail", "steps.jsonl", f"the exercise's check {_check_name(check)} is not ok")
        if data.get("cut"):
            host.add("fail", "steps.jsonl", "the output of the exercise was cut: what it said last is not known")
    absent = [name for name in expect.checks if name not in seen]
    if absent:
        host.add("missing", "steps.jsonl", f"the exercise did not check {', '.join(absent[:MAX_NAMED])}")
    else:
        host.add("ok", "steps.jsonl", f"the exercise made all {len(expect.checks)} checks that are expected of it")


def _judge_agreement(host: Host) -> None:
    """Do the steps that trace and collect agree with what they brought, and with the name of the run?"""
    for step in host.steps:
        data = data_of(step) if step["step"] in ("trace", "collect") else {}
        missing = data.get("missing")
        if missing:
            named = ", ".join(map(str, missing)) if isinstance(missing, list) else missing
            host.add("missing", "steps.jsonl", f"collect: not there on the host: {plain(named, 300)}")
        if data.get("instance") is True and host.run_id not in str(data.get("tracing_dir")):
            place = plain(data.get("tracing_dir"), 200)
            host.add("missing", "steps.jsonl", f"trace: the trace instance {place} is not one of this run")


def _check_name(check: Any) -> str:
    return plain(check.get("name") if isinstance(check, dict) else check, 100)


def attempt(host: Host, judge: Callable[[], Any]) -> Any:
    """Run one part of the judgement; evidence that cannot be used becomes a finding."""
    try:
        return judge()
    except ForeignError as error:
        host.add("missing", error.source, error.reason)
        return None


def _by_findings(host: Host) -> tuple[str, str]:
    """The failure that explains the others decides; without one, the first evidence that is missing; else OK."""
    missing = [finding for finding in host.findings if finding.outcome == "missing"]
    for verdict, findings in (("FAIL", _failures(host)), ("NO-RESULT", missing)):
        if findings:
            return verdict, f"{findings[0].source}: {findings[0].text}"
    good = sum(finding.outcome == "ok" for finding in host.findings)
    return "OK", f"all {good} checks hold"


def _failures(host: Host) -> list[Finding]:
    """What failed, causes first."""
    order = {source: rank for rank, source in enumerate(CAUSES)}
    failed = [finding for finding in host.findings if finding.outcome == "fail"]
    return sorted(failed, key=lambda finding: order.get(finding.source, len(order)))


def _entry(host: Host, verdict: str, reason: str, reproduce: str) -> dict[str, Any]:
    durations: dict[str, float] = {}
    for step in host.steps:
        name = plain(step["step"], 40)
        durations[name] = round(durations.get(name, 0.0) + _number(step.get("seconds")), 3)
    known = host.facts if host.facts else {}
    system = known.get("system") or host.info.get("system") or ""
    return {
        **_row(host.info.get("row")),
        "host": plain(host.name, 255),
        "system": plain(system, 100),
        "kernel": plain(known.get("release") or "", 100),
        "arch": plain(known.get("machine") or "", 40),
        "compiler": plain(known.get("compiler") or "", 200),
        "target": plain(host.target, 100),
        "verdict": verdict,
        "reason": plain(reason, 1000),
        "events": {plain(name, 200): count for name, count in sorted(host.events.items())},
        "sites": {plain(name, 200): counts for name, counts in sorted(host.sites.items())},
        "unreached": {plain(name, 200): counts for name, counts in sorted(host.unreached.items())},
        "lost": host.lost,
        "splats": [plain(text, 300) for text in host.splats[: 2 * MAX_NAMED]],
        "durations": durations,
        "steps": _step_entries(host),
        "finished": _finished(host),
        "reproduce": reproduce,
        "round_trips": int(sum(_number(step.get("round_trips")) for step in host.steps)),
        "unresolved": [
            {"function": plain(item["function"], 200), "tried": [plain(name, 200) for name in item["tried"]]}
            for item in _unresolved(host)
        ],
        "evidence": [
            {
                "outcome": finding.outcome,
                "source": plain(finding.source, 200),
                "text": plain(finding.text, 1000),
            }
            for finding in host.findings
        ],
        "console": [plain(line, 300) for line in host.console],
    }


def _row(row: Any) -> dict[str, Any]:
    """The row of data/systems.yml that the host is: ``{"row": {...}}``, or nothing for another host."""
    if not isinstance(row, dict) or not row.get("name"):
        return {}
    kept = {key: plain(row.get(key) or "", 300) for key in ROW_KEYS}
    return {"row": {key: text for key, text in kept.items() if text or key != "variant"}}


def _step_entries(host: Host) -> list[dict[str, Any]]:
    """One entry for each step in the order in which they began; the first record that is not ok stands for its step."""
    entries: dict[str, dict[str, Any]] = {}
    for step in host.steps:
        name = plain(step["step"], 40)
        entry = entries.setdefault(name, {"step": name, "status": "ok", "seconds": 0.0, "reason": ""})
        entry["seconds"] = round(entry["seconds"] + _number(step.get("seconds")), 3)
        if entry["status"] == "ok" and step["status"] != "ok":
            entry.update(status=step["status"], reason=plain(_one_line(step.get("reason")), 1000))
    return list(entries.values())


def _finished(host: Host) -> str:
    """When the last step ended: ``2026-01-31T23:59:59Z``; nothing where no step was recorded."""
    ends = [_number(step.get("seconds")) + _time(step.get("started")) for step in host.steps]
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(ends))) if ends else ""


def _time(value: Any) -> float:
    """Seconds since 1970, up to the year 9999."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 253402300800 - 1e9
    return float(value) if good else 0.0


def judge_run(
    run_dir: str,
    hosts: Iterable[str],
    expects: Mapping[str, Expect],
    policy: splat.Policy,
    reproduce: str = "",
) -> list[dict[str, Any]]:
    """Judge all hosts of a run, in the order given; returns what results.json holds.

    ``expects`` has the expectations of each host by its name.
    ``reproduce`` is the command that repeats a host, with ``{host}`` for the host's name; without it the command
    line in run.json is taken, limited to the host.
    Raises ForeignError when run.json is missing or unusable.
    """
    info = read_run(run_dir)
    command = _command(info)
    results = []
    for name in dict.fromkeys(hosts):
        about = info["hosts"].get(name)
        again = reproduce.replace("{host}", name) or f"{command} --limit {shlex.quote(name)}"
        known = about if isinstance(about, dict) else {}
        results.append(judge_host(run_dir, name, expects[name], policy, known, plain(again, 4000)))
    return results


def _command(info: Mapping[str, Any]) -> str:
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
