# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check payload descriptions on the control node."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.kedr.lab.plugins.plugin_utils import payload_lint

ARGUMENTS: dict[str, dict[str, Any]] = {
    "payloads": {"type": "list", "elements": "path", "required": True},
}


class ActionModule(ActionBase):
    """See the documentation of M(kedr.lab.payload_lint)."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check all files; failed with every mistake of every file."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(argument_spec=ARGUMENTS)
        paths = [os.path.normpath(self._loader.path_dwim(str(path))) for path in options["payloads"]]
        _payloads, problems, _readable = payload_lint.read_together(paths)
        found = [payload_lint.described(problem) for problem in problems]
        outcome: dict[str, Any] = {**result, "changed": False, "problems": found}
        if problems:
            outcome.update(failed=True, msg="\n".join(str(problem) for problem in problems))
        return outcome
