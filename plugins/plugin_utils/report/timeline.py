# SPDX-License-Identifier: GPL-3.0-or-later
"""A watch as one HTML page.

Reads RUN/watch.json and RUN/records/, and judges nothing: verdicts and counts are those of watch.json.
Where the records do not fit to it, the page says so. The template is pages/timeline.html.j2, the program of the
page html/timeline/main.js; the form of the records in it is that of ``timeline_data``.
"""

import base64
import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from ..base.errors import ForeignError, InputError, KedrError
from ..base.files import write_file
from ..base.foreign import plain
from ..trace.dataset import RECORDS
from ..verdict.case import VERDICTS
from . import page as report_html
from . import results, timeline_data, watch
from .rows import many

NAME = watch.PAGE
LIMIT = 1_000_000
"""Records of a page; above it, a page shows a part and says so."""
COLOURS = 8
"""Functions with a colour of their own; the others share one."""
COUNTS = ("generated", "read", "overrun", "commit_overrun", "dropped", "left")
MAX_NAMED = 10
"""Hosts that one sentence names."""


class Page(NamedTuple):
    """A page, and what it shows: ``kept`` of ``total`` records."""

    text: str
    kept: int
    total: int


def page(run: str, limit: int = LIMIT) -> Page:
    """Make the page of a run directory.  Raises KedrError."""
    try:
        judged = results.checked(os.path.join(run, watch.NAME), "watch")
        data = timeline_data.read(os.path.join(run, RECORDS), limit)
    except ForeignError as error:
        raise InputError(f"{error}; 'kedr judge {run}' writes it anew") from None
    entries = [*judged["hosts"], *_unnamed(judged["hosts"], data)]
    hosts = [_host(entry, data) for entry in entries]
    start = _align(hosts)
    losses = [loss for host in hosts for loss in host["losses"]]
    functions = _functions(hosts, data)
    template = report_html.environment().get_template("timeline.html.j2")
    text = template.render(
        run=judged["run_id"],
        targets=judged["targets"],
        summary=watch.summary(judged).partition(": ")[2],
        verdicts=[(word, count) for word in VERDICTS if (count := sum(host["verdict"] == word for host in hosts))],
        gaps=list(_gaps(hosts, data)),
        hosts=hosts,
        losses=losses,
        functions=[one for one in functions if one["seen"]],
        idle=[one["name"] for one in functions if not one["seen"]],
        data=data,
        blob=Markup(base64.b64encode(data.packed(_head(hosts, losses, data, start))).decode("ascii")),
        many=many,
        style=Markup(report_html.read("report.css") + report_html.read("timeline.css")),
        **report_html.script("timeline", "main.js"),
    )
    return Page(text, data.kept, data.total)


def write(run: str, output: str = "", limit: int = LIMIT) -> Page:
    """Write the page of a run directory (mode 0600), by default into it.  Raises KedrError, OSError."""
    made = page(run, limit)
    write_file(output or os.path.join(run, NAME), made.text)
    return made


def after_judging(run: str) -> tuple[str, str]:
    """Write the page of a run that was judged just now; returns its path, or nothing and why there is none.

    A page that cannot be made changes no verdict. One of an earlier judgement is removed: it may show another.
    """
    path = os.path.join(run, NAME)
    try:
        write(run)
        return path, ""
    except KedrError as error:
        trouble = str(error)
    except OSError as error:
        trouble = f"{error.filename or path}: {error.strerror or error}"
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    with contextlib.suppress(OSError):
        os.unlink(path)
    return "", plain(trouble, 2000)


def _unnamed(entries: Sequence[Mapping[str, Any]], data: timeline_data.Data) -> Iterator[dict[str, Any]]:
    """Entries for hosts of which there are records only: nobody judged them."""
    for name in sorted(set(data.first_ns) - {entry["host"] for entry in entries}):
        yield {
            "host": name,
            **dict.fromkeys(("system", "kernel", "arch"), ""),
            "verdict": "NO-RESULT",
            "reason": f"there are records of this host, and {watch.NAME} does not name it",
            "records": None,
            "lost": 0,
            **{name: [] for name in ("checks", "notes", "cpus", "console")},
            "events": {},
            "clock": None,
        }


