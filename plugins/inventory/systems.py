# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inventory of the systems in a file such as data/systems.yml."""

DOCUMENTATION = r"""
name: systems
short_description: Systems of the matrix as hosts
version_added: 0.1.0
description:
  - Makes a host of every row of a YAML file that can be run. The collection's own rows are in
    C(data/systems.yml), which C(make matrix) runs.
  - A row with C(image) is a guest that the C(matrix) playbook starts on the control node, and is in the group
    C(embedded). A row with C(remote) is a host that is there already, and is in the group C(remote). A row
    with neither stands in reports only.
  - Further groups are the first word of C(system) (C(debian)), all of C(system) (C(debian_11)), the kernel
    series (C(kernel_5_10)), the architecture (C(x86_64), C(i386)) and the row's C(group).
  - Rows are data. A row names no files but those beside its file, no options but those that are listed in
    C(docs/matrix.md), and text in it is never a template.
  - Mistakes are reported with file and line.
author:
  - The kedr.lab authors (@kedr-lab)
options:
  plugin:
    description: Marks the file as one for this plugin.
    type: str
    required: true
    choices: [kedr.lab.systems]
  shipped:
    description:
      - Take the collection's own rows too. A row of this file takes the place of a shipped one that has the same name.
    type: bool
    default: false
  systems:
    description: The rows.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      system:
        description: The distribution and its release, as people write it.
        type: str
        required: true
      kernel:
        description: The kernel that is expected, as text for people. A run reports which kernel ran.
        type: str
        required: true
      arch:
        description: The architecture.
        type: str
        choices: [i386, x86_64]
        required: true
      group:
        description: The part of the matrix.
        type: str
        choices: [seed, base, variant, target, cloud]
        required: true
      why:
        description: Why the row exists, in a sentence.
        type: str
        required: true
      variant:
        description: What is special about the row, in a few words.
        type: str
      image:
        description: Image of a guest; see M(kedr.lab.lab_image).
        type: dict
      guest:
        description: Options of a guest, without C(name) and C(image); see M(kedr.lab.lab_guest).
        type: dict
      remote:
        description:
          - Inventory variables of a host that is there already. Nothing is loaded there unless C(kedr_test_host) is
            true.
          - Allowed are C(ansible_host), C(ansible_port), C(ansible_user), C(ansible_ssh_private_key_file),
            C(ansible_ssh_executable) (C(/usr/bin/ssh) or C(/usr/bin/ssh1)), C(ansible_become),
            C(ansible_become_method) (C(sudo) or C(su)), C(ansible_become_user), C(host_install_packages),
            C(kedr_test_host) and C(kedr_upgrade_kernel). Put any other into an inventory of your own.
        type: dict
      ssh:
        description:
          - V(legacy) for a host of 2009 to 2012, which knows key exchange with SHA-1, host keys of the kinds ssh-rsa
            and ssh-dss, and ciphers in CBC mode only. Its C(ansible_ssh_common_args) get what the control node's C(ssh)
            still has of it, or the client that C(ansible_ssh_executable) in C(remote) names. No other host's do.
        type: str
        choices: [legacy]
      checked:
        description: When the row was last run where it was written, or V(never).
        type: str
      target:
        description: Name of the kernel module to be watched; C(cp_target) when not given.
        type: str
      target_params:
        description: Parameters of the target.
        type: dict
      payloads:
        description: Descriptions of payloads, in the directory of the file or below.
        type: list
        elements: str
      expect:
        description: What the run must show, a file in the directory of this one or below.
        type: str
      exercise:
        description: Shell program that makes the target work, a file in the directory of this one or below.
        type: str
"""

EXAMPLES = r"""
# my-systems.yml: the shipped rows, and a machine of one's own.
# ansible-playbook playbooks/verify.yml -i my-systems.yml --limit remote
plugin: kedr.lab.systems
shipped: true
systems:
  - name: fedora-box
    system: Fedora 43
    kernel: 6.17 x86_64
    arch: x86_64
    group: base
    why: what half of the team has on the desk
    remote:
      ansible_host: 192.0.2.10
      ansible_user: root
      kedr_test_host: true

  - name: debian12-debug
    system: Debian 12
    kernel: 6.1 amd64
    arch: x86_64
    group: variant
    variant: slub_debug=FZPU
    why: the allocator checks every object
    image: {suite: bookworm}
    guest: {cmdline: slub_debug=FZPU}
"""

import os
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import PLUGIN, load_systems


class InventoryModule(BaseInventoryPlugin):
    """Rows that can be run become hosts."""

    NAME = PLUGIN

    def verify_file(self, path: str) -> bool:
        """Is the file one for this plugin?  What is in it is checked by ``parse``."""
        return bool(super().verify_file(path)) and os.path.splitext(path)[1] in (".yml", ".yaml")

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the hosts, their groups and variables."""
        super().parse(inventory, loader, path, cache)
        try:
            hosts = [(row, row.variables()) for row in load_systems(os.path.abspath(path)) if row.is_host]
        except InputError as error:
            raise AnsibleParserError(str(error)) from error
        for row, variables in hosts:
            self._add(row.name, row.groups(), variables)

    def _add(self, name: str, groups: list[str], variables: dict[str, Any]) -> None:
        self.inventory.add_host(name)
        for group in groups:
            self.inventory.add_group(group)
            self.inventory.add_child(group, name)
        for variable, value in variables.items():
            self.inventory.set_variable(name, variable, value)
