# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of a collection -> its table of records and one verdict per host (``collection.json``).

Verdicts are those of ``verdict``, and so is what both kinds of run have: steps, kernel log, call sites, taint,
unloading, the life of a guest.  In the place of what verify expects of its trace stand the accounts
(``collection.account``): OK needs counts that add up and nothing lost but by choice.  The run directory is the truth:
whatever stands in it can be judged again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..base import rundir
from ..base.errors import ForeignError, InputError, about
from ..base.files import write_file
from ..base.foreign import plain
from ..base.table import table as table_of
from ..evidence import accounts as collection
from ..evidence import counters, host_records
from ..evidence.expect import Expect, Taint
from ..evidence.policy import Policy
from ..trace import clocks, dataset, pages, rows
from ..trace.text import TraceReader, read_lines
from . import verify

STEPS = (
    "facts",
    "render",
    "build",
    "load",
    "trace",
    "target",
    "stream",
    "unload_target",
    "collect",
    "drain",
    "unload",
    "release",
)
"""The steps of a collection in order; each must be there and be ok for OK."""

NAME = "collection.json"
PAGE = "timeline.html"
"""The page that is made of it."""
RECORDS = "records"
"""Directory of the tables of a run."""

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
"""What loading the modules of a collection may do; the controller is from outside of the kernel's tree."""