def _host(entry: Mapping[str, Any], data: timeline_data.Data) -> dict[str, Any]:
    """What the page shows of one host.  ``first`` is its first record, ``last`` the last, in ns of its trace clock."""
    cpus = [_cpu(cpu) for cpu in entry["cpus"]]
    key = entry["host"]
    known = [time for cpu in cpus for loss in cpu["losses"] for time in (loss["after_ns"], loss["before_ns"]) if time]
    clock = entry["clock"]
    recorded = sum(total.calls for total in data.totals if total.host == key)
    host = {
        **entry,
        "cpus": cpus,
        "sums": _sums(cpus),
        "clock": clock if clock and clock["bound_ns"] is not None else None,
        "first": data.first_ns.get(key, min(known, default=0)),
        "last": data.last_ns.get(key, max(known, default=0)),
        "recorded": recorded,
        "unfit": _unfit(entry["records"], recorded),
        "failed": [check for check in entry["checks"] if not check["ok"] and check["text"] not in entry["reason"]],
        "inits": data.inits.get(key, []),
        "shift": None,
    }
    host["losses"] = [loss for cpu in cpus for loss in _losses(host, cpu)]
    return host


def _unfit(came: int | None, recorded: int) -> str:
    """How the records of a host differ from what watch.json says; nothing where they do not."""
    if came is None or came == recorded:
        return ""
    if not recorded:
        return f"{many(came, 'record')} came, and there is no table of them: this page shows none"
    return f"{many(came, 'record')} came, the table has {recorded}"


