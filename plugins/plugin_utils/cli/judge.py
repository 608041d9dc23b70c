# SPDX-License-Identifier: GPL-3.0-or-later
"""The command kedr-collection: judges collections again by what their directories hold."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..base import paths
from ..base.errors import ForeignError, InputError
from ..base.foreign import plain, printable
from ..evidence.policy import load_policy
from ..report import timeline
from ..report import watch as report
from ..verdict import watch


def main(program: str, arguments: Sequence[str]) -> int:
    """Run the command.  Returns its exit status: 0 all hosts OK, 1 not all, 2 a collection cannot be judged."""
    parser = argparse.ArgumentParser(
        program,
        description="Judges collections again: writes collection.json, the tables below records/ and timeline.html, "
        "prints a table.",
        epilog="Exit status: 0 when every host is OK, 1 when not, 2 when a collection cannot be judged.",
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help="directory of a collection, for example runs/latest")
    status = 0
    for run_dir in parser.parse_args(arguments).runs:
        try:
            policy = load_policy(paths.data("splats.yml"))
            results = watch.judge_run(run_dir, watch.hosts_of(run_dir), policy)
            report.write(run_dir, results)
        except ForeignError as error:
            return _refuse(program, f"{os.path.join(run_dir, error.source)}: {error.reason}")
        except OSError as error:
            return _refuse(program, f"{error.filename or run_dir}: {error.strerror or error}")
        except InputError as error:
            return _refuse(program, str(error))
        page, trouble = timeline.after_judging(run_dir)
        print(f"{report.table(results)}\n{plain(page or f'no page was made: {trouble}')}")
        if not results["hosts"] or any(entry["verdict"] != "OK" for entry in results["hosts"]):
            status = 1
    return status


def _refuse(program: str, text: str) -> int:
    print(printable(f"{program}: error: {text}"), file=sys.stderr)
    return 2
