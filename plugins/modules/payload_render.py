# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.payload_render; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: payload_render
short_description: Render the sources of payload modules for one kernel
version_added: 0.1.0
description:
  - Checks data files, chooses for each function the symbol that the kernel exports, and writes the sources of one
    module for each data file.
  - Works on the control node; the host is not asked.
options:
  payloads:
    description: Data files.
    type: list
    elements: path
    required: true
  functions:
    description:
      - Table of the symbols that stand for a function.
      - The default is the table of this collection.
    type: path
  templates:
    description:
      - Directory of the templates of the sources. It, or a directory C(trace) in it, holds C(payload.c.j2),
        C(trace_payload.h.j2) and C(Kbuild.j2), or MiST template sets, where a directory C(payload.c) with C(document)
        and C(block) in it makes the file C(payload.c). What it has no template set for is made by the templates of this
        collection.
      - The default is the one of this collection.
    type: path
  facts:
    description: Facts of the kernel, as returned by M(kedr.lab.kernel_facts) for the same data files.
    type: dict
    required: true
  dest:
    description:
      - Directory on the control node to write the sources to, one directory in it for each module.
      - The default is C(<run_dir>/<inventory_hostname>/sources).
    type: path
seealso:
  - module: kedr.lab.kernel_facts
  - module: kedr.lab.kmod_build
extends_documentation_fragment: kedr.lab.host
attributes:
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Render the payloads for this kernel
  kedr.lab.payload_render:
    payloads:
      - "{{ playbook_dir }}/data/my_payload1.data"
    facts: "{{ looked.facts }}"
    dest: /tmp/sources
  register: rendered
"""

RETURN = r"""
payloads:
  description: What each rendered module will do.
  returned: success
  type: list
  elements: dict
  contains:
    module:
      description: Name of the module.
      type: str
      sample: my_payload1
    events:
      description: >-
        Its trace events, with the function as the user named it, the symbol of this kernel, the moment of the record
        (before or after the call), the fields that are strings, and, when our template makes payload.c, the name of the
        function that is called instead.
      type: list
      elements: dict
      sample:
        - event: called___kmalloc
          function: __kmalloc
          symbol: __kmalloc_noprof
          moment: after
          strings: []
          replacement: kedr_repl___kmalloc
    unresolved:
      description: Optional functions that this kernel does not export, with the names tried.
      type: list
      elements: dict
sources:
  description: Directory of the sources of each module.
  returned: success
  type: dict
  sample: {"my_payload1": "/tmp/sources/my_payload1"}
events:
  description: Every event, as M(kedr.lab.trace) wants it.
  returned: success
  type: list
  elements: str
  sample: ["my_payload1:called___kmalloc"]
"""
