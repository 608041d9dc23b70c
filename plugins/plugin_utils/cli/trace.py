# SPDX-License-Identifier: GPL-3.0-or-later
"""The command kedr-trace: questions to the table of records, answered by DuckDB; the table made of a run's traces.

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
from ..ask.answers import show
from ..ask.asking import Answer, ask, check_libraries, connect, known_argument, known_event
from ..base import sums
from ..base.errors import ForeignError, InputError
from ..base.files import whole_file
from ..base.foreign import plain, printable
from ..evidence import host_records
from ..trace import dataset

# -- the command -------------------------------------------------------------------------------------

if TYPE_CHECKING:
    import duckdb


def main(program: str, arguments: Sequence[str]) -> int:
    """Answer one question; returns 0, or 2 after a message when that was not possible."""
    options = _parser(program).parse_args(arguments)
    try:
        check_libraries()
        with tempfile.TemporaryDirectory(prefix="kedr-trace-") as options.spill:
            options.do(options)
        sys.stdout.flush()
    except (InputError, ForeignError) as error:
        return _refuse(program, str(error))
    except BrokenPipeError:
        # The reader has seen enough; Python must not complain again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError as error:
        return _refuse(program, f"{error.filename or 'output'}: {error.strerror or error}")
    return 0


def _refuse(program: str, text: str) -> int:
    print(f"{program}: error: {printable(text)}", file=sys.stderr)
    return 2


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Answers questions about collected records.",
        epilog="DIR is a directory with records at any depth: one collection, or all of them. See docs/records.md.",
    )
    verbs = parser.add_subparsers(metavar="QUESTION", required=True)
    _counts(verbs)
    _distributions(verbs)
    _pairs(verbs)
    _diff(verbs)
    _sql(verbs)
    _jsonl(verbs)
    _make(verbs)
    return parser


def _verb(
    verbs: Any, name: str, text: str, do: Any, output: bool = True, where: bool = True
) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    verb.set_defaults(do=do)
    verb.add_argument("directories", metavar="DIR", nargs="+", help="a directory with records")
    if where:
        verb.add_argument(
            "--where",
            metavar="COLUMN=PATTERN",
            action="append",
            default=[],
            type=_filter,
            help=f"only records whose column fits, * and ? stand for anything; columns: {', '.join(questions.FILTERS)}",
        )
    if output:
        verb.add_argument("--format", choices=("table", "csv", "json"), default="table", help="how to print the answer")
    return verb


def _filter(word: str) -> tuple[str, str]:
    column, equals, pattern = word.partition("=")
    if not equals or column not in questions.FILTERS:
        raise argparse.ArgumentTypeError(
            f"'{printable(word)}' is no COLUMN=PATTERN with one of the columns {', '.join(questions.FILTERS)}"
        )
    return column, pattern


def _positive(word: str) -> int:
    if not word.isdecimal() or not 0 < int(word) < 1 << 31:
        raise argparse.ArgumentTypeError(f"'{printable(word)}' is no number from 1 on")
    return int(word)


def _share(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{printable(word)}' is no number from 0 to 1")
    return value


def _chosen(words: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    chosen: dict[str, list[str]] = {}
    for column, pattern in words:
        chosen.setdefault(column, []).append(pattern)
    return chosen


def _open(options: argparse.Namespace) -> duckdb.DuckDBPyConnection:
    return connect(options.directories, options.spill, _chosen(options.where))


def _counts(verbs: Any) -> None:
    def do(options: argparse.Namespace) -> None:
        show(ask(_open(options), questions.COUNTS), options.format, sys.stdout)

    _verb(verbs, "counts", "calls by function and host", do)


def _distributions(verbs: Any) -> None:
    def names(options: argparse.Namespace, connection: duckdb.DuckDBPyConnection) -> tuple[str | None, str | None]:
        event = known_event(connection, options.event) if options.event else None
        return event, known_argument(connection, event, options.argument) if options.argument else None

    def values(options: argparse.Namespace) -> None:
        connection = _open(options)
        show(ask(connection, questions.values(*names(options, connection), options.limit)), options.format, sys.stdout)

    def quantiles(options: argparse.Namespace) -> None:
        connection = _open(options)
        show(ask(connection, questions.quantiles(*names(options, connection))), options.format, sys.stdout)

    exact = _verb(verbs, "values", "values of an argument or of the result, the most frequent first", values)
    exact.add_argument("--limit", metavar="N", type=_positive, default=20, help="values of each event and host; 20")
    spread = _verb(verbs, "quantiles", "spread of the numbers of an argument or of the result", quantiles)
    for verb in (exact, spread):
        verb.add_argument("--event", metavar="EVENT", help="one event or function; by default all")
        verb.add_argument("--argument", metavar="NAME", help="an argument; by default the result")


def _pairs(verbs: Any) -> None:
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

    balance = _verb(
        verbs, "unfreed", "what was allocated and not given back: a balance, as table also each of it", unfreed
    )
    listed = _verb(verbs, "unfreed-list", "each allocation that was not given back", each)
    gaps = _verb(verbs, "between", "time between the two sides of a pair", between)
    for verb in (balance, listed, gaps):
        verb.add_argument("--pairs", metavar="FILE", help="what belongs together, instead of data/pairs.yml")
        verb.add_argument(
            "--first", metavar="EVENT[:ARGUMENT]", action="append", default=[], help="begins; by default at its result"
        )
        verb.add_argument("--then", metavar="EVENT[:ARGUMENT]", action="append", default=[], help="ends; with --first")
    for verb in (balance, listed):
        verb.add_argument("--limit", metavar="N", type=_positive, default=100, help="allocations of each pair; 100")


def _all_pairs(options: argparse.Namespace, connection: duckdb.DuckDBPyConnection, question: Any) -> None:
    """Ask about every pair that the table has events of; one answer."""
    whole: Answer | None = None
    for pair in _known_pairs(options, connection):
        answer = ask(connection, question(pair))
        whole = answer if whole is None else Answer(whole.columns, whole.rows + answer.rows)
    if whole is not None:
        show(whole, options.format, sys.stdout)


def _known_pairs(options: argparse.Namespace, connection: duckdb.DuckDBPyConnection) -> list[pairs.Pair]:
    if bool(options.first) != bool(options.then):
        raise InputError("--first and --then go together: an event that takes and one that gives back")
    if options.first:
        try:
            pair = pairs.from_words(options.first, options.then)
        except ValueError as error:
            raise InputError(str(error)) from None
        sides = [
            {known_event(connection, event): name for event, name in side.items()} for side in (pair.first, pair.then)
        ]
        for event, name in (item for side in sides for item in side.items()):
            if name != pairs.RESULT:
                known_argument(connection, event, name)
        return [pairs.Pair(pair.name, *sides)]
    known = {row[0] for row in ask(connection, questions.EVENTS).rows}
    found = [pair for pair in pairs.load(options.pairs or pairs.DEFAULT) if known & set(pair.first)]
    if not found:
        raise InputError(
            f"no record of an event that {options.pairs or 'data/pairs.yml'} names as the first of a pair; "
            "name the events with --first and --then"
        )
    return found


def _diff(verbs: Any) -> None:
    def do(options: argparse.Namespace) -> None:
        left, right = _chosen(options.left), _chosen(options.right)
        connection = _open(options)
        for title, side in (("--left", left), ("--right", right)):
            counted = ask(connection, f"select count(*) from calls where {questions.condition(side)}")
            if not counted.rows[0][0]:
                raise InputError(f"no record is chosen by {title}; the table has {_sides(connection)}")
        show(ask(connection, questions.diff(left, right, options.at_least)), options.format, sys.stdout)

    verb = _verb(
        verbs,
        "diff",
        "what a driver calls and gets on one side and not on the other: two kernels, systems, runs, hosts",
        do,
    )
    for side in ("--left", "--right"):
        verb.add_argument(
            side,
            metavar="COLUMN=PATTERN",
            action="append",
            required=True,
            type=_filter,
            help="as --where; may be repeated",
        )
    verb.add_argument(
        "--at-least",
        metavar="SHARE",
        type=_share,
        default=0.01,
        help="smallest difference that is shown, as a share of the calls; 0.01; 0 shows all that is there",
    )


def _sides(connection: duckdb.DuckDBPyConnection) -> str:
    found = ask(connection, "select distinct kernel, host, run from calls order by all limit 10").rows
    return "; ".join(f"kernel={kernel} host={host} run={run}" for kernel, host, run in found) or "no records"


def _sql(verbs: Any) -> None:
    def do(options: argparse.Namespace) -> None:
        show(ask(_open(options), options.question), options.format, sys.stdout)

    verb = _verb(verbs, "sql", "a question of your own in SQL, to the table calls", do)
    verb.add_argument(
        "-q",
        "--question",
        metavar="SQL",
        required=True,
        help="for example: select host, count(*) from calls group by host",
    )


def _jsonl(verbs: Any) -> None:
    def do(options: argparse.Namespace) -> None:
        paths = dataset.files(options.directories)
        with _output(options.output) as out:
            for path in paths:
                for line in dataset.json_lines(path):
                    out.write(line.encode() + b"\n")

    verb = _verb(verbs, "jsonl", "all records as JSON Lines, one object for each", do, output=False, where=False)
    verb.add_argument(
        "-o", "--output", metavar="FILE", help="a file, for its owner alone; by default the standard output"
    )


@contextlib.contextmanager
def _output(path: str | None) -> Iterator[BinaryIO]:
    """Give the standard output, or a file (mode 0600) that appears when it is complete."""
    if path is None:
        yield sys.stdout.buffer
        return
    with whole_file(path) as out:
        yield out


def _make(verbs: Any) -> None:
    def do(options: argparse.Namespace) -> None:
        for run in options.directories:
            _make_run(run, options.output)

    verb = _verb(
        verbs,
        "table",
        "make the table of the traces in run directories: RUN/records, or --output",
        do,
        output=False,
        where=False,
    )
    verb.add_argument("-o", "--output", metavar="DIR", help="where records go instead; several runs make one table")


def _make_run(run: str, output: str | None) -> None:
    """Write the Parquet files of all hosts of a run; says what was written, and what is no row of it."""
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
        print(plain(f"{host}: {rows} records, from {'pages' if found.form == 'pages' else found.printed}"))
        for problem in [*found.problems, *sums.told(os.path.join(whole, host))]:
            print(plain(f"{host}: {problem}"), file=sys.stderr)
    if not written:
        raise InputError(f"{run}: no host has a trace that can be read")
