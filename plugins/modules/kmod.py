# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.kmod; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: kmod
short_description: Load or unload kernel modules of a test host
version_added: 0.1.0
description:
  - Loads modules in the order given, or unloads them in the order given, in one round trip, and verifies it.
  - When one cannot be loaded, those that this task has loaded are unloaded again, and the reason is given with the
    lines that the kernel logged.
  - A module that is loaded already counts as unchanged only if it is the same build with the same parameters.
  - Refused unless the inventory sets C(kedr_test_host=true) for the host.
options:
  state:
    description: Whether the modules are to be loaded or not.
    type: str
    choices: [present, absent]
    default: present
  modules:
    description: Modules, in the order to load or unload them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the module.
        type: str
        required: true
      ko:
        description:
          - File of the module on the control node.
          - Without it the host's own module of this name is loaded by modprobe, with what it depends on. Its file
            comes to C(<run_dir>/<inventory_hostname>/modules/<name>.ko) in the same round trip, unpacked, when there
            is O(run_dir).
        type: path
      params:
        description: Module parameters.
        type: dict
        default: {}
  fresh:
    description: Whether it is a failure when a module is loaded already.
    type: bool
    default: false
  dependencies:
    description: Whether modprobe unloads a module, together with what it depended on and nothing else uses.
    type: bool
    default: false
  signing_key:
    description:
      - Private key on the control node, a PEM file without a passphrase. It stays there.
      - Each module that has O(modules[].ko) and no signature yet is signed with it.
      - Where the kernel takes signed modules only, its owner must have enrolled the certificate.
      - What a host has built that C(kedr_builder) does not mark as a builder is refused, but for O(sign_untrusted).
    type: path
    default: ''
  signing_cert:
    description: Certificate of O(signing_key), a PEM file.
    type: path
    default: ''
  sign_untrusted:
    description:
      - Whether O(signing_key) also signs what a host has built that the inventory does not mark as a builder.
      - The risk is that who controls such a host gets anything signed, for every machine that trusts the key.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that loading or unloading one module may take.
      - What takes longer is killed and is a failure; a module whose init function hangs stays until the host is
        restarted.
    type: int
    default: 120
seealso:
  - module: kedr.lab.kmod_build
  - module: kedr.lab.trace
extends_documentation_fragment: kedr.lab.host
attributes:
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Load what was built
  kedr.lab.kmod:
    modules: "{{ built.load }}"

- name: Load a module of the distribution
  kedr.lab.kmod:
    modules:
      - name: zram
        params:
          num_devices: 2

- name: Unload it
  kedr.lab.kmod:
    state: absent
    modules:
      - name: zram
"""

RETURN = r"""
changed_modules:
  description: Modules that were loaded, or unloaded, by this task.
  returned: success
  type: list
  elements: str
  sample: ["cp_controller"]
unchanged_modules:
  description: Modules that already were as wanted.
  returned: success
  type: list
  elements: str
no_file:
  description: Modules of the host whose file was not kept in the run directory, and why.
  returned: success, when modules were loaded
  type: dict
module:
  description: The module that could not be loaded or unloaded.
  returned: when one could not
  type: str
  sample: cp_target
kernel_log:
  description: What the kernel logged meanwhile.
  returned: when a module could not be loaded or unloaded
  type: str
  sample: "cp_target: loading out-of-tree module taints kernel."
"""
