# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.kmod_build; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: kmod_build
short_description: Build kernel modules for a host's kernel, or take them from the cache
version_added: 0.1.0
description:
  - Builds modules in the order given, each against the exported symbols of those it needs.
  - A built module is kept under a key of its content, namely kernel, compiler, configuration, sources and what it
    needs, and under who built it. Only what changed is built again.
  - Builds in a root tree on the control node, on the host that the task is delegated to, or on the host itself; on a
    host in a private directory that is removed.
  - Hosts with the same kernel share what their common root tree or build host has built. What a host has built is never
    used on another one, and is signed with M(kedr.lab.kmod) only if C(kedr_builder=true) marks the host as a builder.
  - C(manifest.json) beside a built module says who built it, with which compiler, and when.
  - Fails for a kernel that clang has built, before anything is built. Use a kernel that was built with gcc.
  - Building on the host itself is refused unless the inventory sets C(kedr_test_host=true) or C(kedr_builder=true) for
    it, and building on another one unless it sets C(kedr_builder=true) for that.
options:
  facts:
    description: Facts of the kernel, as returned by M(kedr.lab.kernel_facts).
    type: dict
    required: true
  modules:
    description: Modules to build, each after those it needs.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the module.
        type: str
        required: true
      source:
        description: Directory of its sources on the control node, with a C(Kbuild).
        type: path
        required: true
      needs:
        description: Names of modules earlier in the list whose exported symbols it uses.
        type: list
        elements: str
        default: []
  kernel_dir:
    description: Directory C(kernel) of this collection, with C(build.sh), C(include) and C(probes).
    type: path
    required: true
  cache_dir:
    description: Directory on the control node where built modules are kept.
    type: path
    required: true
  build_root:
    description:
      - Root tree on the control node to build in, instead of on the host. It holds the headers of the host's kernel.
      - Needs root on the control node, or C(sudo) without a password, and util-linux 2.35. Nothing is left in the tree.
      - The build is shut in. It has no network and no privileges, and sees no file or process outside of the tree.
    type: path
    default: ""
seealso:
  - module: kedr.lab.kernel_facts
  - module: kedr.lab.kmod
extends_documentation_fragment: kedr.lab.host
"""

EXAMPLES = r"""
# without delegate_to it is built on the host itself
- name: Build the controller on another host, which has the headers of this host's kernel
  kedr.lab.kmod_build:
    facts: "{{ looked.facts }}"
    kernel_dir: "{{ playbook_dir }}/../kernel"
    cache_dir: ~/.cache/kedr-lab
    modules:
      - name: cp_controller
        source: "{{ playbook_dir }}/../kernel/controller"
  delegate_to: builder
  register: built
"""

RETURN = r"""
modules:
  description: The built modules by name; empty in check mode.
  returned: success
  type: dict
  sample:
    cp_controller:
      ko: /root/.cache/kedr-lab/modules/0123/cp_controller.ko
      symvers: /root/.cache/kedr-lab/modules/0123/cp_controller.symvers
      programs: {}
      cached: true
      key: "0123"
load:
  description: The built modules in the order given, as M(kedr.lab.kmod) wants them; empty in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "cp_controller", "ko": "/root/.cache/kedr-lab/modules/0123/cp_controller.ko"}]
"""
