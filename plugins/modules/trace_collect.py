# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.trace_collect; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: trace_collect
short_description: Bring trace, loss counters, call sites and kernel log of a host home
version_added: 0.1.0
description:
  - Turns tracing off and reads everything that a verdict needs, in one round trip, into
    C(<run_dir>/<inventory_hostname>).
  - Reads how often each function was called by the payloads' own counters, into C(calls.json). A payload of
    other templates has none.
  - Also brings what the second instance of M(kedr.lab.trace) recorded, when there is one.
  - What is not there, because an earlier step failed, is named and is not a failure.
  - Has to run before payload modules are unloaded, which clears the records of their events.
  - On a host that is not marked as a test host tracing is left on.
options:
  instance:
    description: Name of the trace instance; empty for the global buffer.
    type: str
    default: kedr
  events:
    description: Events as C(system:event), whose formats are collected.
    type: list
    elements: str
    default: []
  text:
    description:
      - Whether the trace is collected as the kernel's text. A trace that M(kedr.lab.stream) takes is not needed twice.
    type: bool
    default: true
seealso:
  - module: kedr.lab.trace
extends_documentation_fragment: kedr.lab.host
"""

EXAMPLES = r"""
- name: Collect the evidence
  kedr.lab.trace_collect:
    instance: kedr
    events:
      - my_payload1:called___kmalloc
"""

RETURN = r"""
taint:
  description: Taint of the kernel.
  returned: success
  type: int
modules:
  description: Modules loaded at that time.
  returned: success
  type: list
  elements: str
  sample: ["cp_controller"]
kedr_modules_present:
  description: Whether the controller is among them.
  returned: success
  type: bool
marker:
  description: Whether the kernel log still holds the line that begins this run, so that the kept log is the run's own.
  returned: success
  type: bool
trace_bytes:
  description: Size of the trace.
  returned: success
  type: int
counters:
  description: Number of events whose calls a payload counted.
  returned: success
  type: int
uptime:
  description: Seconds since boot.
  returned: success
  type: float
missing:
  description: What could not be collected because it is not there.
  returned: success
  type: list
  elements: str
  sample: ["report of call sites"]
"""
