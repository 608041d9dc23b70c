# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports say what was judged, and what a host says can neither forge nor break them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils import report
from hypothesis import given
from hypothesis import strategies as st


def result(**more: Any) -> dict[str, Any]:
    row = {
        "host": "debian13",
        "system": "Debian GNU/Linux 13 (trixie)",
        "kernel": "6.12.107+deb13-amd64",
        "arch": "x86_64",
        "verdict": "OK",
        "reason": "all 9 checks hold",
        "events": {"called_up": 3, "called_kfree": 4},
        "sites": {"up": {"call": 1, "jmp": 1, "expected": 2}, "kfree": {"call": 1, "jmp": 0, "expected": 2}},
        "durations": {"load": 1.25, "build": 3.5},
        "reproduce": "ansible-playbook verify.yml --limit debian13",
        "evidence": [{"outcome": "ok", "source": "trace.txt", "text": "7 records"}],
        "unresolved": [],
        "console": [],
    }
    return {**row, **more}


def test_the_table_has_a_line_for_each_host_and_a_sum() -> None:
    lines = report.table([result(), result(host="b", verdict="CRASH", console=["Kernel panic"])]).splitlines()
    assert lines[0].split() == list(report.HEADINGS)
    assert lines[2].split() == [
        "debian13", "Debian", "GNU/Linux", "13", "(trixie)", "6.12.107+deb13-amd64", "x86_64", "OK", "7", "3/4", "4.8",
    ]  # fmt: skip
    assert "debian13: OK: all 9 checks hold" in lines
    assert "  ok      trace.txt: 7 records" in lines
    assert "    | Kernel panic" in lines
    assert lines[-1] == "2 hosts: 1 OK, 1 CRASH"


def test_what_is_not_known_is_a_dash() -> None:
    empty = result(system="", kernel="", arch="", sites={}, events={}, durations={})
    assert report.row(empty) == ("debian13", "-", "-", "-", "OK", "0", "-", "0.0")


def test_only_a_host_that_is_not_ok_names_the_command_that_repeats_it() -> None:
    assert "again: " not in report.table([result()])
    assert "again: ansible-playbook" in report.table([result(verdict="FAIL")])


def test_evidence_can_be_left_out() -> None:
    assert "7 records" not in report.table([result()], evidence=False)


@pytest.mark.parametrize(("count", "said"), [(0, "no host was judged"), (1, "1 host: 1 OK"), (2, "2 hosts: 2 OK")])
def test_the_sum_counts_hosts(count: int, said: str) -> None:
    assert report.summary([result()] * count) == said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ✓", "plain ✓"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\tc", "a\\nb c"),
        ("\udcff", "\\xff"),
        ("a\u202eb", "a\\u202eb"),
        ("12345678901", "1234567890…"),
    ],
)
def test_what_is_not_printable_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert report.clean(text, 10) == shown


@given(st.text(st.characters()))
def test_no_text_adds_a_line_or_a_cell(text: str) -> None:
    rows = [result(host=text, system=text, kernel=text, reason=text, reproduce=text, verdict="FAIL")]
    table, clean = report.table(rows), report.table([result(verdict="FAIL")])
    assert len(table.split("\n")) == len(clean.split("\n"))
    assert table.replace("\n", "").isprintable()
    (line,) = [line for line in report.markdown(rows).split("\n") if line.startswith("| ")][2:]
    borders = [index for index, char in enumerate(line) if char == "|" and line[index - 1] != "\\"]
    assert len(borders) >= len(report.HEADINGS) + 1
    assert "<" not in line