class _Accounts:
    """What is found out about the records of one host while it is judged."""

    def __init__(self, host: verify.Host, run_id: str, top: str) -> None:
        self.host = host
        self.run_id = run_id
        self.top = top
        self.targets = _targets(host.info)
        self.collected: collection.Collected | None = None
        self.counts: dict[str, int] | None = None
        self.snapshot = False
        self.damaged = False

    def evidence(self, host: verify.Host, expect: Expect) -> tuple[str, str] | None:
        """Judge what only a collection has."""
        decided: tuple[str, str] | None = verify.attempt(host, self._judge_stream)
        verify.attempt(host, self._check_sums)
        if not self.targets:
            host.add("missing", "run.json", "no target of this host: no call site can be checked")
        if host.plans:
            decided = verify.attempt(host, self._account) or decided
            for target in self.targets:
                host.target = target
                own = Expect("", target, expect.gone, (), expect.taint)
                verify.attempt(host, partial(verify.judge_sites, host, own))
            host.calls = {name.partition("/")[2]: count for name, count in (self.counts or {}).items()}
            recorded = self.collected.recorded if self.collected else {}
            verify.judge_callers(host, {name.partition("/")[2]: count for name, count in recorded.items()})
        verify.attempt(host, lambda: verify.judge_end(host, expect, self.targets))
        verify.attempt(host, lambda: verify.judge_gone(host, expect))
        return decided

    def _judge_stream(self) -> tuple[str, str] | None:
        """Did all come that the host had to send?"""
        told = verify.read_json(self.host, "stream.json", dict)
        self.snapshot = told.get("mode") == "snapshot"
        local = told.get("local_command")
        if isinstance(local, dict) and local.get("status") != 0 and not local.get("killed"):
            text = f"the command on the control node ended with exit status {local.get('status')}"
            self.host.add("fail", "stream.json", text)
        if told.get("complete") is True:
            self.host.add("ok", "stream.json", "the host has said that all was sent, and all has come")
            return None
        error = plain(told.get("error") or "the stream has no end", 500)
        self.host.add("missing", "stream.json", error)
        return ("INFRA", f"stream.json: {error}") if told.get("error") else None

    def _check_sums(self) -> None:
        """Are the files still what was received?"""
        with about("raw"):
            found = collection.damage(self.host.path)
        for one in found:
            self.host.add(*one)
            self.damaged = self.damaged or one.outcome != "ok"

    def _account(self) -> tuple[str, str] | None:
        """Read all records, write the table, see whether the counts add up."""
        host = self.host
        events = [f"{plan['module']}/{one['event']}" for plan in host.plans for one in plan["events"]]
        if os.path.exists(host.file("calls.json")):
            self.counts = verify.attempt(host, self._counts)
        with about("raw"):
            self.collected = collection.read(host.path)
            try:
                rows = self._write_table(self.collected)
            except OSError as error:
                return "INFRA", f"{error.filename or self.top}: the table cannot be written: {error.strerror or error}"
        if rows != self.collected.decoded:
            host.add("fail", RECORDS, f"{rows} rows were written of {self.collected.decoded} records")
        self._check_text(self.collected)
        self._check_cpus(self.collected)
        if not self.collected.decoded:
            host.add("missing", "raw", "no record at all: nothing shows that a call would have been recorded")
        before = {name for name in events if self._moments().get(name.partition("/")[2]) == "before"}
        for found in collection.account(self.collected, self.counts, events, _is_flight_recorder(host), before):
            # Of files that are not what came nothing is concluded against the host.
            host.add(*(found._replace(outcome="note") if self.damaged and found.outcome == "fail" else found))
        host.lost = self.collected.lost
        return None

    def _counts(self) -> dict[str, int]:
        with about("calls.json"):
            return counters.check(verify.read_json(self.host, "calls.json", dict))

    def _write_table(self, collected: collection.Collected) -> int:
        host = self.host
        system = str(host.facts.get("system") or host.info.get("system") or "unknown")
        origin = rows.Origin(host.name, str(host.facts.get("release") or ""), self._sites(), self._moments())
        return dataset.write(self.top, self.run_id, system, host.name, collected.batches(origin))

    def _sites(self) -> dict[str, str]:
        try:
            return host_records.call_sites(self.host.path)
        except ForeignError:
            return {}  # judge_sites says so

    def _moments(self) -> dict[str, str]:
        """{event: before or after}, as the plans say it."""
        try:
            return host_records.moments(self.host.path)
        except ForeignError:
            return {}  # read_plans says so

    def _check_text(self, collected: collection.Collected) -> None:
        """A snapshot has the kernel's text beside the pages: it must have as many records."""
        if not os.path.exists(self.host.file("trace.txt")):
            if self.snapshot:
                self.host.add("missing", "trace.txt", "the kernel's text of this snapshot did not come")
            return
        if collected.form != "pages":
            return
        with open(self.host.file("trace.txt"), "rb") as stream:
            reader = TraceReader(read_lines(stream), {})
            for _record in reader:
                pass
        if reader.entries is None:
            self.host.add("missing", "trace.txt", "its heading does not say how many records there are")
        elif reader.entries != collected.decoded:
            text = f"its heading promises {reader.entries} records, {collected.decoded} came as pages"
            self.host.add("fail", "trace.txt", text)
        elif reader.heads < reader.entries:
            text = f"it was cut: its heading promises {reader.entries} records, it has {reader.heads}"
            self.host.add("missing", "trace.txt", text)
        elif reader.backwards:
            text = f"{reader.backwards} records are earlier than the one above them, the first in line "
            self.host.add("missing", "trace.txt", text + str(reader.first_backwards))
        else:
            self.host.add("ok", "trace.txt", f"its heading promises as many records: {reader.entries}")

    def _check_cpus(self, collected: collection.Collected) -> None:
        """Counts of a CPU that are not there cannot show a loss."""
        there, cpus = sum(cpu.stats is not None for cpu in collected.cpus.values()), self.host.facts.get("cpus")
        if isinstance(cpus, int) and 0 < there < cpus:
            self.host.add("missing", "stats.txt", f"counts of {there} CPUs, the host has {cpus}")


def _targets(info: Mapping[str, Any]) -> tuple[str, ...]:
    """The modules that a host was to be watched for."""
    given = info.get("targets")
    names = given if isinstance(given, list) else str(info.get("target") or "").split(",")
    return tuple(dict.fromkeys(str(name).strip().replace("-", "_") for name in names if str(name).strip()))


