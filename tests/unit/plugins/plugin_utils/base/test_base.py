# SPDX-License-Identifier: GPL-3.0-or-later
"""Files whole or not at all, tables, near words, and errors that name what they are about."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import steps
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError, InputError, Problem, about
from ansible_collections.kedr.lab.plugins.plugin_utils.base.files import (
    append_file,
    read_file,
    read_json,
    whole_file,
    write_file,
)
from ansible_collections.kedr.lab.plugins.plugin_utils.base.near import did_you_mean, near, nearest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.table import table


def test_a_file_is_for_its_owner_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_file(str(tmp_path / "x"), "é\udc80")
    assert (tmp_path / "x").read_bytes() == "é".encode() + b"\x80"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["x"]


def test_a_file_that_others_may_read_heeds_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with whole_file(str(tmp_path / "x"), 0o666) as stream:
            stream.write(b"text")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_file_that_was_not_written_to_its_end_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(str(tmp_path / "x")) as stream:
        stream.write(b"new")
        raise KeyboardInterrupt
    assert ((tmp_path / "x").read_text(), os.listdir(tmp_path)) == ("old", ["x"])


def test_a_file_that_cannot_be_written_is_named_and_not_its_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_file(str(tmp_path / "no" / "x"), "")
    assert caught.value.filename == str(tmp_path / "no" / "x")


def test_what_does_not_fit_on_the_disk_is_not_appended_in_part(tmp_path: Path) -> None:
    path = tmp_path / "x"
    append_file(str(path), "first\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(OSError, match="No space left on device"):
            append_file(str(path), "second\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "first\n"


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(11))
    assert read_file(str(tmp_path / "x"), 11) == bytes(11)
    with pytest.raises(ForeignError, match="x: has more than 10 bytes"):
        read_file(str(tmp_path / "x"), 10)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not valid JSON"),
        ('{"a": 1, "a": 2}', "a key stands twice in it"),
        ('{"a": NaN}', "NaN is not a number"),
        ("[" * 100_000, "is not valid JSON"),
        ("[]", "does not hold a JSON object"),
    ],
)
def test_json_that_is_damaged_or_says_two_things_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ForeignError, match=rf"/x\.json: .*{said}"):
        read_json(str(tmp_path / "x.json"))


def test_an_error_names_what_it_is_about_and_its_kind_stays() -> None:
    with pytest.raises(InputError) as mistakes, about("box"):
        raise InputError(Problem("a.yml", 3, "wrong"), "more")
    assert str(mistakes.value) == "box: a.yml:3: wrong\nbox: more"
    with pytest.raises(ForeignError) as foreign, about("box"), about("stats.txt"):
        raise ForeignError("no count", "line 3")
    assert (foreign.value.source, foreign.value.reason) == ("box", "stats.txt: line 3: no count")
    with pytest.raises(ForeignError, match=r"^x: cannot be read: No such file or directory$"), about("x"):
        open("/nowhere/x").close()


def test_a_source_that_is_named_already_is_not_named_twice() -> None:
    with pytest.raises(ForeignError, match=r"^a: wrong$"), about("a"), about("a"):
        raise ForeignError("wrong")


def test_words_that_were_probably_meant_are_found_whatever_their_case() -> None:
    assert near("KFREE", ["kfree", "kmalloc", "vfree"], 2) == ["kfree", "vfree"]
    assert (nearest("vfre", ["kmalloc", "vfree"]), nearest("x", ["kmalloc"])) == ("vfree", "")
    assert did_you_mean("a", "b") == ", did you mean 'a' or 'b'?"
    assert did_you_mean("") == did_you_mean() == ""


def test_a_table_has_columns_as_wide_as_their_widest_cell_and_numbers_on_the_right() -> None:
    assert table(["host", "records"], [["a", "1"], ["longer", "22"]], [False, True]) == [
        "host    records",
        "------  -------",
        "a             1",
        "longer       22",
    ]


def test_a_step_without_a_reason_is_ok() -> None:
    assert steps.outcome("INFRA", "") == ("ok", "", "")
    assert steps.outcome("INFRA", "no host") == ("failed", "INFRA", "no host")
