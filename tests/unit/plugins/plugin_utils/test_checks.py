# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of an exercise, and names of trace events, instances and runs."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils import checks, tracing
from ansible_collections.kedr.lab.plugins.plugin_utils.action import StepError


def test_checks_are_read_and_other_lines_are_not() -> None:
    output = "hello\ncheck write ok\nchecking\ncheck read bad got 3 bytes\x1b[31m\n"
    assert checks.parse_checks(output) == [
        {"name": "write", "ok": True, "detail": ""},
        {"name": "read", "ok": False, "detail": "got 3 bytes\\x1b[31m"},
    ]


@pytest.mark.parametrize("line", ["check", "check x", "check x okay", "check x ok really"])
def test_a_line_that_only_begins_like_a_check_is_a_bad_one(line: str) -> None:
    found = checks.parse_checks(line)
    assert [check["ok"] for check in found] == [False]
    assert "malformed" in found[0]["detail"]


def test_events_become_paths() -> None:
    assert tracing.event_paths(["my_payload1:called_kfree", "sched:sched_switch"]) == [
        "my_payload1/called_kfree", "sched/sched_switch"]


@pytest.mark.parametrize("event", ["kfree", "a:b:c", "../x:y", "a:../b", "a/b:c", "a b:c", "a:b\n", ""])
def test_what_is_no_event_is_refused(event: str) -> None:
    with pytest.raises(StepError, match="no event"):
        tracing.event_paths([event])


@pytest.mark.parametrize("name", ["..", "a/b", "-x", ".x", "a b", "a\n"])
def test_what_cannot_name_an_instance_is_refused(name: str) -> None:
    with pytest.raises(StepError, match="cannot name"):
        tracing.instance_name(name)


def test_the_empty_name_is_the_global_buffer() -> None:
    assert tracing.instance_name("") == ""


def test_the_log_of_a_run_begins_with_its_last_marker() -> None:
    log = b"[1] old\n[2] kedr: run r1 begins\n[3] x\n[4] kedr: run r1 begins\n[5] y\n"
    assert tracing.log_of_run(log, "r1") == (b"[4] kedr: run r1 begins\n[5] y\n", True)
    assert tracing.log_of_run(log, "r2") == (log, False)
    assert tracing.log_of_run(log, "") == (log, False)
