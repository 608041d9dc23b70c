# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.mist_render; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: mist_render
short_description: Render a MiST template set to a file
version_added: 0.1.0
description:
  - Makes one document from a data file and a set of MiST templates, as the command C(mist_gen) does, and copies it to
    the host.
  - Templates and data are read on the control node. The host needs what M(ansible.builtin.copy) needs.
  - A mistake in the data or in a template leaves the file on the host as it is.
options:
  template_dir:
    description:
      - Directory on the control node that holds the directories C(document) and C(block) with the templates.
      - A relative path is looked up like the source of M(ansible.builtin.template).
    type: path
    required: true
  data_file:
    description:
      - Data file on the control node.
      - A relative path is looked up like the source of M(ansible.builtin.copy).
    type: path
    required: true
  dest:
    description: Path of the file on the host, not of a directory. The file's directory must exist.
    type: path
    required: true
notes:
  - Values and templates are bytes. There are no Jinja2 expressions in them and no conversion of line ends.
seealso:
  - module: ansible.builtin.template
  - module: ansible.builtin.copy
author: The kedr.lab authors (@kedr-lab)
extends_documentation_fragment:
  - ansible.builtin.files
  - ansible.builtin.backup
  - ansible.builtin.validate
  - ansible.builtin.action_common_attributes
  - ansible.builtin.action_common_attributes.files
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: posix
  safe_file_operations:
    description: Whether the destination is replaced in one go, so that it is never half written.
    support: full
  vault:
    description: Whether encrypted files are decrypted.
    support: none
"""

EXAMPLES = r"""
- name: Generate the source file from its description
  kedr.lab.mist_render:
    template_dir: templates/stubs
    data_file: stubs.data
    dest: /usr/src/stubs/stubs.c
    owner: root
    mode: "0644"
"""

RETURN = r"""
dest:
  description: Path of the file.
  returned: success
  type: str
  sample: /usr/src/stubs/stubs.c
checksum:
  description: SHA1 checksum of the file.
  returned: success
  type: str
  sample: 6e642bb8dd5c2e027bf21dd923337cbb4214f827
"""
