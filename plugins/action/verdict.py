# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judge all hosts of a run by what its directory holds."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from ansible.utils.display import Display
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.rundir import check_hosts, hide_values
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.expect import Expect, default_expect, load_expect
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import load_policy
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import ControlAction, foretold
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.kept import keep_guests
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import about_shipped
from ansible_collections.kedr.lab.plugins.plugin_utils.report import rows, text
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import verify

_RUN_ID = re.compile(r" -e kedr_run_id=[\w.-]+|(?<=')-e kedr_run_id=[\w.-]+ ?")
"""A run has its own id, so the command that repeats it names none."""


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
            known = verify.read_run(run_dir)["hosts"]
            expects = self._expects(options["expect"], hosts, known)
            keep_guests(run_dir, hosts, known)
            results = verify.judge_run(run_dir, hosts, expects, policy, options["reproduce"] or _reproduce())
            matrix = rows.lines(results, about_shipped)
            changed = _write(run_dir, results, matrix)
        except OSError as error:
            return {"failed": True, "msg": f"{error.filename or run_dir}: {error.strerror or error}"}
        table = text.terminal(matrix)
        Display().display("\n" + table + "\n")
        return {"changed": changed, **_outcome(run_dir, results, table, rows.summary(matrix))}

    def _expects(self, given: str | None, hosts: list[str], known: Mapping[str, Any]) -> dict[str, Expect]:
        """The expectations of each host: what was given for all, else what run.json names, else the default."""
        paths = {}
        for name in hosts:
            about = known.get(name) if isinstance(known.get(name), dict) else {}
            paths[name] = self.path(given) if given else str((about or {}).get("expect") or default_expect("cp_target"))
        files = {path: load_expect(path) for path in dict.fromkeys(paths.values())}
        return {name: files[path] for name, path in paths.items()}


def _reproduce() -> str:
    """The command that whoever started this run gave for repeating it, without secrets and run id; or nothing."""
    return _RUN_ID.sub("", hide_values(os.environ.get("KEDR_REPRODUCE", "")))


def _write(run_dir: str, results: list[dict[str, Any]], matrix: list[rows.Line]) -> bool:
    """Write the verdict of each host, the reports, and at last the results; returns whether the results are new."""
    path = os.path.join(run_dir, "results.json")
    try:
        with open(path, encoding="utf-8") as stream:
            changed = stream.read() != text.dump(results)
    except OSError:
        changed = True
    for entry in results:
        if os.path.isdir(os.path.join(run_dir, entry["host"])):
            text.write_together(run_dir, {os.path.join(entry["host"], "verdict.json"): text.dump(entry)})
    text.write(run_dir, results, matrix, [os.path.basename(run_dir)])
    return changed


def _outcome(run_dir: str, results: list[dict[str, Any]], table: str, summary: str) -> dict[str, Any]:
    verdicts = {entry["host"]: entry["verdict"] for entry in results}
    outcome: dict[str, Any] = {"verdicts": verdicts, "results_file": os.path.join(run_dir, "results.json")}
    if results and set(verdicts.values()) == {"OK"}:
        return {**outcome, "results": results, "table": table}
    # The table was shown above; here it would be shown once more, with every line break escaped.
    return {**outcome, "failed": True, "msg": summary}
