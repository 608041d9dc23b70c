# SPDX-License-Identifier: GPL-3.0-or-later
"""Call sites (``sites.txt``): was each call that the relocations of a target name led to its replacement?"""

from collections.abc import Mapping
from functools import partial

from ...base.errors import ForeignError, about
from ...evidence import sites
from ...evidence.patched import Report, parse_report
from ...evidence.relocations import Expected, expected_sites
from ..case import MAX_NAMED, Case, data_of

NAME = "sites.txt"
_KINDS = {"pointers": "address taken", "static_calls": "static calls", "other": "other references"}


def targets(case: Case) -> None:
    """Is there a target at all?"""
    if not case.targets:
        case.add("missing", "run.json", "no target of this host: no call site can be checked")


def check(case: Case) -> None:
    """Compare the call sites that were patched in each target with the relocations of its file."""
    for target in case.targets if case.plans else ():
        case.attempt(partial(_check_target, target=target))


def callers(case: Case) -> None:
    """What has no call site cannot have been called: compare records and counted calls with the sites, by function."""
    records = case.recorded
    for _module, event in case.planned():
        name, function = event["event"], event["function"]
        found = case.sites.get(function)
        seen = max(records.get(name, 0), case.calls.get(name, 0))
        if found is not None and seen and not any(found.values()):
            text = f"{function}: {seen} calls recorded or counted, and the target has no call of it"
            case.add("fail", NAME, text)


def _check_target(case: Case, target: str) -> None:
    symbols = {event["function"]: event["symbol"] for _module, event in case.planned()}
    file = f"modules/{target}.ko"
    why = _why_no_file(case, target)
    if why:
        raise ForeignError(f"the file did not come, so no call site can be checked: {why}", file)
    with about(file), case.open(file) as stream:
        expected = expected_sites(stream, symbols.values())
    for function, symbol in symbols.items():
        _add_sites(case, function, {"expected": expected.total(symbol)})
    with about(NAME):
        reports = parse_report(case.text(NAME))
    report = reports.get(target)
    if report is None:
        raise ForeignError(f"no report about {target}, only: {', '.join(reports)}", NAME)
    for function, symbol in symbols.items():
        _add_sites(case, function, report.branches(symbol))
    _compare(case, expected, report, symbols)
    _note_unreached(case, expected, symbols, file)
    for symbol, count in sorted(report.noinstr.items()):
        text = f"{symbol}: {count} of its call sites are in code that must not be instrumented: records may be wrong"
        case.add("note", NAME, text)


def _add_sites(case: Case, function: str, counts: Mapping[str, int]) -> None:
    """Add the sites of one target to those of a function."""
    sums = case.sites.setdefault(function, {"call": 0, "jmp": 0, "expected": 0})
    for kind, count in counts.items():
        sums[kind] = sums.get(kind, 0) + count


def _why_no_file(case: Case, target: str) -> str:
    """Why the step that loaded a target of the host could not bring its file; nothing when it did."""
    for step in case.steps:
        reasons = data_of(step).get("no_file") if step["step"] == "target" else None
        if isinstance(reasons, dict) and reasons.get(target):
            return str(reasons[target])
    return ""


def _compare(case: Case, expected: Expected, report: Report, symbols: Mapping[str, str]) -> None:
    differences = [*sites.compare(expected, report, symbols), *_astray(case, report, symbols)]
    for text in differences:
        case.add("fail", NAME, text)
    total = sum(expected.sites.values())
    if not total:
        case.add("missing", NAME, "the target calls none of the functions: nothing to intercept")
    elif not differences:
        text = f"{total} call sites of {len(symbols)} functions, where the relocations name them"
        case.add("ok", NAME, f"{text}, lead to the replacements")


def _astray(case: Case, report: Report, symbols: Mapping[str, str]) -> list[str]:
    """Say which sites do not lead to the replacement of their own function; the kernel names where they lead."""
    wanted = {event["symbol"]: (module, str(event.get("replacement") or "")) for module, event in case.planned()}
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


def _note_unreached(case: Case, expected: Expected, symbols: Mapping[str, str], file: str) -> None:
    """Tell of the calls that cannot be intercepted, or may not have been seen."""
    case.unreached = expected.unreached(symbols)
    for function, counts in case.unreached.items():
        parts = [f"{words} {counts[key]}" for key, words in _KINDS.items() if counts[key]]
        if parts:
            case.add("note", file, f"{function}: calls that are not intercepted are possible: {', '.join(parts)}")
    absent = [function for function, counts in case.unreached.items() if counts["unreferenced"]]
    if absent:
        case.add("note", file, f"no reference, so not called or compiled in: {', '.join(absent)}")
    if expected.indirect:
        case.add("note", file, f"{expected.indirect} calls through thunks, of which nothing says what they reach")
