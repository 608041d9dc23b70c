# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation shared by the actions that speak to a test host."""


class ModuleDocFragment:
    """Options of every action of the group kedr.lab.host, and their attributes."""

    DOCUMENTATION = r"""
author: The kedr.lab authors (@kedr-lab)
notes:
  - Every result has C(kind), whose fault a failure is, empty when there is none; C(round_trips), the number of commands
    that were run on the host, with tries to reach it; and C(seconds), how long the step took.
options:
  run_dir:
    description:
      - Directory of the run on the control node, as made by M(kedr.lab.run).
      - When given, the outcome is appended to C(<run_dir>/<inventory_hostname>/steps.jsonl), and what
        the action collects is kept beside it.
      - A host that cannot be reached is a failed task, which a C(rescue) sees. After that only the steps that bring
        evidence home and clean up try again, for a minute at most; a host that is lost twice is not tried again in
        this run.
    type: path
  deadline:
    description:
      - Seconds that one round trip to the host may take. A host that does not answer within that time is lost.
      - The default depends on the action; it is several minutes at least, an hour for M(kedr.lab.kmod_build), and two
        hours for M(kedr.lab.host_packages).
    type: float
  step:
    description:
      - Name under which the outcome is recorded in the run directory.
      - The default is the usual step of the action.
    type: str
attributes:
  action_group:
    description: The action is part of these action groups, for setting C(module_defaults).
    support: full
    membership:
      - kedr.lab.host
  async:
    description: Supports being used with the C(async) keyword.
    support: none
  become:
    description: Is usable alongside become keywords.
    support: full
  check_mode:
    description: Says what would be done and changes nothing.
    support: full
  diff_mode:
    description: Shows what is changed in diff mode.
    support: none
  platform:
    description: Systems that can be operated against; they need a POSIX shell and no Python.
    support: full
    platforms: linux
"""
