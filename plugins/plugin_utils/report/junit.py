# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix as JUnit XML, for programs that show tests.

A system is a testsuite; its testcases are the steps and, last, the verdict.  What a host did wrong is a failure,
what kept it from being judged is an error, what was not tried is skipped.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from ..base.foreign import plain as clean
from .rows import Line, columns

_STEP = {"failed": "failure", "unreachable": "error", "refused": "skipped", "skipped": "skipped"}
_VERDICT = {"FAIL": "failure", "CRASH": "error", "INFRA": "error", "NO-RESULT": "error", "SKIP": "skipped"}
_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def junit(table: Sequence[Line]) -> str:
    """The text of junit.xml."""
    root = ET.Element("testsuites", name="kedr.lab")
    steps = columns(table)
    for line in table:
        root.append(_suite(line, steps))
    _count(root)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(line: Line, steps: Sequence[str]) -> ET.Element:
    suite = ET.Element("testsuite", name=clean(line.name, 255))
    result = line.result
    if result and result.get("finished"):
        suite.set("timestamp", result["finished"].rstrip("Z"))
    properties = ET.SubElement(suite, "properties")
    for name in ("system", "kernel", "arch", "compiler", "target"):
        if line.known(name):
            ET.SubElement(properties, "property", name=name, value=clean(line.known(name), 300))
    if not len(properties):
        suite.remove(properties)
    for step in steps if result else ():
        _step(suite, line, step)
    _verdict(_case(suite, line, "verdict", 0.0), line)
    _count(suite)
    return suite


def _case(suite: ET.Element, line: Line, name: str, seconds: float) -> ET.Element:
    classname = f"kedr.lab.{clean(line.name, 255)}"
    return ET.SubElement(suite, "testcase", classname=classname, name=clean(name, 100), time=f"{seconds:.3f}")


def _step(suite: ET.Element, line: Line, name: str) -> None:
    record = line.step(name)
    case = _case(suite, line, name, record["seconds"] if record else 0.0)
    if record is None:
        ET.SubElement(case, "skipped", message="not recorded: the run did not get there")
    elif record["status"] != "ok":
        message = clean(record["reason"] or "no reason given", 1000)
        ET.SubElement(case, _STEP[record["status"]], message=message)


def _verdict(case: ET.Element, line: Line) -> None:
    result = line.result
    if result is None:
        ET.SubElement(case, "skipped", message=clean(f"{line.verdict}: {line.about('why')}", 1000))
        return
    if line.bad:
        outcome = ET.SubElement(case, _VERDICT[line.verdict], message=clean(result["reason"], 1000))
        if outcome.tag != "skipped":
            outcome.set("type", line.verdict)
        outcome.text = f"again: {clean(result['reproduce'], 4000)}"
    evidence = [f"{one['outcome']} {one['source']}: {one['text']}" for one in result.get("evidence", ())]
    for tag, texts in (("system-out", evidence), ("system-err", result.get("console", ()))):
        if texts:
            ET.SubElement(case, tag).text = "\n".join(clean(text, 2000) for text in texts)


def _count(element: ET.Element) -> None:
    """Write into a suite, or into all of them, how many cases there are of each kind and how long they took."""
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    for attribute, tag in _COUNTED.items():
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    element.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")
