# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.run; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: run
short_description: Begin a run by making its directory
version_added: 0.1.0
description:
  - Makes the directory of a run on the control node, where every step keeps what it saw, and points
    C(latest) beside it to it.
  - The directory gets C(run.json) with the command line, the version of Ansible and the hosts of the run.
  - Of a host with C(kedr_embedded) it also says whether its guest lives at this moment, so that a guest that
    was never started is not taken for one that died.
  - A host whose file of expectations has a mistake, or is about another target than the host's, fails the task
    before anything is done. The file is C(kedr_expect) of the host, or C(data/expect/<kedr_target>.yml).
  - Extra variables whose names contain C(pass), C(secret), C(key) or C(token) are kept without their values. In
    a text C(name=value), what follows the first of them is left out as well. Extra variables in JSON or YAML
    are left out whole when such a word or a backslash is in them.
  - Only the user who runs this can read the directory.
  - Fails under a strategy that does not heed C(run_once), C(free) or C(host_pinned), when the play has several hosts.
author: The kedr.lab authors (@kedr-lab)
options:
  runs_dir:
    description: Directory of all runs; made when it is missing.
    type: path
    required: true
  run_id:
    description:
      - Name of the run and of its directory. Letters, digits, C(.), C(_) and C(-).
      - The default is the time in UTC and the number of the process, as C(20260131T235959Z-4711).
    type: str
  hosts:
    description:
      - Names of the hosts of the run. The default is every host of the inventory.
      - Of each host the variables C(kedr_embedded), C(kedr_test_host), C(kedr_console),
        C(kedr_qemu_pid), C(kedr_qemu_pidfile), C(kedr_system), C(kedr_target) and C(kedr_expect) are kept.
    type: list
    elements: str
  expectations:
    description: Whether the files of expectations are looked at. A run that only collects needs none.
    type: bool
    default: true
  parameters:
    description:
      - What else is to be known about the run later; kept as text.
      - Values whose names contain C(pass), C(secret), C(key) or C(token) are left out.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Returns what would be made and makes nothing.
    support: full
  diff_mode:
    description: Shows what changes.
    support: none
seealso:
  - module: kedr.lab.verdict
"""

EXAMPLES = r"""
- name: Begin a run
  kedr.lab.run:
    runs_dir: "{{ lookup('ansible.builtin.env', 'PWD') }}/runs"
  register: kedr_run
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
run_dir:
  description: Directory of the run.
  type: str
  returned: success
  sample: /home/me/lab/runs/20260131T235959Z-4711
run_id:
  description: Name of the run.
  type: str
  returned: success
  sample: 20260131T235959Z-4711
"""
