# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check payload descriptions on the control node."""

from collections.abc import Mapping
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import ControlAction
from ansible_collections.kedr.lab.plugins.plugin_utils.payload import lint
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.together import read_together


class ActionModule(ControlAction):
    """See the documentation of M(kedr.lab.payload_lint)."""

    def perform(self, options: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Check all files; failed with every mistake of every file."""
        paths = [self.path(path) for path in options["payloads"]]
        _payloads, problems, _readable = read_together(paths)
        found = [lint.described(problem) for problem in problems]
        outcome: dict[str, Any] = {"changed": False, "problems": found}
        if problems:
            outcome.update(failed=True, msg="\n".join(str(problem) for problem in problems))
        return outcome
