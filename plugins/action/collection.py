# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judge all hosts of a collection by what its directory holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible.utils.display import Display
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.rundir import check_hosts
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import load_policy
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import ControlAction, foretold
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.kept import keep_guests
from ansible_collections.kedr.lab.plugins.plugin_utils.report import timeline
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import verify, watch


class ActionModule(ControlAction):
    """See the documentation of M(kedr.lab.collection)."""

    def perform(self, options: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Judge, show the table, keep the results; failed unless every host is OK."""
        run_dir = self.path(options["run_dir"])
        hosts = [name for name in options["hosts"] if name != "localhost"]
        try:
            check_hosts(hosts)
            if self._task.check_mode:
                return foretold(hosts, task_vars.get("hostvars", {}))
            policy = load_policy(self.path(options["splats"] or paths.data("splats.yml")))
            keep_guests(run_dir, hosts, verify.read_run(run_dir)["hosts"])
            results = watch.judge_run(run_dir, hosts, policy)
            changed = watch.write(run_dir, results)
        except OSError as error:
            return {"failed": True, "msg": f"{error.filename or run_dir}: {error.strerror or error}"}
        page, trouble = timeline.after_judging(run_dir)
        shown = f"the collection as a page: {page}" if page else f"no page was made: {trouble}"
        Display().display(f"\n{watch.table(results)}\n{shown}\n")
        return {"changed": changed, "page_file": page, **_outcome(run_dir, results)}


def _outcome(run_dir: str, results: Mapping[str, Any]) -> dict[str, Any]:
    verdicts = {entry["host"]: entry["verdict"] for entry in results["hosts"]}
    outcome = {
        "verdicts": verdicts,
        "results_file": os.path.join(run_dir, watch.NAME),
        "records_dir": os.path.join(run_dir, watch.RECORDS),
        "records": sum(entry["records"] for entry in results["hosts"]),
        "lost": sum(entry["lost"] for entry in results["hosts"]),
    }
    if verdicts and set(verdicts.values()) == {"OK"}:
        return outcome
    # The table was shown above; here it would be shown once more, with every line break escaped.
    return {**outcome, "failed": True, "msg": watch.summary(results)}
