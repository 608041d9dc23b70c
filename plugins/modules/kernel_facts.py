# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.kernel_facts; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: kernel_facts
short_description: Read in one round trip what a host and its kernel are
version_added: 0.1.0
description:
  - Reads release, compiler, headers, configuration, exported symbols, tracing and leftovers of an interrupted run.
  - Needs only a POSIX shell on the host; no Python.
  - With O(run_dir) on a host that is marked as a test host it writes one line to the kernel log, which marks where
    the run begins.
  - Missing kernel headers are a fact and no failure.
options:
  payloads:
    description: Data files whose functions are looked up among the symbols that the kernel exports.
    type: list
    elements: path
    default: []
  functions:
    description:
      - Table of the symbols that stand for a function.
      - The default is the table of this collection.
    type: path
  target:
    description: Name of the module that will be watched.
    type: str
    default: ""
seealso:
  - module: kedr.lab.kmod_build
  - module: kedr.lab.payload_render
extends_documentation_fragment: kedr.lab.host
"""

EXAMPLES = r"""
- name: Read what the host is
  kedr.lab.kernel_facts:
    payloads:
      - "{{ playbook_dir }}/data/my_payload1.data"
    target: cp_target
  register: looked
"""

RETURN = r"""
facts:
  description: What the host and its kernel are.
  returned: success
  type: dict
  contains:
    release:
      description: Release of the kernel, as of C(uname -r).
      type: str
      sample: 6.12.117+deb13-amd64
    flavour:
      description: Flavour of the kernel, which is the end of its release; empty when it has none.
      type: str
      sample: amd64
    build:
      description: Which build of that release, as of C(uname -v).
      type: str
    machine:
      description: Architecture.
      type: str
      sample: x86_64
    system:
      description: Name of the distribution.
      type: str
      sample: Debian GNU/Linux 13 (trixie)
    os_id:
      description: Short name of the distribution.
      type: str
      sample: debian
    os_like:
      description: Short names of the distributions it resembles.
      type: list
      elements: str
    os_version:
      description: Version of the distribution.
      type: str
      sample: "13"
    compiler:
      description: First line of C(gcc --version), empty without gcc.
      type: str
    kernel_compiler:
      description: Compiler that built the kernel.
      type: str
    kernel_tree:
      description: Directory to build modules in, empty when there is none.
      type: str
      sample: /lib/modules/6.12.117+deb13-amd64/build
    config_sum:
      description: Checksums of the kernel's configuration and of its exported symbols.
      type: str
    exports:
      description: Those of the symbols looked up that the kernel tree says are exported to every module.
      type: list
      elements: str
    config:
      description: Those of the configuration symbols looked up that are C(y).
      type: list
      elements: str
    tracefs:
      description: Where tracing is, empty when it is not mounted.
      type: str
      sample: /sys/kernel/tracing
    instances:
      description: Whether there are trace instances.
      type: bool
    clocks:
      description: Trace clocks of the kernel.
      type: list
      elements: str
    taint:
      description: Taint of the kernel.
      type: int
    modules:
      description: Loaded modules.
      type: list
      elements: str
    lockdown:
      description: Lockdown mode, empty where the kernel has none.
      type: str
      sample: none
    sig_enforce:
      description: Whether only signed modules are loaded.
      type: bool
    trusted_keys:
      description:
        - Certificates that the kernel knows, those that it trusts for modules and others; empty where it does not
          show them.
      type: list
      elements: str
      sample: ["Debian Secure Boot CA: 6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1"]
    lacks:
      description:
        - What building kernel modules needs and the host does not have, as words of C(data/packages.yml).
        - M(kedr.lab.host_packages) installs it.
      type: list
      elements: str
      sample: ["headers", "make"]
    cpus:
      description: Number of processors.
      type: int
    boot_id:
      description: Identity of this boot.
      type: str
    uptime:
      description: Seconds since boot.
      type: float
    tools:
      description: Whether the host has each of the tools that matter.
      type: dict
      sample: {"gcc": true, "make": true}
    leftovers:
      description:
        - What an interrupted run left.
        - C(modules) can be given to M(kedr.lab.kmod) to unload them, C(instances) are names for M(kedr.lab.trace),
          C(programs) are the directories of programs that still ran and were ended.
      type: dict
      sample: {"modules": [{"name": "cp_controller"}], "instances": [], "programs": []}
    target_loaded:
      description: Whether the module named by O(target) is loaded.
      type: bool
    root:
      description: Whether the host was asked as root.
      type: bool
    test_host:
      description: Whether the inventory marks the host as a test host.
      type: bool
    marker:
      description: Whether the kernel log now holds the line that begins this run.
      type: bool
"""
