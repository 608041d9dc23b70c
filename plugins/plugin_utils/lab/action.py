# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the actions that make images and guests."""

import os
from collections.abc import Mapping
from typing import Any

from ..base import steps
from ..base.errors import KedrError
from ..base.foreign import plain, printable
from ..base.rundir import check_hosts
from ..host.action import ControlAction


class LabAction(ControlAction):
    """An action of the lab. With ``run_dir`` its outcome is a step of the host that the task is for."""

    def perform(self, options: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Do the work; return a failure with its kind, and record it."""
        begun = steps.begin()
        host_dir = ""
        try:
            host_dir = self._host_dir(options, task_vars)
            outcome = self.work(options)
        except KedrError as error:
            outcome = {"failed": True, "kind": error.kind, "msg": printable(str(error))}
        except OSError as error:
            outcome = {"failed": True, "kind": "INFRA", "msg": printable(f"{error.filename}: {error.strerror}")}
        except Exception as error:
            outcome = {"failed": True, "msg": printable(f"internal error: {type(error).__name__}: {error}")}
            self._record(host_dir, options, outcome, begun)
            raise
        self._record(host_dir, options, outcome, begun)
        return outcome

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        """Do the work with checked options; return what the documentation promises. Raises KedrError, OSError."""
        raise NotImplementedError

    def progress(self, text: str) -> None:
        """Show a line of progress; a guest or a tool may have put anything into it."""
        self._display.display(plain(text, 500))

    def step(self, options: dict[str, Any]) -> str:
        """Return the name of the step that this is, or nothing when it is not a step."""
        raise NotImplementedError

    def _record(
        self, host_dir: str, options: dict[str, Any], outcome: dict[str, Any], begun: steps.Begin
    ) -> None:
        step = self.step(options)
        if step and host_dir:
            reason = outcome["msg"] if outcome.get("failed") else ""
            steps.record(host_dir, step, begun, steps.outcome("INFRA", reason))

    def _host_dir(self, options: Mapping[str, Any], task_vars: Mapping[str, Any]) -> str:
        if not options["run_dir"] or self._task.check_mode:
            return ""
        name = str(task_vars.get("inventory_hostname", "localhost"))
        check_hosts([name])
        return os.path.join(self.path(options["run_dir"]), name)
