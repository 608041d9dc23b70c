# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of faults in docs/honesty.md is that of the list by which they are put in."""

from __future__ import annotations

from collections import Counter

import evidence
import faults
import pytest

BY_EVIDENCE = ("stored", "sent", "expected", "pages")


def test_the_page_shows_every_fault_of_the_list() -> None:
    assert faults.filled(faults.PAGE.read_text()) == faults.PAGE.read_text(), "run: python tests/honesty/faults.py"


def test_every_fault_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(fault.id for fault in faults.faults()).items() if count > 1] == []


def test_every_way_of_damaging_evidence_is_known_and_used() -> None:
    used = {fault.way for place in BY_EVIDENCE for fault in faults.faults(place)}
    every = {"every_denied_line", "every_panic_line", "every_allowed_line"}
    assert used == set(evidence.WAYS) | every


@pytest.mark.parametrize("place", faults.PLACES)
def test_faults_are_put_in_everywhere(place: str) -> None:
    assert faults.faults(place)
    assert any(fault.verdict != "OK" for fault in faults.faults(place))


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"honesty\.md"):
        faults.filled("# a page\n")
