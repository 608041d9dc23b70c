# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.hold; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: hold
short_description: Take a test host for one run, or let go of it
version_added: 0.1.0
description:
  - A host is held by one run at a time. Who wants a host that is held is told who holds it, and fails.
  - The hold is the symbolic link C(/run/kedr-hold) of the host, or C(/dev/.kedr-hold) without C(/run). Its text names
    the run, the user and the control node, the process that runs the playbook with its start, and since when;
    C(ls -l) shows it.
  - The hold of a run that is over is taken over. It is over when the host was started anew since; when the process is
    gone, if both runs have the same control node; else when the hold is an hour old and no program streams from
    the host.
  - Letting go also ends the run in the kernel log of the host, with a line as M(kedr.lab.kernel_facts) begins it, and
    brings the log from the first to the last of them to C(<run_dir>/<inventory_hostname>/dmesg.txt), in place of what
    M(kedr.lab.trace_collect) brought earlier. A log that has lost its beginning replaces none.
  - What a run that was taken over has left on the host is removed by the role P(kedr.lab.host#role).
  - Refused unless the inventory sets C(kedr_test_host=true) for the host.
options:
  state:
    description: Whether the host is to be held by this run or not. A hold of another run stays.
    type: str
    choices: [present, absent]
    default: present
  take_over:
    description: Takes the host whoever holds it.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says whether the host could be held and changes nothing.
extends_documentation_fragment: kedr.lab.host
"""

EXAMPLES = r"""
- name: Take the host
  kedr.lab.hold:
    run_dir: "{{ kedr_run.run_dir }}"

- name: Let go of it
  kedr.lab.hold:
    run_dir: "{{ kedr_run.run_dir }}"
    state: absent
"""

RETURN = r"""
took_over:
  description: The run whose stale hold was taken over; empty when there was none.
  returned: success and O(state=present)
  type: str
marker:
  description: Whether the kernel log still holds the line that begins this run.
  returned: success and O(state=absent)
  type: bool
missing:
  description: What could not be brought, and why.
  returned: success and O(state=absent)
  type: list
  elements: str
"""
