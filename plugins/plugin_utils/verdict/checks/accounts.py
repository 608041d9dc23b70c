# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of a watch (``raw/``, ``stats.txt``, ``calls.json``): do the counts add up?  Writes their table."""

import os

from ...base.errors import ForeignError, about
from ...evidence import host_records
from ...evidence.accounts import account
from ...trace import collected, dataset, rows
from ...trace.text import TraceReader, read_lines
from ..case import Case, Decision, data_of
from .counts import CALLS, STATS, read_calls

TEXT = "trace.txt"


def check(case: Case) -> None:
    """Read all records, write the table, see whether the counts add up."""
    if not case.plans:
        return
    if case.has(CALLS):
        case.attempt(_read_counts)
    with about("raw"):
        case.collected = came = collected.read(case.path)
        try:
            written = _write_table(case, came)
        except OSError as error:
            text = f"the table cannot be written: {error.strerror or error}"
            case.trouble = Decision("INFRA", f"{error.filename or _top(case)}: {text}")
            return
    if written != came.decoded:
        case.add("fail", dataset.RECORDS, f"{written} rows were written of {came.decoded} records")
    _check_text(case, came)
    _check_cpus(case, came)
    if not came.decoded:
        case.add("missing", "raw", "no record at all: nothing shows that a call would have been recorded")
    _account(case, came)
    case.lost = came.lost


def _read_counts(case: Case) -> None:
    case.counts = read_calls(case)
    case.calls = {name.partition("/")[2]: count for name, count in case.counts.items()}


def _top(case: Case) -> str:
    return os.path.join(os.path.dirname(case.path), dataset.RECORDS)


def _write_table(case: Case, came: collected.Collected) -> int:
    """Write the table of the host; returns how many rows it has.  Raises ForeignError, OSError."""
    system = str(case.facts.get("system") or case.info.get("system") or "unknown")
    moments = {event["event"]: event.get("moment", "after") for _module, event in case.planned()}
    origin = rows.Origin(case.name, str(case.facts.get("release") or ""), _sites(case), moments)
    return dataset.write(_top(case), case.run_id, system, case.name, came.batches(origin))


def _sites(case: Case) -> dict[str, str]:
    try:
        return host_records.call_sites(case.path)
    except ForeignError:
        return {}  # the check of the sites says so


def _check_text(case: Case, came: collected.Collected) -> None:
    """A snapshot has the kernel's text beside the pages: it must have as many records."""
    if not case.has(TEXT):
        if case.snapshot:
            case.add("missing", TEXT, "the kernel's text of this snapshot did not come")
        return
    if came.form != "pages":
        return
    with open(case.file(TEXT), "rb") as stream:
        reader = TraceReader(read_lines(stream), {})
        for _record in reader:
            pass
    outcome, text = _compare_text(reader, came.decoded)
    case.add(outcome, TEXT, text)


def _compare_text(reader: TraceReader, decoded: int) -> tuple[str, str]:
    promised = f"its heading promises {reader.entries} records"
    if reader.entries is None:
        return "missing", "its heading does not say how many records there are"
    if reader.entries != decoded:
        return "fail", f"{promised}, {decoded} came as pages"
    if reader.heads < reader.entries:
        return "missing", f"it was cut: {promised}, it has {reader.heads}"
    if reader.backwards:
        text = f"{reader.backwards} records are earlier than the one above them, the first in line "
        return "missing", text + str(reader.first_backwards)
    return "ok", f"its heading promises as many records: {reader.entries}"


def _check_cpus(case: Case, came: collected.Collected) -> None:
    """Counts of a CPU that are not there cannot show a loss."""
    there, cpus = sum(cpu.stats is not None for cpu in came.cpus.values()), case.facts.get("cpus")
    if isinstance(cpus, int) and 0 < there < cpus:
        case.add("missing", STATS, f"counts of {there} CPUs, the host has {cpus}")


def _account(case: Case, came: collected.Collected) -> None:
    events = {f"{module}/{event['event']}": event.get("moment") for module, event in case.planned()}
    before = {name for name, moment in events.items() if moment == "before"}
    for found in account(came, case.counts, events, _is_flight_recorder(case), before):
        # Of files that are not what came nothing is concluded against the host.
        case.add(*(found._replace(outcome="note") if case.damaged and found.outcome == "fail" else found))


def _is_flight_recorder(case: Case) -> bool:
    """Was it chosen that the buffer overwrites its oldest records?  The kernel's own default is not a choice."""
    begun = [data_of(step) for step in case.steps if step["step"] == "trace"]
    return any(data.get("overwrite") is True for data in begun)
