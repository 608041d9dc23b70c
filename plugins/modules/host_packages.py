# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.host_packages; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: host_packages
short_description: Make sure that a host has what building kernel modules needs
version_added: 0.1.0
description:
  - Installs the headers of the running kernel, gcc (of the version that built the kernel, where the repositories have
    it), make, the headers of the C library, kmod, and the headers of libelf where the kernel's objtool needs them.
  - Works with apt, dnf, dnf5 and zypper; needs only a POSIX shell on the host; no Python.
  - A host that has everything is left alone, in one round trip. Nothing is removed for what is installed, and a
    kernel's packages replace those of no other kernel.
options:
  upgrade_kernel:
    description:
      - What to do when the repositories no longer have the headers of the running kernel.
      - With V(false) the task fails and names the newest kernel that is there with its headers.
      - With V(true) that kernel and its headers are installed; RV(boot) names it for M(kedr.lab.host_reboot).
    type: bool
    default: false
  packages:
    description:
      - Table of the package names per family of systems.
      - The default is the table of this collection, C(data/packages.yml).
    type: path
seealso:
  - module: kedr.lab.kernel_facts
  - module: kedr.lab.host_reboot
extends_documentation_fragment: kedr.lab.host
attributes:
  check_mode:
    description: Says what would be done and changes nothing; the lists of packages are taken as they are.
"""

EXAMPLES = r"""
- name: Install what building kernel modules needs
  kedr.lab.host_packages:
  become: true
  register: packages

- name: Install it, with another kernel where the running one's headers are gone
  kedr.lab.host_packages:
    upgrade_kernel: true
  become: true
  register: packages
"""

RETURN = r"""
lacking:
  description: What the host did not have, as words of C(data/packages.yml).
  type: list
  elements: str
  returned: always
  sample: ["headers", "make"]
wanted:
  description: What the package manager was asked for.
  type: list
  elements: str
  returned: always
  sample: ["linux-headers-6.12.117+deb13-amd64", "make"]
installed:
  description: Packages with the versions that came.
  type: list
  elements: str
  returned: always
  sample: ["make:amd64 4.4.1-2"]
gone:
  description: Packages with the versions that went, because a dependency needed newer ones.
  type: list
  elements: str
  returned: always
boot:
  description: Kernel that was installed with its headers and has to be booted, or nothing.
  type: str
  returned: always
newest:
  description: Newest kernel that is there with its headers, when those of the running one are not; else nothing.
  type: str
  returned: always
  sample: 6.4.0-150600.23.30-default
manager:
  description: The host's package manager; empty when nothing was lacking.
  type: str
  returned: always
  sample: zypper
manager_seconds:
  description: Seconds that the package manager took.
  type: int
  returned: always
"""
