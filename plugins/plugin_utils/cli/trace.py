# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``kedr trace``: questions to the table of records, answered by DuckDB; the table made of a run's traces.

The table is a directory of ``run=…/system=…/HOST.parquet`` (``dataset``); any number of directories, runs and
hosts make one table.  An answer is printed as text, CSV or JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from ..ask import pairs, questions
from ..ask.query import Table, ask, connect, known_argument, known_event, show
from ..base import sums
from ..base.errors import ForeignError, InputError
from ..base.files import whole_file
from ..base.foreign import plain, printable
from ..evidence import host_records
from ..trace import dataset

if TYPE_CHECKING:
    import duckdb


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the questions."""
    parser.epilog = "DIR is a directory with records at any depth: one run, or all of them. See docs/records.md."
    listed = parser.add_subparsers(metavar="QUESTION", required=True)
    for add in (_counts, _distributions, _pairs, _diff, _sql, _jsonl, _make):
        add(listed)


def run(options: argparse.Namespace) -> int:
    """Answer one question.  Raises KedrError, OSError."""
    with tempfile.TemporaryDirectory(prefix="kedr-") as options.spill:
        options.do(options)
    return 0


def _question(
    listed: Any, name: str, text: str, do: Any, output: bool = True, where: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = listed.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(do=do)
    parser.add_argument("directories", metavar="DIR", nargs="+", help="a directory with records")
    if where:
        parser.add_argument(
            "--where", metavar="COLUMN=PATTERN", action="append", default=[], type=_filter,
            help=f"only records whose column matches; * and ? are wildcards; columns: {', '.join(questions.FILTERS)}",
        )
    if output:
        forms = ("table", "csv", "json")
        parser.add_argument("--format", choices=forms, default=forms[0], help="how to print the answer")
    return parser


def _filter(word: str) -> tuple[str, str]:
    column, equals, pattern = word.partition("=")
    if not equals or column not in questions.FILTERS:
        raise argparse.ArgumentTypeError(
            f"'{printable(word)}' is not COLUMN=PATTERN; columns: {', '.join(questions.FILTERS)}"
        )
    return column, pattern


def _positive(word: str) -> int:
    if not word.isdecimal() or not 0 < int(word) < 1 << 31:
        raise argparse.ArgumentTypeError(f"'{printable(word)}' is not a number from 1")
    return int(word)


def _share(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{printable(word)}' is not a number from 0 to 1")
    return value


def _chosen(words: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    chosen: dict[str, list[str]] = {}
    for column, pattern in words:
        chosen.setdefault(column, []).append(pattern)
    return chosen


def _open(options: argparse.Namespace) -> duckdb.DuckDBPyConnection:
    return connect(options.directories, options.spill, _chosen(options.where))


def _counts(listed: Any) -> None:
    def do(options: argparse.Namespace) -> None:
        show(ask(_open(options), questions.COUNTS), options.format, sys.stdout)

    _question(listed, "counts", "calls by function and host", do)


def _distributions(listed: Any) -> None:
    def names(options: argparse.Namespace, connection: duckdb.DuckDBPyConnection) -> tuple[str | None, str | None]:
        event = known_event(connection, options.event) if options.event else None
        return event, known_argument(connection, event, options.argument) if options.argument else None

    def values(options: argparse.Namespace) -> None:
        connection = _open(options)
        show(ask(connection, questions.values(*names(options, connection), options.limit)), options.format, sys.stdout)

    def quantiles(options: argparse.Namespace) -> None:
        connection = _open(options)
        show(ask(connection, questions.quantiles(*names(options, connection))), options.format, sys.stdout)

    exact = _question(listed, "values", "values of an argument or of the result, the most frequent first", values)
    exact.add_argument("--limit", metavar="N", type=_positive, default=20, help="values of each event and host; 20")
    spread = _question(listed, "quantiles", "distribution of the numbers of an argument or of the result", quantiles)
    for one in (exact, spread):
        one.add_argument("--event", metavar="EVENT", help="one event or function; by default all")
        one.add_argument("--argument", metavar="NAME", help="an argument; by default the result")


def _pairs(listed: Any) -> None:
    def unfreed(options: argparse.Namespace) -> None:
        connection = _open(options)
        _all_pairs(options, connection, questions.unfreed_counts)
        if options.format == "table":
            print()
            _all_pairs(options, connection, lambda pair: questions.unfreed(pair, options.limit))

    def each(options: argparse.Namespace) -> None:
        _all_pairs(options, _open(options), lambda pair: questions.unfreed(pair, options.limit))

    def between(options: argparse.Namespace) -> None:
        _all_pairs(options, _open(options), questions.between)

    balance = _question(
        listed, "unfreed", "what was allocated and not given back: a balance; as a table, also a list", unfreed
    )
    every = _question(listed, "unfreed-list", "each allocation that was not given back", each)
    gaps = _question(listed, "between", "time between the two sides of a pair", between)
    for one in (balance, every, gaps):
        one.add_argument("--pairs", metavar="FILE", help="file of pairs, instead of data/pairs.yml")
        for side, text in (("--first", "what begins a pair; by default the result"), ("--then", "what ends it")):
            one.add_argument(side, metavar="EVENT[:ARGUMENT]", action="append", default=[], help=text)
    for one in (balance, every):
        one.add_argument("--limit", metavar="N", type=_positive, default=100, help="allocations of each pair; 100")


def _all_pairs(options: argparse.Namespace, connection: duckdb.DuckDBPyConnection, question: Any) -> None:
    """Ask about every pair whose events are in the table, and print one answer."""
    whole: Table | None = None
    for pair in _known_pairs(options, connection):
        answer = ask(connection, question(pair))
        whole = answer if whole is None else Table(whole.columns, whole.rows + answer.rows)
    if whole is not None:
        show(whole, options.format, sys.stdout)


def _known_pairs(options: argparse.Namespace, connection: duckdb.DuckDBPyConnection) -> list[pairs.EventPair]:
    if bool(options.first) != bool(options.then):
        raise InputError("--first and --then go together: an event that takes and one that gives back")
    if options.first:
        pair = pairs.from_words(options.first, options.then)
        sides = [
            {known_event(connection, event): name for event, name in side.items()} for side in (pair.first, pair.then)
        ]
        for event, name in (item for side in sides for item in side.items()):
            if name != pairs.RESULT:
                known_argument(connection, event, name)
        return [pairs.EventPair(pair.name, *sides)]
    known = {row[0] for row in ask(connection, questions.EVENTS).rows}
    found = [pair for pair in pairs.load(options.pairs or pairs.DEFAULT) if known & set(pair.first)]
    if not found:
        raise InputError(
            f"no record of an event that {options.pairs or 'data/pairs.yml'} names as the first of a pair; "
            "name the events with --first and --then"
        )
    return found


def _diff(listed: Any) -> None:
    def do(options: argparse.Namespace) -> None:
        left, right = _chosen(options.left), _chosen(options.right)
        connection = _open(options)
        for title, side in (("--left", left), ("--right", right)):
            counted = ask(connection, f"select count(*) from calls where {questions.condition(side)}")
            if not counted.rows[0][0]:
                raise InputError(f"no record is chosen by {title}; the table has {_sides(connection)}")
        show(ask(connection, questions.diff(left, right, options.at_least)), options.format, sys.stdout)

    parser = _question(
        listed, "diff", "what differs between two sets of records: kernels, systems, runs, hosts", do,
    )
    for side in ("--left", "--right"):
        parser.add_argument(
            side, metavar="COLUMN=PATTERN", action="append", required=True, type=_filter,
            help="as --where; may be repeated",
        )
    parser.add_argument(
        "--at-least", metavar="SHARE", type=_share, default=0.01,
        help="smallest difference that is shown, as a share of the calls; default 0.01, 0 shows everything",
    )


def _sides(connection: duckdb.DuckDBPyConnection) -> str:
    found = ask(connection, "select distinct kernel, host, run from calls order by all limit 10").rows
    return "; ".join(f"kernel={kernel} host={host} run={run}" for kernel, host, run in found) or "no records"


def _sql(listed: Any) -> None:
    def do(options: argparse.Namespace) -> None:
        show(ask(_open(options), options.question), options.format, sys.stdout)

    parser = _question(listed, "sql", "your own query in SQL, on the table calls", do)
    parser.add_argument(
        "-q", "--question", metavar="SQL", required=True,
        help="for example: select host, count(*) from calls group by host",
    )


def _jsonl(listed: Any) -> None:
    def do(options: argparse.Namespace) -> None:
        paths = dataset.files(options.directories)
        with _output(options.output) as out:
            for path in paths:
                for line in dataset.json_lines(path):
                    out.write(line.encode() + b"\n")

    parser = _question(listed, "jsonl", "all records as JSON Lines, one object for each", do, output=False, where=False)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="a file, for its owner alone; by default the standard output"
    )


@contextlib.contextmanager
def _output(path: str | None) -> Iterator[BinaryIO]:
    """Give the standard output, or a file (mode 0600) that appears when it is complete.  Raises OSError."""
    if path is None:
        yield sys.stdout.buffer
        return
    with whole_file(path) as out:
        yield out


def _make(listed: Any) -> None:
    def do(options: argparse.Namespace) -> None:
        for run in options.directories:
            _make_run(run, options.output)

    parser = _question(
        listed, "table", "make the table of the traces in run directories: RUN/records, or --output", do, output=False,
        where=False,
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="another place for the records, for several runs too")


def _make_run(run: str, output: str | None) -> None:
    """Write the Parquet files of all hosts of a run, and say what was written and what was left out."""
    whole = os.path.realpath(run)
    if not os.path.isdir(whole):
        raise InputError(f"{run}: there is no such directory")
    hosts = sorted(name for name in os.listdir(whole) if os.path.isfile(os.path.join(whole, name, "facts.json")))
    if not hosts:
        raise InputError(f"{run}: no host here: no HOST/facts.json; name a run directory, for example runs/latest")
    written = 0
    for host in hosts:
        try:
            found = host_records.find(os.path.join(whole, host), host)
            rows = dataset.write(
                output or os.path.join(whole, "records"), os.path.basename(whole), found.system, host, found.batches()
            )
        except ForeignError as error:
            print(plain(f"{host}: no records: {error}"), file=sys.stderr)
            continue
        written += 1
        print(plain(f"{host}: {rows} records, from {found.trace.printed or 'pages'}"))
        for problem in [*found.problems, *sums.told(os.path.join(whole, host))]:
            print(plain(f"{host}: {problem}"), file=sys.stderr)
    if not written:
        raise InputError(f"{run}: no host has a trace that can be read")
