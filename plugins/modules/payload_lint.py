# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.payload_lint; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: payload_lint
short_description: Check payload descriptions
version_added: 0.1.0
description:
  - Checks data files that are to be loaded together, on the control node. No host is asked.
  - The task fails when there is a mistake, and tells every mistake of every file.
author: The kedr.lab authors (@kedr-lab)
options:
  payloads:
    description: Data files. A relative path starts at the playbook.
    type: list
    elements: path
    required: true
attributes:
  check_mode:
    description: Checks as always; it never changes anything.
    support: full
  diff_mode:
    description: Shows what changes.
    support: none
seealso:
  - module: kedr.lab.payload_render
"""

EXAMPLES = r"""
- name: Check the payloads before a long run
  kedr.lab.payload_lint:
    payloads:
      - data/my_payload1.data
      - data/my_payload2.data
"""

RETURN = r"""
problems:
  description: Every mistake, by file and line.
  type: list
  elements: dict
  returned: always
  contains:
    file:
      description: The file.
      type: str
      sample: /lab/my_vmalloc.data
    line:
      description: The line, counted from 1; null for a mistake of the whole file.
      type: int
    severity:
      description: How bad it is. There are only errors as yet.
      type: str
      sample: error
    message:
      description: What is wrong.
      type: str
      sample: unknown parameter 'module.licence' before the first [group], did you mean 'module.license'?
    allowed:
      description: What is allowed.
      type: str
      sample: "allowed here: header, module.author, module.license, module.name"
    suggestion:
      description: The word that was probably meant; null when there is none.
      type: str
      sample: module.license
"""