def _cpu(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of one CPU; None stands for what the host did not say.  ``lost`` was generated and is gone."""
    counts = {name: entry[name] for name in COUNTS}
    parts = [counts[name] for name in COUNTS[1:]]
    gone = [counts[name] for name in ("overrun", "commit_overrun", "dropped") if counts[name] is not None]
    return {
        **entry,
        "lost": sum(gone) if gone else None,
        "adds_up": None if None in counts.values() else counts["generated"] == sum(parts),
    }


def _sums(cpus: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of all CPUs together; None where one of them is not known."""
    sums: dict[str, Any] = {}
    for name in (*COUNTS, "lost"):
        values = [cpu[name] for cpu in cpus]
        sums[name] = None if None in values or not values else sum(values)
    signs = [cpu["adds_up"] for cpu in cpus]
    sums["adds_up"] = False if False in signs else None if None in signs or not signs else True
    return sums


def _losses(host: Mapping[str, Any], cpu: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each hole in the records of a CPU, and what the kernel counted as lost beyond them."""
    found = []
    for loss in cpu["losses"]:
        begin = loss["after_ns"] or min(host["first"], loss["before_ns"])
        place = {"from": begin - host["first"], "to": loss["before_ns"] - host["first"]}
        found.append({"records": loss["records"], **place})
    rest = (cpu["lost"] or 0) - sum(loss["records"] for loss in found)
    if rest > 0:
        found.append({"records": rest, "from": None, "to": None})
    generated = cpu["generated"] or cpu["decoded"] + sum(loss["records"] for loss in found)
    for loss in found:
        share = loss["records"] / generated if generated else 0
        loss.update(host=host["host"], cpu=cpu["cpu"], text=_loss(loss, share))
    return found


def _loss(loss: Mapping[str, Any], share: float) -> str:
    """How many, which share of the CPU's records, between which times since the host's first record."""
    number = "an unknown number of records lost"
    if loss["records"]:
        number = f"{loss['records']:,} record{'s' if loss['records'] > 1 else ''} lost, {_percent(share)}"
    if loss["from"] is None:
        return f"{number}, at times that the kernel did not tell"
    return f"{number}, between {loss['from'] / 1e9:.6f} s and {loss['to'] / 1e9:.6f} s"


def _percent(share: float) -> str:
    return "less than 0.01 %" if 0 < share < 0.0001 else f"{100 * share:.2f} %"


def _align(hosts: Sequence[dict[str, Any]]) -> int | None:
    """Give each host its place on the axis of real time; returns the axis' start in ns since 1970.

    There is no such axis, and no place, when a host with records or losses has no clock.
    """
    seen = [host for host in hosts if host["recorded"] or host["losses"]]
    if not seen or any(host["clock"] is None for host in seen):
        return None
    starts = [host["first"] + host["clock"]["offset_ns"] for host in seen]
    for host, start in zip(seen, starts, strict=True):
        host["shift"] = start - min(starts)
    return min(starts)


def _gaps(hosts: Sequence[Mapping[str, Any]], data: timeline_data.Data) -> Iterator[str]:
    """A sentence for each thing that the page does not show or cannot vouch for; none when it shows everything."""
    if not hosts:
        yield f"{watch.NAME} names no host: nothing was collected."
    if bad := [f"{host['host']} ({host['verdict']})" for host in hosts if host["verdict"] != "OK"]:
        yield f"Not OK: {_named(bad)}."
    if empty := [host["host"] for host in hosts if host["records"] == 0]:
        yield f"No record came: {_named(empty)}."
    if unfit := [host["host"] for host in hosts if host["unfit"]]:
        yield f"The table of records is not that of {watch.NAME}: {_named(unfit)}. Judge again with 'kedr judge'."
    if lossy := {host["host"]: host["lost"] for host in hosts if host["lost"]}:
        yield f"{many(sum(lossy.values()), 'record')} lost: {_named(lossy)}."
    if holding := {host["host"]: host["sums"]["left"] for host in hosts if host["sums"]["left"]}:
        yield f"{many(sum(holding.values()), 'record')} left in the buffers: {_named(holding)}."
    if unknown := [host["host"] for host in hosts if host["sums"]["adds_up"] is None]:
        yield f"How many records were generated is not known: {_named(unknown)}."
    if wrong := [host["host"] for host in hosts if host["sums"]["adds_up"] is False]:
        yield f"The account does not add up: {_named(wrong)}."
    seen = [host for host in hosts if host["recorded"]]
    if len(seen) > 1 and (adrift := [host["host"] for host in seen if not host["clock"]]):
        yield f"The order between hosts is not known; there are no readings of the clocks of {_named(adrift)}."
    elif len(seen) > 1 and (adrift := [host["host"] for host in seen if host["clock"]["error_ns"] is None]):
        yield f"The order between hosts is that of clocks whose error is not known (no chrony): {_named(adrift)}."
    if data.kept != data.total:
        yield (
            f"Only {data.kept:,} of {data.total:,} records are in this page: of each function on each CPU the first "
            f"and then one of {data.every}. Counts, accounts and losses are those of all records. "
            f"'kedr page --limit {data.total}' makes a page of all; 'kedr trace' answers questions to all."
        )


def _named(names: Iterable[str]) -> str:
    found = list(names)
    rest = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return ", ".join(found[:MAX_NAMED]) + rest


def _head(
    hosts: Sequence[Mapping[str, Any]], losses: Sequence[Mapping[str, Any]], data: timeline_data.Data, start: int | None
) -> dict[str, Any]:
    """Hosts, lanes and functions.  Times count from each host's first record; ``first`` is text, being large."""
    placed = [loss for loss in losses if loss["from"] is not None]
    lanes = {(lane.host, lane.cpu): lane.records for lane in data.lanes}
    for loss in placed:
        lanes.setdefault((loss["host"], loss["cpu"]), 0)
    numbers = {host["host"]: number for number, host in enumerate(hosts)}
    return {
        "start": None if start is None else str(start),
        "hosts": [
            {
                "name": plain(host["host"], timeline_data.MAX_TEXT),
                "look": "unknown" if host["unfit"] else report_html.LOOKS[host["verdict"]],
                "note": " · ".join(["" if host["verdict"] == "OK" else host["verdict"], _few(host)]).strip(" ·"),
                "first": str(host["first"]),
                "span": host["last"] - host["first"],
                "shift": host["shift"],
                "inits": [[begin - host["first"], end - host["first"]] for begin, end in host["inits"]],
            }
            for host in hosts
        ],
        "lanes": [[numbers[host], cpu, count] for (host, cpu), count in lanes.items()],
        "losses": [
            [numbers[loss["host"]], loss["cpu"], loss["from"], loss["to"], loss["records"], loss["text"]]
            for loss in placed
        ],
        "events": [plain(name, timeline_data.MAX_TEXT) for name in data.events],
    }


def _few(host: Mapping[str, Any]) -> str:
    return "no records" if not host["recorded"] else "not all records" if host["unfit"] else ""


def _functions(hosts: Sequence[Mapping[str, Any]], data: timeline_data.Data) -> list[dict[str, Any]]:
    """Counts of each function on each host, for bars; ``counted`` is what the payload says, where it differs."""
    totals = {(one.event, one.host): one for one in data.totals}
    names = [*data.events, *sorted({name for host in hosts for name in host["events"]} - set(data.events))]
    found = []
    for number, name in enumerate(names):
        bars: list[dict[str, Any]] = []
        for host in hosts:
            one = totals.get((name, host["host"]), timeline_data.Total(name, host["host"], 0, 0))
            counted = host["events"].get(name, {}).get("counted")
            told = None if counted == one.calls else counted
            bars.append({"host": one.host, "calls": one.calls, "in_init": one.in_init, "counted": told})
        most = max((max(one["calls"], one["counted"] or 0) for one in bars), default=0)
        found.append({"name": name, "colour": min(number, COLOURS), "seen": most > 0, "most": most or 1, "bars": bars})
    return found
