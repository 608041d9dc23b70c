# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of an exercise, and names of trace events, instances and runs."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.host import exercise, tracefs


def test_checks_are_read_and_other_lines_are_not() -> None:
    output = "hello\ncheck write ok\nchecking\ncheck read bad got 3 bytes\x1b[31m\n"
    assert exercise.parse_checks(output) == [
        {"name": "write", "ok": True, "detail": ""},
        {"name": "read", "ok": False, "detail": "got 3 bytes\\x1b[31m"},
    ]


@pytest.mark.parametrize("line", [
    "check", "check x", "check x okay", "check x ok really", " check b bad", "\tcheck b bad", "Check c bad",
    "CHECK c ok", "check\tx ok", "check  x ok", "check x\tok", "check x ok ", "check ok",
    "check  bad", "check x BAD", "check x OK", "check: x bad", "check_data bad", "- check x bad", "\0check x bad",
    "\x1b[31mcheck x bad", "copied... check x bad",
])
def test_a_line_that_is_like_a_check_but_is_not_one_is_a_bad_check_that_shows_it(line: str) -> None:
    found = exercise.parse_checks(f"check before ok\n{line}\n")
    assert [check["ok"] for check in found] == [True, False]
    assert found[1]["detail"].startswith("malformed line: ")
    assert line.strip("\0\x1b\t") .split("[31m")[-1] in found[1]["detail"]


@pytest.mark.parametrize("line", ["checking x ok", "checked 3 files", "checksum bad", "recheck", "ok", "all is well"])
def test_other_words_are_no_checks(line: str) -> None:
    assert exercise.parse_checks(line) == []


def test_a_check_that_comes_twice_is_kept_twice_and_a_bad_one_needs_no_detail() -> None:
    found = exercise.parse_checks("check a ok\ncheck a bad\r\ncheck a bad check b ok\n")
    assert [(check["ok"], check["detail"]) for check in found] == [(True, ""), (False, "bad"), (False, "check b ok")]


def test_events_become_paths() -> None:
    assert tracefs.event_paths(["my_payload1:called_kfree", "sched:sched_switch"]) == [
        "my_payload1/called_kfree", "sched/sched_switch"]


@pytest.mark.parametrize("event", ["kfree", "a:b:c", "../x:y", "a:../b", "a/b:c", "a b:c", "a:b\n", ""])
def test_what_is_no_event_is_refused(event: str) -> None:
    with pytest.raises(InputError, match="is not an event"):
        tracefs.event_paths([event])


@pytest.mark.parametrize("name", ["..", "a/b", "-x", ".x", "a b", "a\n"])
def test_what_cannot_name_an_instance_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name"):
        tracefs.instance_name(name)


def test_the_empty_name_is_the_global_buffer() -> None:
    assert tracefs.instance_name("") == ""


def test_the_log_of_a_run_begins_with_its_first_marker() -> None:
    log = b"[1] old\n<9>[2] kedr: run r1 begins\n[3] x\n[4] kedr: run r1 begins\n[5] y\n"
    assert tracefs.log_of_run(log, "r1") == (log.removeprefix(b"[1] old\n"), True)
    assert tracefs.log_of_run(log, "r2") == (log, False)
    assert tracefs.log_of_run(log, "") == (log, False)
