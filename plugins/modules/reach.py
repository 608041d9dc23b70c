# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.reach; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: reach
short_description: Say which command line reaches a test host
version_added: 0.1.0
description:
  - Builds the command line with which Ansible's own connection plugin would run a command on the host, with its
    port, key, jump host and C(become), and returns it for M(kedr.lab.stream), which speaks to all hosts at once.
  - Nothing is run on the host.
  - The connections C(ssh) and C(local) can be streamed from. A host that needs a password cannot.
attributes:
  check_mode:
    description: Changes nothing in any mode.
seealso:
  - module: kedr.lab.stream
extends_documentation_fragment: kedr.lab.host
"""

EXAMPLES = r"""
- name: Find out how the host is reached
  kedr.lab.reach:
  register: reached
"""

RETURN = r"""
argv:
  description: The command line, with C(KEDR COMMAND) where the command has to be.
  returned: success
  type: list
  elements: str
  sample: ["ssh", "-o", "Port=2222", "-T", "192.0.2.7", "/bin/sh -c 'KEDR COMMAND'"]
"""
