# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return the command line that reaches a test host, so that one process can serve many hosts."""

from typing import Any

from ansible.module_utils.common.text.converters import to_text
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction
from ansible_collections.kedr.lab.plugins.plugin_utils.host.reach import PLACE


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.reach)."""

    default_step = "reach"

    def perform(self) -> dict[str, Any]:
        """Build the command line as the connection of the host would, without running it."""
        connection = self._connection
        transport = str(connection.transport).rsplit(".", 1)[-1]
        wrapped = self._wrapped()
        if transport == "local":
            return {"changed": False, "argv": ["/bin/sh", "-c", wrapped]}
        if transport != "ssh" or not hasattr(connection, "_build_command"):
            raise KedrError(f"a trace cannot be taken from a host with the connection '{transport}': ssh and local "
                            "can be used; verify.yml works with any connection")
        self._refuse_passwords()
        self.prepare_connection()
        host = connection.get_option("host") or self._play_context.remote_addr
        argv = connection._build_command(connection.get_option("ssh_executable"), "ssh", "-T", host, wrapped)
        return {"changed": False, "argv": [to_text(word) for word in argv]}

    def _wrapped(self) -> str:
        """Return PLACE with all that Ansible would put around a command: become, and a shell."""
        taken: list[str] = []

        def take(command: str, **_options: Any) -> tuple[int, bytes, bytes]:
            taken.append(command)
            return 0, b"", b""

        self._connection.exec_command = take
        self._low_level_execute_command(PLACE)
        return taken[0]

    def _refuse_passwords(self) -> None:
        """A stream has nobody to type a password."""
        become = self._connection.become
        if self._connection.get_option("password"):
            raise KedrError("the host is reached with a password: a stream has nobody to type it; log in with a key "
                            "(ansible_ssh_private_key_file)")
        if become and become.get_option("become_pass", playcontext=self._play_context):
            raise KedrError("becoming root needs a password on the host: a stream has nobody to type it; log in as "
                            "root, or allow it without")
