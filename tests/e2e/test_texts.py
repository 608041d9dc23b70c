# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts in records, on a real kernel: missing, long, without an end, and given away by the call."""

from __future__ import annotations

import pathlib
import re

from guests import Lab, Verify

FILES = pathlib.Path(__file__).parent / "files" / "texts"


def test_texts_are_recorded_as_they_were_before_the_call_and_never_read_too_far(lab: Lab, verify: Verify) -> None:
    run = verify(
        lab, limit="one", kedr_target="texts", kedr_target_source=str(FILES),
        kedr_payloads=[str(FILES / "texts.data")], kedr_exercise=str(FILES / "exercise.sh"),
        kedr_expect=str(FILES / "expect.yml"),
    )  # fmt: skip
    assert run.results["one"]["verdict"] == "OK", run.output
    trace = (run.directory / "one" / "trace.txt").read_text()
    assert re.findall(r": called_\w+: (.*)", trace) == [
        "kstrdup('given away'), result: 'given away'",
        "krealloc('given away', 4000), result: 'given away'",
        "kfree('given away')",
        "kstrdup('(null)'), result: '(null)'",
        "kfree('(null)')",
        f"kmemdup('{'x' * 16}', 16)",
        f"kfree('{'x' * 16}')",
        f"kstrdup('{'y' * 127}'), result: '{'y' * 127}'",
        f"kfree('{'y' * 16}')",
        f"kfree('{'y' * 16}')",
    ]
