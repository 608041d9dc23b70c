# SPDX-License-Identifier: GPL-3.0-or-later
"""A case: one host that is judged, the files that are its evidence, and what the checks have found so far.

Everything is read from ``RUN/HOST/``, so a run can be judged again. A file is evidence only when it is what was
received: the record of the step that brought it has its checksum.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from typing import TYPE_CHECKING, Any, NamedTuple

from ..base import files, rundir
from ..base.errors import ForeignError, about
from ..base.files import MAX_JSON, checked_json
from ..evidence.expect import Expect
from ..evidence.finding import Finding
from ..evidence.policy import Policy
from ..trace.stats import CpuStats

if TYPE_CHECKING:  # it imports NumPy, which no check of a verify needs
    from ..trace.collected import Collected

VERDICTS = ("OK", "FAIL", "CRASH", "INFRA", "SKIP", "NO-RESULT")
MAX_NAMED = 10
"""How many names or lines one finding, or one file, is given."""
OWN_FILES = ("run.json", "steps.jsonl", "guest.json", "stream.json", "console.log", "clocks.jsonl")
"""Files that the control node writes by itself, clocks.jsonl a reading at a time.  Any other came with a step, whose
record has its checksum."""


class Decision(NamedTuple):
    """One of VERDICTS, and why."""

    verdict: str
    reason: str


@dataclass
class Case:
    """One host: what is known of it, and below ``findings`` what the checks found.

    ``wanted`` are the steps of its kind of run, ``targets`` the modules that were watched.  ``files`` has the SHA-256
    of each file that a step brought, ``opened`` the names of those that were looked at.
    """

    name: str
    run_id: str
    path: str
    info: Mapping[str, Any]
    expect: Expect
    policy: Policy
    wanted: tuple[str, ...]
    targets: tuple[str, ...]
    findings: list[Finding] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)
    # from steps.jsonl, facts.json and payloads.json
    steps: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    has_evidence: bool = True
    facts: dict[str, Any] = field(default_factory=dict)
    plans: list[dict[str, Any]] = field(default_factory=list)
    # from the kernel's logs
    splats: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    # from the trace, its counts and the call sites
    stats: dict[int, CpuStats] | None = None
    events: Counter[str] = field(default_factory=Counter)
    nothing: Counter[str] = field(default_factory=Counter)
    whole: bool = False
    counts: dict[str, int] | None = None
    calls: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    sites: dict[str, dict[str, int]] = field(default_factory=dict)
    unreached: dict[str, dict[str, int | bool]] = field(default_factory=dict)
    # of a watch alone
    snapshot: bool = False
    damaged: bool = False
    collected: Collected | None = None
    # what outweighs the findings: a step that is not ok, else another trouble; and what outweighs both
    failed: Decision | None = None
    trouble: Decision | None = None
    restarted: Decision | None = None
    died: Decision | None = None
    panic: str = ""

    def add(self, outcome: str, source: str, text: str) -> None:
        """Write down a finding."""
        self.findings.append(Finding(outcome, source, text))

    def attempt(self, check: Check) -> None:
        """Make a check; evidence that it cannot use becomes a finding."""
        try:
            check(self)
        except ForeignError as error:
            self.add("missing", error.source, error.reason)

    def was_done(self, step: str) -> bool:
        """Is there a record that a step was done, and was ok?"""
        return any(one["step"] == step and one["status"] == "ok" for one in self.steps)

    @property
    def decided(self) -> Decision | None:
        """What decides whatever the checks find, unless the host died or the target is to blame."""
        return self.failed or self.trouble

    @property
    def boot(self) -> str:
        """The boot of the host in which its facts were read; empty where that is not known."""
        return str(self.facts.get("boot_id") or "")

    @property
    def recorded(self) -> Mapping[str, int]:
        """How many records of each event came, by the event's name."""
        if self.collected is None:
            return self.events
        return {name.partition("/")[2]: count for name, count in self.collected.recorded.items()}

    def planned(self) -> list[tuple[str, dict[str, Any]]]:
        """All events of the payloads: (name of the payload's module, what the plan says of the event)."""
        return [(plan["module"], event) for plan in self.plans for event in plan["events"]]

    def modules(self) -> list[str]:
        """The modules of the payloads."""
        return [plan["module"] for plan in self.plans]

    def unresolved(self) -> list[dict[str, Any]]:
        """The optional functions that the kernel does not export, each with the symbols that were tried."""
        return [
            {"function": item["function"], "tried": [str(name) for name in item.get("tried", [])]}
            for plan in self.plans
            for item in plan.get("unresolved", [])
        ]

    def file(self, name: str) -> str:
        """Path of a file of this host."""
        return os.path.join(self.path, name)

    def has(self, name: str) -> bool:
        """Is there a file of this name?"""
        return os.path.exists(self.file(name))

    def open(self, name: str) -> BufferedReader:
        """Open a file of the host that is what was received.  Raises ForeignError."""
        self.opened.add(name)
        try:
            # Without O_NONBLOCK a pipe in place of the file would be waited for.
            stream = open(os.open(self.file(name), os.O_RDONLY | os.O_NONBLOCK), "rb")  # noqa: SIM115 - see who asked
        except FileNotFoundError:
            raise ForeignError("the file is not there", name) from None
        except OSError as error:
            raise ForeignError(f"the file cannot be read: {error.strerror or error}", name) from None
        try:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise ForeignError("not a regular file", name)
            self._check_received(name, stream)
        except BaseException:
            stream.close()
            raise
        return stream

    def _check_received(self, name: str, stream: BufferedReader) -> None:
        """Raise ForeignError unless the file is what the step that brought it received."""
        if name in OWN_FILES:
            return
        wanted = self.files.get(name)
        if wanted is None:
            raise ForeignError("no step of this run says that it brought this file", name)
        if hashlib.file_digest(stream, "sha256").hexdigest() != wanted:
            raise ForeignError("the file is not what was received: its checksum differs", name)
        stream.seek(0)

    def text(self, name: str, limit: int = MAX_JSON) -> str:
        """Return what a file holds.  Raises ForeignError when it is missing, empty or has more than ``limit`` bytes."""
        with about(name), self.open(name) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise ForeignError(f"the file has more than {limit} bytes", name)
        if not data.strip():
            raise ForeignError("the file is empty", name)
        return data.decode("utf-8", "surrogateescape")

    def json(self, name: str, kind: type) -> Any:
        """Return what a file of JSON holds, which must be a ``kind``.  Raises ForeignError."""
        with about(name):
            return checked_json(self.text(name), kind)


Check = Callable[[Case], None]
"""One check of the evidence: adds what it finds to the case.  Raises ForeignError for evidence that it cannot use."""


def read_run(run_dir: str) -> dict[str, Any]:
    """Return what run.json of a run directory holds.  Raises ForeignError."""
    path = os.path.join(run_dir, "run.json")
    info: dict[str, Any] = files.read_json(path)
    told = info.pop("sum", None)
    if told is not None and told != rundir.seal(hashlib.sha256(), info):
        raise ForeignError("is not what was written: its checksum differs", path)
    if not isinstance(info.get("hosts"), dict):
        raise ForeignError("has no object 'hosts'", path)
    return info


def data_of(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a step recorded of its own; nothing where it recorded none, or no object."""
    data = step.get("data")
    return data if isinstance(data, dict) else {}


def number(value: Any, most: float = 1e9) -> float:
    """Return a number from 0 up to ``most``; 0 for anything else."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < most
    return float(value) if good else 0.0


def one_line(text: Any) -> str:
    """Return the lines of a text, which may be missing, on one."""
    return "; ".join(line.strip() for line in str(text or "").splitlines() if line.strip())
