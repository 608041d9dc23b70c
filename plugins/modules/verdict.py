# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.verdict; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: verdict
short_description: Judge the hosts of a run by the evidence in its directory
version_added: 0.1.0
description:
  - Judges every host by what C(<run_dir>/<host>/) holds, and shows a table. It connects to no host.
  - Of a verify it writes C(results.json) and its reports C(report.html), C(report.md) and C(junit.xml), and
    C(verdict.json) of each host.
  - Of a watch it writes the records as Parquet below C(<run_dir>/records), the accounts C(watch.json), which follow
    C(schemas/watch.schema.json), and the page C(timeline.html). A page that cannot be made is told and changes no
    verdict. On each CPU the records generated must be those that came, those lost (overrun, commit overrun, dropped)
    and those left in the buffer, and together as many as the payloads count calls. Records that a buffer overwrote by
    choice are told and are not a failure.
  - A verdict is V(OK), V(FAIL) (modules or target misbehaved, or records were lost), V(CRASH) (the system
    died), V(INFRA) (lab or network), V(SKIP) (not tried), or V(NO-RESULT) (evidence is missing). Missing evidence is
    never V(OK), and neither is a host that left no directory.
  - A guest of the embedded lab must live when it is judged first, so end the lab afterwards. One that does not
    is V(CRASH), or V(INFRA) when it was not running when the run began.
  - The task fails unless there is a host and every host is V(OK).
author: The kedr.lab authors (@kedr-lab)
options:
  run_dir:
    description: Directory of the run, as made by M(kedr.lab.run).
    type: path
    required: true
  hosts:
    description:
      - Names of all hosts that must be judged. C(localhost) is left out.
      - Letters, digits, C(.), C(_) and C(-), since a name is the name of a directory.
    type: list
    elements: str
    required: true
  kind:
    description: What the run was. A target is exercised in a verify, and used by others in a watch.
    type: str
    choices: [verify, watch]
    default: verify
  expect:
    description:
      - What the trace of every host of a verify must show.
      - Without it each host is judged by the file that C(run.json) names for it, which M(kedr.lab.run) takes from the
        host's variable C(kedr_expect). The default of that is C(data/expect/<kedr_target>.yml) of the collection.
    type: path
  splats:
    description:
      - Which messages of a kernel show that something went wrong.
      - The default is C(data/splats.yml) of the collection.
    type: path
  reproduce:
    description:
      - Command that the results of a verify name for repeating a host, with C({host}) in place of the host's name.
      - The default is the environment variable E(KEDR_REPRODUCE) of the control node, of which everything
        after a name that contains C(pass), C(secret), C(key) or C(token) and has a value is left out.
      - Without both it is the command line in C(run.json), with C(--limit) for the host.
    type: str
    default: ""
requirements:
  - For a watch, the Python packages that C(requirements/collect.txt) of the collection names, on the control node.
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
"""

EXAMPLES = r"""
- name: Judge every host
  kedr.lab.verdict:
    run_dir: "{{ kedr_run.run_dir }}"
    hosts: "{{ groups['all'] }}"
  run_once: true
  delegate_to: localhost

- name: Judge every host of a watch
  kedr.lab.verdict:
    run_dir: "{{ kedr_run.run_dir }}"
    hosts: "{{ groups['all'] }}"
    kind: watch
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
verdicts:
  description: The verdict of each host.
  type: dict
  returned: when the run was judged
  sample:
    debian13: OK
results_file:
  description: File with the results, which follow C(schemas/results.schema.json), or C(schemas/watch.schema.json).
  type: str
  returned: when the run could be judged
results:
  description: What the file holds.
  type: list
  elements: dict
  returned: for a verify in which every host is OK
table:
  description: The table that was shown.
  type: str
  returned: for a verify in which every host is OK
records_dir:
  description: Directory of the table of records, partitioned by run and system.
  type: str
  returned: for a watch
page_file:
  description: The page; empty when it could not be made.
  type: str
  returned: for a watch
records:
  description: Number of records that came.
  type: int
  returned: for a watch
lost:
  description: Number of records that were lost.
  type: int
  returned: for a watch
"""
