# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.lab_guest; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: lab_guest
short_description: Start and stop embedded test guests
version_added: 0.1.0
description:
  - Starts QEMU guests on the control node from images that M(kedr.lab.lab_image) has built, side by side,
    and waits until each takes an SSH login; or ends guests that were started in the same lab directory.
  - Each guest has a fresh disk at every start, its own name, port, SSH host key, console and control
    socket. Its SSH server is reachable on the loopback address only, with a key made for this lab, and
    its host key is known before the first connection.
  - An oops of the guest's kernel is a panic, and a panic ends the guest.
  - QEMU has a sandbox and is never root. It runs as who called, also through C(sudo); for root as C(nobody).
  - A guest of a cloud image is told by a seed for cloud-init who it is, which host key it has and who may log in; it
    counts as started when cloud-init says that it is done. Modules for it are built in it.
author: The kedr.lab authors (@kedr-lab)
options:
  state:
    description: Whether the guests are to run.
    type: str
    choices: [started, stopped]
    default: started
  lab_dir:
    description:
      - Directory of the lab. It gets C(inventory.yml), C(known_hosts), C(ssh_key) and a directory for each guest.
    type: str
    required: true
  guests:
    description:
      - The guests. With O(state=stopped) only the names count, and an empty list means all of the lab directory.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the guest; also its host name and its name in the inventory.
        type: str
        required: true
      image:
        description: Description of its image, as for M(kedr.lab.lab_image).
        type: dict
      memory:
        description: Overrides O(memory).
        type: int
      cpus:
        description: Overrides O(cpus).
        type: int
      cmdline:
        description: Overrides O(cmdline). A cloud image has its own; there it must be empty.
        type: str
      cpu:
        description: QEMU's processor model; C(host) or C(max) when empty.
        type: str
      network:
        description:
          - V(restricted) lets the guest reach nothing; its SSH server is reached all the same. V(open) lets it reach
            what the control node's user reaches, services on the loopback address included.
          - V(open) for cloud images when it is not given, else V(restricted).
        type: str
        choices: [restricted, open]
      module_key:
        description:
          - Start by UEFI, with a certificate in the firmware's C(db) that is made for this start, so that the
            distribution's kernel trusts modules signed with its key. The guest's variables C(kedr_signing_key) and
            C(kedr_signing_cert) name both; they are deleted when the guest ends.
          - Needs the packages C(ovmf) and C(openssl). Not for cloud images.
        type: bool
  cache_dir:
    description: Directory of the images, as for M(kedr.lab.lab_image).
    type: str
    default: ''
  console_root:
    description:
      - The serial console of guest G is written to C(console_root/G/console.log); when empty, to the
        guest's directory in the lab directory.
    type: str
    default: ''
  accelerator:
    description: V(kvm), V(tcg) (software emulation), or V(auto) for V(kvm) if a probe guest shows that it works here.
    type: str
    choices: [auto, kvm, tcg]
    default: auto
  memory:
    description: Memory of a guest in MiB.
    type: int
    default: 1024
  cpus:
    description: Processors of a guest.
    type: int
    default: 1
  cmdline:
    description: Added to a guest's kernel command line.
    type: str
    default: ''
  timeout:
    description: Seconds in which all guests must take a login; three times as long for guests of cloud images.
    type: int
    default: 300
  run_dir:
    description:
      - Directory of a run. With O(state=started) it keeps the outcome as the step C(guest) of the task's host, with
        O(state=stopped) whether each guest still lived before it was ended, and its console.
    type: str
    default: ''
attributes:
  check_mode:
    support: full
    description: Reports which guests would be started or ended.
  diff_mode:
    support: none
    description: There is nothing to compare.
seealso:
  - module: kedr.lab.lab_image
"""

EXAMPLES = r"""
- name: Start two guests of one image
  kedr.lab.lab_guest:
    lab_dir: /tmp/lab
    guests:
      - name: first
      - name: second
        memory: 2048

- name: End all guests of the lab
  kedr.lab.lab_guest:
    state: stopped
    lab_dir: /tmp/lab
"""

RETURN = r"""
guests:
  description: What is known of each guest, by name; C(variables) are its inventory variables.
  type: dict
  returned: with state=started, success, not in check mode
inventory:
  description: Path of the inventory file that names every running guest of the lab directory.
  type: str
  returned: with state=started, success, not in check mode
missing:
  description: Names of the guests that would be started.
  type: list
  elements: str
  returned: with state=started, in check mode
stopped:
  description: Names of the guests that ran and were ended.
  type: list
  elements: str
  returned: with state=stopped, success
kind:
  description:
    - Kind of a failure; V(INPUT) is a mistake in the options, V(INFRA) a lack of the machine or a guest
      that did not come up.
  type: str
  returned: failure
"""
