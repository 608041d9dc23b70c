# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``kedr judge``: watches are judged again by what their directories hold."""

import argparse

from ..base import paths
from ..base.errors import about
from ..base.foreign import plain
from ..evidence.policy import Policy, load_policy
from ..report import timeline
from ..report import watch as report
from ..verdict import watch


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = (
        "Writes watch.json, the tables below records/ and timeline.html, and prints a table. "
        "Exit status: 0 when every host is OK, 1 when not, 2 when a run cannot be judged."
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help="directory of a watch, for example runs/latest")


def run(options: argparse.Namespace) -> int:
    """Judge the runs; returns 1 when a host is not OK.  Raises KedrError, OSError."""
    policy = load_policy(paths.data("splats.yml"))
    return max(_judge(run_dir, policy) for run_dir in options.runs)


def _judge(run_dir: str, policy: Policy) -> int:
    with about(run_dir):
        results = watch.judge_run(run_dir, watch.hosts_of(run_dir), policy)
    report.write(run_dir, results)
    page, trouble = timeline.after_judging(run_dir)
    print(f"{report.table(results)}\n{plain(page or f'no page was made: {trouble}')}")
    return 0 if results["hosts"] and all(entry["verdict"] == "OK" for entry in results["hosts"]) else 1
