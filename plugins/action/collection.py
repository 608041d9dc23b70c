# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judge all hosts of a watch by what the directory of the run holds."""

import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.kedr.lab.plugins.action.verdict import JudgeAction
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import Policy
from ansible_collections.kedr.lab.plugins.plugin_utils.report import timeline
from ansible_collections.kedr.lab.plugins.plugin_utils.report import watch as report
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.dataset import RECORDS
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import watch


class ActionModule(JudgeAction):
    """See the documentation of M(kedr.lab.collection)."""

    def judge(
        self, run_dir: str, hosts: list[str], policy: Policy, options: dict[str, Any], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Judge a watch; write collection.json, the table of records and the page."""
        results = watch.judge_run(run_dir, hosts, policy)
        changed = report.write(run_dir, results)
        page, trouble = timeline.after_judging(run_dir)
        shown = f"the collection as a page: {page}" if page else f"no page was made: {trouble}"
        entries = results["hosts"]
        told = {
            "changed": changed,
            "page_file": page,
            "results_file": os.path.join(run_dir, report.NAME),
            "records_dir": os.path.join(run_dir, RECORDS),
            "records": sum(entry["records"] for entry in entries),
            "lost": sum(entry["lost"] for entry in entries),
        }
        return self.outcome(f"{report.table(results)}\n{shown}", entries, report.summary(results), told, {})