def _is_flight_recorder(host: verify.Host) -> bool:
    """Was it chosen that the buffer overwrites its oldest records?  The kernel's own default is no choice."""
    begun = [verify.data_of(step) for step in host.steps if step["step"] == "trace"]
    return any(data.get("overwrite") is True for data in begun)


# -- hosts -------------------------------------------------------------------------------------------


def judge_run(run_dir: str, hosts: Iterable[str], policy: Policy) -> dict[str, Any]:
    """Judge the hosts of a collection; returns what collection.json holds, and writes their tables of records.

    Raises InputError when a package is missing, ForeignError when run.json is missing or unusable.
    """
    missing = pages.NUMPY_ERROR or rows.ARROW_ERROR or dataset.PARQUET_ERROR
    if missing:
        raise InputError(f"{missing}: install what requirements/collect.txt names on the control node")
    known = verify.read_run(run_dir)["hosts"]
    run_id = os.path.basename(os.path.realpath(run_dir))
    names = list(dict.fromkeys(hosts))
    entries = [_judge(run_dir, run_id, name, policy, known.get(name)) for name in names]
    targets = dict.fromkeys(name for about in known.values() if isinstance(about, dict) for name in _targets(about))
    return {"run_id": plain(run_id, 100), "targets": [plain(name, 100) for name in targets],
            "hosts": entries}


def _judge(run_dir: str, run_id: str, name: str, policy: Policy, about: Any) -> dict[str, Any]:
    """The entry of one host.  Whatever a hostile host left harms its own entry only."""
    info = about if isinstance(about, dict) else {}
    host = verify.Host(name, run_id, os.path.join(run_dir, name), info, wanted=STEPS)
    accounts = _Accounts(host, run_id, os.path.join(run_dir, RECORDS))
    targets = accounts.targets
    expect = Expect("", targets[0] if targets else "", (*targets, "cp_controller"), (), TAINT)
    try:
        decided = verify.decide(host, expect, policy, accounts.evidence)
    except Exception as error:
        text = f"the evidence cannot be judged: {type(error).__name__}: {error}"
        host.add("missing", ".", text)
        decided = "NO-RESULT", text
    return _entry(host, accounts, *decided)


def _entry(host: verify.Host, accounts: _Accounts, word: str, reason: str) -> dict[str, Any]:
    collected = accounts.collected
    if collected and word not in ("OK", "SKIP") and collected.decoded:
        reason += f" ({collected.decoded} records came{collection.up_to(collected.last_ns)})"
    shown = {"ok": True, "fail": False, "missing": False}
    return {
        "host": plain(host.name, 255),
        "system": plain(host.facts.get("system") or host.info.get("system") or "", 100),
        "kernel": plain(host.facts.get("release") or "", 100),
        "arch": plain(host.facts.get("machine") or "", 40),
        "verdict": word,
        "reason": plain(reason, 1000),
        "records": collected.decoded if collected else 0,
        "lost": collected.lost if collected else 0,
        "checks": [
            {"name": plain(one.source, 200), "ok": shown[one.outcome], "text": plain(one.text, 1000)}
            for one in host.findings
            if one.outcome in shown
        ],
        "notes": [plain(f"{one.source}: {one.text}", 1200) for one in host.findings if one.outcome == "note"],
        "cpus": [_cpu(cpu) for cpu in collected.cpus.values()] if collected else [],
        "events": _events(host, accounts),
        "clock": _clock(host),
        "console": [plain(line, 300) for line in host.console],
    }


def _cpu(cpu: collection.Cpu) -> dict[str, Any]:
    stats = cpu.stats
    return {
        "cpu": cpu.number,
        "generated": cpu.generated,
        "read": cpu.read,
        "overrun": stats.overrun if stats else None,
        "commit_overrun": stats.commit_overrun if stats else None,
        "dropped": (stats.dropped or 0) if stats else None,
        "left": stats.entries if stats else None,
        "decoded": cpu.decoded,
        "missed": cpu.missed,
        "losses": [loss._asdict() for loss in cpu.losses],
        "first_ns": cpu.first_ns,
        "last_ns": cpu.last_ns,
    }


