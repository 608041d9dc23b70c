# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.exercise; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: exercise
short_description: Run a script on a test host that makes the target work
version_added: 0.1.0
description:
  - Sends a script for C(sh) with the files it needs, runs it in a private directory that is removed, and reads what
    it checked, in one round trip.
  - The script prints C(check NAME ok) or C(check NAME bad DETAIL) for each thing it checks, with single blanks and
    nothing before or after it. A line that is like a check but not exactly one is a bad check.
  - A bad check, no check at all, more output than 1 MiB, another exit status than 0, or time running out is a failure.
  - The private directory is in C(/tmp), else in C(/var/tmp), C(/run) or C(/root), where programs can run; C(/tmp) may
    be mounted C(noexec).
  - Refused unless the inventory sets C(kedr_test_host=true) for the host.
options:
  script:
    description: Script on the control node.
    type: path
    required: true
  files:
    description: Files on the control node to put beside the script.
    type: list
    elements: path
    default: []
  env:
    description: Variables for the script.
    type: dict
    default: {}
  timeout:
    description: Seconds after which the script is killed, on hosts that have C(timeout).
    type: int
    default: 120
seealso:
  - module: kedr.lab.kmod
extends_documentation_fragment: kedr.lab.host
"""

EXAMPLES = r"""
- name: Exercise the target
  kedr.lab.exercise:
    script: "{{ role_path }}/files/exercise.sh"
    files:
      - "{{ role_path }}/files/input.bin"
    env:
      DEVICE: /dev/cfake0
"""

RETURN = r"""
checks:
  description: What was checked; empty in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check.
      type: str
      sample: read
    ok:
      description: Whether it held.
      type: bool
    detail:
      description: What was wrong.
      type: str
took:
  description: Seconds that the script took on the host.
  returned: when it ran
  type: float
cut:
  description: That the script printed more than 1 MiB, of which the rest was cut.
  returned: when it did
  type: bool
output:
  description: What the script printed, shortened.
  returned: when it ran
  type: str
  sample: |
    check read ok
"""
