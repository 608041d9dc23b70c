# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judge all hosts of a run by what its directory holds."""

import os
from collections.abc import Mapping
from typing import Any

from ansible.utils.display import Display
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.rundir import check_hosts
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.expect import Expect, default_expect, load_expect
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import Policy, load_policy
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import ControlAction, foretold
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.kept import keep_guests
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import about_shipped
from ansible_collections.kedr.lab.plugins.plugin_utils.report import rows, text
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import reproduce, verify
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict.case import read_run


class ActionModule(ControlAction):
    """See the documentation of M(kedr.lab.verdict)."""

    def perform(self, options: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Judge, show the table, keep the results; failed unless every host is OK."""
        run_dir = self.path(options["run_dir"])
        hosts = [name for name in options["hosts"] if name != "localhost"]
        try:
            check_hosts(hosts)
            if self._task.check_mode:
                return foretold(hosts, task_vars.get("hostvars", {}))
            policy = load_policy(self.path(options["splats"] or paths.data("splats.yml")))
            known = read_run(run_dir)["hosts"]
            keep_guests(run_dir, hosts, known)
            if options["kind"] == "watch":
                return _watch(run_dir, hosts, policy)
            expects = self._expects(options["expect"], hosts, known)
            return _verify(run_dir, hosts, policy, expects, options["reproduce"] or reproduce.from_environment())
        except OSError as error:
            return {"failed": True, "msg": f"{error.filename or run_dir}: {error.strerror or error}"}

    def _expects(self, given: str | None, hosts: list[str], known: Mapping[str, Any]) -> dict[str, Expect]:
        """The expectations of each host: what was given for all, else what run.json names, else the default."""
        named = {}
        for name in hosts:
            about = known.get(name) if isinstance(known.get(name), dict) else {}
            named[name] = self.path(given) if given else str((about or {}).get("expect") or default_expect("cp_target"))
        files = {path: load_expect(path) for path in dict.fromkeys(named.values())}
        return {name: files[path] for name, path in named.items()}


def _verify(
    run_dir: str, hosts: list[str], policy: Policy, expects: Mapping[str, Expect], again: str
) -> dict[str, Any]:
    """Judge a verify; write the verdict of each host and the reports.  Raises KedrError, OSError."""
    results = verify.judge_run(run_dir, hosts, expects, policy, again)
    matrix = rows.lines(results, about_shipped)
    told = {"changed": text.write_run(run_dir, results, matrix), "results_file": os.path.join(run_dir, text.NAME)}
    table = text.terminal(matrix)
    return _outcome(table, results, rows.summary(matrix), told, {"results": results, "table": table})


def _watch(run_dir: str, hosts: list[str], policy: Policy) -> dict[str, Any]:
    """Judge a watch; write its accounts, the table of records and the page.  Raises KedrError, OSError."""
    # Here: they load NumPy, pyarrow and DuckDB, which a verify need not wait for.
    from ansible_collections.kedr.lab.plugins.plugin_utils.report import timeline
    from ansible_collections.kedr.lab.plugins.plugin_utils.report import watch as watch_report
    from ansible_collections.kedr.lab.plugins.plugin_utils.trace.dataset import RECORDS
    from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import watch

    results = watch.judge_run(run_dir, hosts, policy)
    changed = watch_report.write(run_dir, results)
    page, trouble = timeline.after_judging(run_dir)
    entries = results["hosts"]
    told = {
        "changed": changed,
        "page_file": page,
        "results_file": os.path.join(run_dir, watch_report.NAME),
        "records_dir": os.path.join(run_dir, RECORDS),
        "records": sum(entry["records"] for entry in entries),
        "lost": sum(entry["lost"] for entry in entries),
    }
    shown = f"{watch_report.table(results)}\n{f'the page: {page}' if page else f'no page was made: {trouble}'}"
    return _outcome(shown, entries, watch_report.summary(results), told, {})


def _outcome(
    shown: str, entries: list[dict[str, Any]], summary: str, told: dict[str, Any], if_ok: dict[str, Any]
) -> dict[str, Any]:
    """Show a text; return what is told of the entries, and ``if_ok`` only where every host is OK.

    What was shown would be shown once more in the message of a failed task, with every line break escaped.
    """
    Display().display(f"\n{shown}\n")
    verdicts = {entry["host"]: entry["verdict"] for entry in entries}
    good = bool(verdicts) and set(verdicts.values()) == {"OK"}
    return {**told, "verdicts": verdicts, **(if_ok if good else {"failed": True, "msg": summary})}
