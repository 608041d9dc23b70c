# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Render a MiST template set on the control node and copy the document to the host."""

import os
import shutil
import tempfile
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.kedr.lab.plugins.plugin_utils.mist.generate import render
from ansible_collections.kedr.lab.plugins.plugin_utils.mist.template import MistError

_COPY = "ansible.builtin.copy"
_RENDER_OPTIONS = {
    "template_dir": {"type": "path", "required": True},
    "data_file": {"type": "path", "required": True},
}
_COPY_OPTIONS = {
    "dest": {"type": "path", "required": True}, "backup": {"type": "bool"}, "validate": {"type": "str"},
    "mode": {"type": "raw"}, "owner": {"type": "str"}, "group": {"type": "str"}, "seuser": {"type": "str"},
    "serole": {"type": "str"}, "selevel": {"type": "str"}, "setype": {"type": "str"},
    "attributes": {"type": "str", "aliases": ["attr"]}, "unsafe_writes": {"type": "bool"},
}


class ActionModule(ActionBase):
    """See the documentation of M(kedr.lab.mist_render)."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render, then let the copy action do what is left."""
        result = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec({**_RENDER_OPTIONS, **_COPY_OPTIONS})
        if options["dest"].endswith("/"):
            return {**result, "failed": True, "msg": f"dest must name a file, not a directory: {options['dest']}"}
        try:
            templates = self._find_needle("templates", options["template_dir"])
            data = self._find_needle("files", options["data_file"])
            document = render(os.fsencode(templates), os.fsencode(data))
        except (AnsibleError, MistError) as error:
            return {**result, "failed": True, "msg": str(error)}
        if self._is_directory(options["dest"], task_vars):
            return {**result, "failed": True, "msg": f"dest must name a file, not a directory: {options['dest']}"}
        arguments = {name: options[name] for name in _COPY_OPTIONS if options[name] is not None}
        return {**result, **self._copied(document, arguments, task_vars)}

    def _is_directory(self, dest: str, task_vars: dict[str, Any] | None) -> bool:
        """Is there such a directory on the host? The copy would go into it, under the directory's name."""
        path = self._remote_expand_user(dest)
        found = self._execute_remote_stat(path, all_vars=task_vars, follow=True, checksum=False)
        return bool(found["exists"] and found["isdir"])

    def _copied(self, document: bytes, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Have the document copied; returns the result of that."""
        folder = tempfile.mkdtemp(dir=C.DEFAULT_LOCAL_TMP)
        try:
            source = os.path.join(folder, os.path.basename(arguments["dest"]))
            with open(source, "wb") as file:
                file.write(document)
            task = self._task.copy()
            task.args = {**arguments, "src": source}
            copy = self._shared_loader_obj.action_loader.get(
                _COPY, task=task, connection=self._connection, play_context=self._play_context, loader=self._loader,
                templar=self._templar, shared_loader_obj=self._shared_loader_obj,
            )
            return copy.run(task_vars=task_vars)
        except OSError as error:
            reason = f"cannot keep the document in {folder} on the control node: {error.strerror}"
            return {"failed": True, "msg": reason}
        finally:
            shutil.rmtree(folder, ignore_errors=True)
