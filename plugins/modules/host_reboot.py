# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.host_reboot; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: host_reboot
short_description: Reboot a host and wait until it is back
version_added: 0.1.0
description:
  - Reboots a test host and waits for another boot to answer.
  - Needs only a POSIX shell on the host; no Python.
options:
  release:
    description:
      - Kernel that the host must come back with, as of C(uname -r); another one is a failure.
      - Without it any kernel will do.
    type: str
    default: ""
  timeout:
    description: Seconds to wait at most.
    type: int
    default: 600
seealso:
  - module: kedr.lab.host_packages
extends_documentation_fragment: kedr.lab.host
"""

EXAMPLES = r"""
- name: Boot the kernel that was installed
  kedr.lab.host_reboot:
    release: "{{ packages.boot }}"
  become: true
  when: packages.boot | length > 0
"""

RETURN = r"""
before:
  description: Release of the kernel before the reboot.
  type: str
  returned: success
  sample: 6.4.0-150600.21-default
release:
  description: Release of the kernel that answered after it.
  type: str
  returned: success
  sample: 6.4.0-150600.23.30-default
"""