def _events(host: verify.Host, accounts: _Accounts) -> dict[str, dict[str, int | None]]:
    """By name of the event, how often the payloads were called and how many records came."""
    recorded = accounts.collected.recorded if accounts.collected else {}
    planned = [(plan["module"], one["event"]) for plan in host.plans for one in plan["events"]]
    return {
        plain(event, 200): {
            "counted": (accounts.counts or {}).get(f"{module}/{event}"),
            "recorded": recorded.get(f"{module}/{event}", 0),
        }
        for module, event in planned
    }


def _clock(host: verify.Host) -> dict[str, Any] | None:
    """The trace clock of a host against the clock of day; None without readings that can be used."""
    try:
        return clocks.parse(verify.read_file(host, "clocks.jsonl")).summary()
    except ForeignError:
        return None


# -- what is shown -----------------------------------------------------------------------------------


def dump(results: Mapping[str, Any]) -> str:
    """The text of collection.json."""
    return json.dumps(results, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(run_dir: str, results: Mapping[str, Any]) -> bool:
    """Write collection.json (mode 0600); returns whether it is new.

    When it cannot be written, an older one and its page are removed: they may say something else.  Raises OSError.
    """
    path, text = os.path.join(run_dir, NAME), dump(results)
    try:
        with open(path, encoding="utf-8") as stream:
            changed = stream.read() != text
    except OSError:
        changed = True
    try:
        write_file(path, text)
    except OSError:
        for stale in (path, os.path.join(run_dir, PAGE)):
            with contextlib.suppress(OSError):
                os.unlink(stale)
        raise
    return changed


def hosts_of(run_dir: str) -> list[str]:
    """The hosts that the run was about.  Raises ForeignError, InputError."""
    names = [str(name) for name in verify.read_run(run_dir)["hosts"]]
    rundir.check_hosts(names)
    return names


HEADINGS = ("host", "system", "kernel", "records", "lost", "share", "verdict")
_NUMBERS = ("records", "lost", "share")


def table(results: Mapping[str, Any]) -> str:
    """A line for each host, below them why a host is not OK, and how many are."""
    hosts: Sequence[Mapping[str, Any]] = results["hosts"]
    shown = table_of(HEADINGS, [_row(entry) for entry in hosts], [name in _NUMBERS for name in HEADINGS])
    for entry in hosts:
        shown += _details(entry, entry["verdict"] != "OK" or len(hosts) == 1)
    return "\n".join([*shown, "", summary(results)])


def summary(results: Mapping[str, Any]) -> str:
    """``collection: 3 of 4 hosts OK, 120 records, 0 lost``."""
    hosts = results["hosts"]
    good = sum(entry["verdict"] == "OK" for entry in hosts)
    came, lost = (sum(entry[key] for entry in hosts) for key in ("records", "lost"))
    return f"collection: {good} of {len(hosts)} hosts OK, {came} records, {lost} lost"


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    part = collection.share(entry["lost"], entry["lost"] + entry["records"]) if entry["lost"] else "-"
    texts = {"records": str(entry["records"]), "lost": str(entry["lost"]), "share": part}
    return tuple(texts.get(name) or str(entry[name] or "-")[:40] for name in HEADINGS)


def _details(entry: Mapping[str, Any], evidence: bool) -> Iterator[str]:
    if not evidence:
        return
    yield ""
    yield f"{entry['host']}: {entry['verdict']}: {entry['reason']}"
    for check in entry["checks"]:
        yield f"  {'ok' if check['ok'] else 'BAD':<4} {check['name']}: {check['text']}"
    for note in entry["notes"]:
        yield f"  note {note}"
