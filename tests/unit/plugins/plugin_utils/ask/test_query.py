# SPDX-License-Identifier: GPL-3.0-or-later
"""A question that cannot be answered says why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..asked import refused


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["values", "--event", "kmaloc"], "no record of event 'kmaloc', did you mean 'called_kmalloc'"),
        (["values", "--event", "called_kmallok"], "did you mean 'called_kmalloc'"),
        (["values", "--event", "zzz"], "there are: called_copy, called_kfree, called_kmalloc"),
        (
            ["quantiles", "--event", "kmalloc", "--argument", "sise"],
            "called_kmalloc has no argument 'sise', did you mean 'size'?",
        ),
        (["unfreed", "--first", "kmalloc"], "--first and --then go together"),
        (["unfreed", "--first", "kmalloc:", "--then", "kfree:p"], "'kmalloc:' is not EVENT or EVENT:ARGUMENT"),
        (["between", "--first", "kmalloc", "--then", "kfree:q"], "called_kfree has no argument 'q'"),
        (["unfreed", "--where", "event=called_copy"], "name the events with --first and --then"),
        (
            ["diff", "--left", "kernel=5", "--right", "kernel=6.1"],
            "no record is chosen by --left; the table has kernel=6.1 ",
        ),
        (["sql", "-q", "select nothing from calls"], "nothing"),
        (["sql", "-q", "selec"], "syntax error"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(
    two_kernels: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    said = refused(capsys, words[0], two_kernels, *words[1:])
    assert said.startswith("kedr trace: error: ") and reason in said and said.count("\n") == 1


def test_directories_without_records_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no such directory" in refused(capsys, "counts", tmp_path / "nowhere")
    assert "no records here" in refused(capsys, "counts", tmp_path)


def test_a_broken_file_is_refused(two_kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next(two_kernels.rglob("*.parquet")).write_text("PAR1 no PAR1")
    assert ".parquet" in refused(capsys, "counts", two_kernels)


def test_a_library_that_is_missing_is_named_with_the_list_of_what_to_install(
    two_kernels: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert refused(capsys, "counts", two_kernels) == (
        "kedr trace: error: python3 has no module 'duckdb'; "
        "install what requirements/common.txt and collect.txt names\n"
    )
