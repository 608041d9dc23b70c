# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of pairs of events: its mistakes, and the one that is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.ask import pairs
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError

ROOT = Path(paths.ROOT)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pairs: 1", "must be a list"),
        ("pairs: [{name: a, first: {}, then: {e: p}}]", "no event is named here"),
        ("pairs: [{name: a, first: {e: 'x y'}, then: {e: p}}]", "must be a name"),
        ("pairs: [{name: a, first: {1: p}, then: {e: p}}]", "is not the name of an event"),
        ("pairs: [{name: a, first: {e: p}}]", "'then' is missing"),
    ],
)
def test_mistakes_in_a_list_of_pairs_are_named_with_their_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "pairs.yml").write_text(text)
    with pytest.raises(InputError, match=rf"pairs.yml:1: .*{reason}"):
        pairs.load(str(tmp_path / "pairs.yml"))


def test_every_event_of_the_default_pairs_is_one_that_a_payload_records() -> None:
    recorded: dict[str, set[str]] = {}
    for path in [*(ROOT / "data").glob("*.data"), *(ROOT / "data" / "common").glob("*.data")]:
        function = ""
        for key, _equals, value in (line.partition("=") for line in path.read_text().splitlines()):
            if key.strip() == "function.name":
                function = f"called_{value.strip()}"
            elif key.strip() == "trace.param.name":
                recorded.setdefault(function, set()).add(value.strip().replace("returnValue", pairs.RESULT))
    for pair in pairs.load():
        for event, argument in [*pair.first.items(), *pair.then.items()]:
            assert argument in recorded[event], event
