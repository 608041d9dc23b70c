# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Render the sources of payload modules for one kernel, on the control node."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible_collections.kedr.lab.plugins.plugin_utils.base import rundir
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction, StepError
from ansible_collections.kedr.lab.plugins.plugin_utils.payload import sources as payload
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.load import (
    default_functions,
    default_templates,
    load_all,
)


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
        resolved = self._resolved()
        diffs: list[dict[str, str]] = []
        changed, sources = False, {}
        for one in resolved:
            name = one.payload.module
            sources[name] = os.path.join(self.dest, name)
            diff = self._write(sources[name], self._rendered(one))
            changed = changed or bool(diff)
            diffs += diff
        plans = [payload.plan(one, ours=self._ours()) for one in resolved]
        self.keep("payloads.json", json.dumps(plans, indent=1) + "\n")
        events = [f"{plan['module']}:{event['event']}" for plan in plans for event in plan["events"]]
        result = {"changed": changed, "payloads": plans, "sources": sources, "events": events}
        return {**result, "diff": diffs} if self._task.diff else result

    def _resolved(self) -> list[payload.ResolvedPayload]:
        functions = self.options["functions"]
        payloads, db = load_all([self.path(path) for path in self.options["payloads"]],
                                self.path(functions) if functions else default_functions())
        facts = self.options["facts"]
        exports, config = set(facts.get("exports") or []), set(facts.get("config") or [])
        resolved, mistakes = [], []
        for one in payloads:
            try:
                resolved.append(payload.resolve(one, db, exports, config, str(facts.get("release", ""))))
            except payload.PayloadError as error:
                mistakes.append(str(error))
        try:
            payload.check_resolved_together(resolved)
        except payload.PayloadError as error:
            mistakes.append(str(error))
        if mistakes:
            self._blame_missing_tree(facts)
            raise StepError("FAIL", "\n".join(mistakes))
        return resolved

    @staticmethod
    def _blame_missing_tree(facts: dict[str, Any]) -> None:
        """Without the kernel's headers nothing is known to be exported: say that, and blame no payload."""
        if facts.get("kernel_tree") or facts.get("exports"):
            return
        from ansible_collections.kedr.lab.plugins.plugin_utils.host.facts import headers_package
        raise StepError("INFRA", f"the host has no headers of its kernel {facts.get('release', '')}, so it is not "
                                 f"known what the kernel exports; install them: {headers_package(facts)}")

    def _ours(self) -> bool:
        templates = self.options["templates"]
        return not templates or payload.is_ours(self.path(templates), default_templates())

    def _rendered(self, one: payload.ResolvedPayload) -> dict[str, str]:
        templates = self.options["templates"]
        try:
            given = self.path(templates) if templates else default_templates()
            return payload.render_by(one, given, default_templates())
        except (ValueError, OSError) as error:
            raise StepError("INFRA", str(error)) from error

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
