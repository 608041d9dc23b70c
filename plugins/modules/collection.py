# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.collection; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: collection
short_description: Judge the hosts of a collection and write its table of records
version_added: 0.1.0
description:
  - Reads what C(<run_dir>/<host>/) holds of each host, writes its records as Parquet below C(<run_dir>/records), holds
    the counts of the ring buffer and of the payloads against the records that came, shows a table, and writes
    C(collection.json), which follows C(schemas/collection.schema.json). It connects to no host.
  - Makes the page C(timeline.html) of it and says where it is. A page that cannot be made is told and changes no
    verdict.
  - On each CPU the records generated must be those that came, those lost (overrun, commit overrun, dropped) and those
    left in the buffer, and together as many as the payloads count calls.
  - A verdict is V(OK), V(FAIL) (counts differ, records were lost, or modules or target misbehaved), V(CRASH)
    (the system died), V(INFRA) (lab, network or disk), V(SKIP) (not tried), or V(NO-RESULT) (evidence is missing).
  - Records that a buffer overwrote by choice are told and are no failure.
  - A guest of the embedded lab must live when it is judged first, so end the lab afterwards.
  - The task fails unless there is a host and every host is V(OK).
author: The kedr.lab authors (@kedr-lab)
options:
  run_dir:
    description: Directory of the run, as made by M(kedr.lab.run).
    type: path
    required: true
  hosts:
    description: Names of all hosts that must be judged. C(localhost) is left out.
    type: list
    elements: str
    required: true
  splats:
    description:
      - Which messages of a kernel show that something went wrong.
      - The default is C(data/splats.yml) of the collection.
    type: path
requirements:
  - The Python packages that C(requirements/collect.txt) of the collection names, on the control node.
attributes:
  check_mode:
    description:
      - Judges nothing, since a check makes no run.
      - Fails and names each host that did not come to the end of what can be foretold (C(kedr_foretold) is not true),
        with C(kedr_stopped) as the reason.
    support: full
  diff_mode:
    description: Shows what changes.
    support: none
seealso:
  - module: kedr.lab.run
  - module: kedr.lab.verdict
"""

EXAMPLES = r"""
- name: Judge every host of the collection
  kedr.lab.collection:
    run_dir: "{{ kedr_run.run_dir }}"
    hosts: "{{ groups['all'] }}"
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
verdicts:
  description: The verdict of each host.
  type: dict
  returned: when the collection was judged
  sample:
    debian13: OK
results_file:
  description: File with the results.
  type: str
  returned: when the collection was judged
records_dir:
  description: Directory of the table of records, partitioned by run and system.
  type: str
  returned: when the collection was judged
page_file:
  description: The page; empty when it could not be made.
  type: str
  returned: when the collection was judged
records:
  description: Number of records that came.
  type: int
  returned: when the collection was judged
lost:
  description: Number of records that were lost.
  type: int
  returned: when the collection was judged
"""
