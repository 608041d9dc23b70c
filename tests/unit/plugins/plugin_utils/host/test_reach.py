# SPDX-License-Identifier: GPL-3.0-or-later
"""A command in its place runs as if it stood there alone, however many shells it passes through."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell
from ansible_collections.kedr.lab.plugins.plugin_utils.host.reach import PLACE, command_line


def through_shells(depth: int) -> list[str]:
    """A command line with the place inside so many shells, each quoted for the next as Ansible does."""
    inner = PLACE
    for _shell in range(depth):
        inner = f"/bin/sh -c {shlex.quote(inner)}"
    return ["/bin/sh", "-c", inner]


@pytest.mark.parametrize("depth", range(4))
def test_a_framed_program_answers_through_any_number_of_shells(depth: int) -> None:
    call = shell.frame('value said "$k_word"\ntar tf - | text names\n', {"k_word": "a 'b' \"$c\""},
                       shell.make_tar({"x": b"1"}))
    done = subprocess.run(command_line(through_shells(depth), call.command), input=call.stdin, capture_output=True,
                          check=True, timeout=60)  # fmt: skip
    answer = shell.parse(done.stdout, call.nonce)
    assert (answer.one("said"), answer.text("names")) == ("a 'b' \"$c\"", "x\n")


def test_the_place_is_quoted_by_whoever_quotes() -> None:
    assert shlex.quote(PLACE) == f"'{PLACE}'"


@pytest.mark.parametrize(("argv", "command", "words"), [
    (["ssh", "host"], "true", "no place"),
    (["ssh", PLACE, PLACE], "true", "no place"),
    (["ssh", PLACE], shlex.quote("it's"), "single quote"),
])
def test_what_cannot_be_put_in_place_is_refused(argv: list[str], command: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        command_line(argv, command)
