# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.stream; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: stream
short_description: Take the traces of many hosts at once
version_added: 0.1.0
description:
  - Speaks to all hosts of a run at once, from one process of the control node, and writes what their trace buffers
    give to C(<run_dir>/<host>/raw/) as it appears. To be run once for all hosts.
  - A round that is not O(final) ends when the first of its conditions is met. Tracing stays on and the files keep the
    ending C(.part), so that the target can be unloaded under observation.
  - The O(final) round turns tracing off, takes what is left in the buffers, and the counts, and gives the files their
    names.
  - A host in trouble ends only its own stream. The task does not fail then; C(stream.json) and C(steps.jsonl) of the
    host say what happened.
options:
  run_dir:
    description: Directory of the run on the control node.
    type: path
    required: true
  hosts:
    description: The hosts to stream from.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the host in the inventory, and of its directory.
        type: str
        required: true
      argv:
        description: The command line that reaches the host, as M(kedr.lab.reach) returns it.
        type: list
        elements: str
        required: true
      instance:
        description: Name of the trace instance on the host; empty for the global buffer.
        type: str
        required: true
      events:
        description: Events as C(system:event), whose formats are kept.
        type: list
        elements: str
        required: true
      files:
        description: Files of the control node that O(script) needs beside it on this host.
        type: list
        elements: path
  final:
    description: Whether this is the last round.
    type: bool
    default: false
  mode:
    description: How the watch is called in C(stream.json).
    type: str
    choices: [stream, snapshot]
    default: stream
  duration:
    description: Ends the round after so many seconds, counted from when all hosts stream.
    type: float
  events:
    description: Ends the round when so many records have come from all hosts together.
    type: int
  file:
    description: Ends the round when this path of the control node appears. A check refuses it when it is there.
    type: path
  end_file:
    description: The same, and a check does not mind that it is there.
    type: path
  command:
    description:
      - Shell command that runs on every host as soon as all hosts stream. The round ends when it has ended on all of
        them; when the round ends before, the command is ended.
      - What it prints is kept in C(command.txt) of the host, its exit status in C(stream.json).
    type: str
  script:
    description: The same with a script of the control node, which finds O(hosts[].files) in its working directory.
    type: path
  local_command:
    description:
      - Shell command that runs on the control node as soon as all hosts stream, with C(KEDR_RUN_DIR) and C(KEDR_HOSTS)
        in its environment. The round ends when it and the commands of the hosts have ended.
      - What it prints is kept in C(command.txt) of the run.
    type: str
attributes:
  check_mode:
    description: Refuses what could not end the round, and says from how many hosts it would stream.
    support: full
  diff_mode:
    description: Shows what changes.
    support: none
seealso:
  - module: kedr.lab.reach
  - module: kedr.lab.trace
author: The kedr.lab authors (@kedr-lab)
"""

EXAMPLES = r"""
- name: Watch for a minute
  kedr.lab.stream:
    run_dir: "{{ kedr_run.run_dir }}"
    hosts:
      - name: one
        argv: "{{ reached.argv }}"
        instance: kedr
        events:
          - my_payload1:called_kfree
    duration: 60
  run_once: true
"""

RETURN = r"""
ended_by:
  description: Which condition was met.
  returned: success
  type: str
  sample: 60 s are over
streams:
  description: What C(stream.json) of each host holds.
  returned: success
  type: dict
  sample: {"one": {"mode": "stream", "form": "pages", "packing": "zstd", "received": 81234, "records": {"cpu0": 20000},
    "complete": true, "error": ""}}
"""
