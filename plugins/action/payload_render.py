# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Render the sources of payload modules for one kernel, on the control node."""

import json
import os
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base import rundir
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction, StepError
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.functions import FUNCTIONS
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import PayloadError, ResolvedPayload
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.render import TEMPLATES, plan, render
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.resolve import load, resolve_all


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.payload_render)."""

    default_step = "render"
    recorded = ("payloads",)

    def perform(self) -> dict[str, Any]:
        """Resolve and render every payload; write the files that differ."""
        dest = self.options["dest"]
        if not dest and not self.host_dir:
            raise StepError("INFRA", "payload_render needs dest, or run_dir to put the sources below")
        self.dest = self.path(dest) if dest else os.path.join(self.host_dir, "sources")
        templates = self.path(self.options["templates"]) if self.options["templates"] else TEMPLATES
        resolved = self._resolved()
        diffs: list[dict[str, str]] = []
        sources = {}
        for one in resolved:
            name = one.payload.module
            sources[name] = os.path.join(self.dest, name)
            diffs += self._write(sources[name], render(one, templates))
        plans = [plan(one, templates) for one in resolved]
        self.keep("payloads.json", json.dumps(plans, indent=1) + "\n")
        events = [f"{each['module']}:{event['event']}" for each in plans for event in each["events"]]
        result = {"changed": bool(diffs), "payloads": plans, "sources": sources, "events": events}
        return {**result, "diff": diffs} if self._task.diff else result

    def _resolved(self) -> list[ResolvedPayload]:
        functions, facts = self.options["functions"], self.options["facts"]
        payloads, db = load([self.path(path) for path in self.options["payloads"]],
                            self.path(functions) if functions else FUNCTIONS)
        exports, config = facts.get("exports") or [], facts.get("config") or []
        try:
            return resolve_all(payloads, db, exports, config, str(facts.get("release", "")))
        except PayloadError:
            self._blame_missing_tree(facts)
            raise

    @staticmethod
    def _blame_missing_tree(facts: dict[str, Any]) -> None:
        """Without the kernel's headers nothing is known to be exported: say that, and blame no payload."""
        if facts.get("kernel_tree") or facts.get("exports"):
            return
        from ansible_collections.kedr.lab.plugins.plugin_utils.host.facts import headers_package
        raise StepError("INFRA", f"the host has no headers of its kernel {facts.get('release', '')}, so it is not "
                                 f"known what the kernel exports; install them: {headers_package(facts)}")

    def _write(self, directory: str, files: dict[str, str]) -> list[dict[str, str]]:
        """Write the files that differ, remove those that are not rendered; return the differences."""
        diffs = []
        there = set(os.listdir(directory)) if os.path.isdir(directory) else set()
        for name in sorted(there | set(files)):
            path = os.path.join(directory, name)
            before = self.read_file(path, "a rendered source") if name in there else b""
            after = files.get(name, "").encode("utf-8", "surrogateescape")
            if name in files and name in there and before == after:
                continue
            shown = {"before": before.decode("utf-8", "replace"), "after": after.decode("utf-8", "replace")}
            diffs.append({**shown, "before_header": path, "after_header": path})
            if not self.check_mode():
                self._replace(path, after if name in files else None)
        return diffs

    @staticmethod
    def _replace(path: str, content: bytes | None) -> None:
        try:
            if content is None:
                os.unlink(path)
            else:
                rundir.keep(path, content)
        except OSError as error:
            raise KedrError(f"{path}: cannot write the rendered sources: {error.strerror}") from error
