# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.trace; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: trace
short_description: Set up or take down a trace buffer on a test host
version_added: 0.1.0
description:
  - Mounts tracefs where it is not mounted, makes an instance, and enables events in it, in one round trip.
  - Kernels without instances use the global buffer; those without tracefs use debugfs.
  - The buffer is cleared when an event had to be enabled.
  - O(state=absent) puts back what O(state=present) changed outside of its instance, namely C(saved_cmdlines_size) and
    C(record-cmd), and for the global buffer clock, size, tracer, options and C(tracing_on). They are remembered in
    C(/run/kedr-trace-shared) and C(/run/kedr-trace-global) of the host; where there is no C(/run), and for a buffer
    whose processors had different sizes, they stay as they were set. A mounted tracefs stays mounted.
  - Every option that shapes the text of a record, such as C(stacktrace), C(fields) or C(latency-format), is set to a
    known value, since an instance begins with those that the host left on. Filters and triggers of the events, and
    lists of processes, that the buffer has already are refused.
  - Refused unless the inventory sets C(kedr_test_host=true) for the host.
options:
  state:
    description: Whether the trace buffer is to be there or not.
    type: str
    choices: [present, absent]
    default: present
  instance:
    description: Name of the trace instance; empty for the global buffer.
    type: str
    default: kedr
  events:
    description:
      - Events as C(system:event).
      - With O(state=absent) they are disabled, which matters for the global buffer.
    type: list
    elements: str
    default: []
  clock:
    description:
      - Clock of the records, one of those that the kernel offers.
      - V(auto) takes the first of V(boot), V(mono), V(tai) and V(global) that the kernel offers, else the one that is
        set. V(boot) and V(mono) never jump; V(tai) jumps whenever the clock of day is set.
    type: str
    default: mono
  overwrite:
    description:
      - Whether a full buffer loses its oldest records (a flight recorder) or the newest (the first failure).
      - The default is what the kernel has, which is the oldest.
    type: bool
  buffer_size_kb:
    description: Size of the buffer of each processor, in KiB. The global buffer is never made smaller.
    type: int
    default: 4096
  buffer_seconds:
    description:
      - Makes the buffer of each processor larger than O(buffer_size_kb) when it has to hold the records of so many
        seconds. The rate is the highest that the newest watch of this host measured (C(peak) in its
        C(stream.json)), looked for in the other runs beside O(run_dir); without one O(buffer_size_kb) is taken.
    type: float
  witness:
    description:
      - Whether the kernel's own memory events are recorded beside, in a second instance with C(-kmem) after its name,
        as far as modules cause them. M(kedr.lab.verdict) compares their number with that of the recorded calls.
      - Kernels that have no such events or no instances have no witness.
    type: bool
    default: false
  tracer:
    description: Tracer to run beside the events.
    type: str
    default: nop
seealso:
  - module: kedr.lab.trace_collect
extends_documentation_fragment: kedr.lab.host
attributes:
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Record what the payload sees
  kedr.lab.trace:
    instance: kedr
    events:
      - my_payload1:called___kmalloc
      - my_payload1:called_kfree

- name: Take the buffer down
  kedr.lab.trace:
    instance: kedr
    state: absent
"""

RETURN = r"""
tracing_dir:
  description: Directory of the buffer on the host, empty when there is no tracing.
  returned: success
  type: str
  sample: /sys/kernel/tracing/instances/kedr
witness:
  description: The kernel's own events that are recorded beside.
  returned: success
  type: list
  elements: str
  sample: ["kmem:kmalloc", "kmem:kfree"]
instance:
  description: Whether it is an instance and not the global buffer.
  returned: success
  type: bool
overwrite:
  description: What was asked for; null when nothing was.
  returned: success
  type: bool
events:
  description: The events asked for.
  returned: success
  type: list
  elements: str
  sample: ["my_payload1:called_kfree"]
changes:
  description: What had to be changed.
  returned: success
  type: list
  elements: str
  sample: ["instance kedr", "trace_clock", "event my_payload1:called_kfree"]
"""
