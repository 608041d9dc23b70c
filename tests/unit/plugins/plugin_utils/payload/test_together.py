# SPDX-License-Identifier: GPL-3.0-or-later
"""Data files that are loaded together: what two of them may not both claim."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.lint import line_of
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import Problem
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.read import read_payload
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.together import conflicts, read_together
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.data_texts import GOOD, changed

GLOBALS = "module.name = {}\nmodule.author = Some Author\nmodule.license = GPL\n"  # lines 1 to 3
FREE = "[group]\nfunction.name = {}\nreturnsVoid = yes\ntrace.formatString = free()\n"  # lines 4 to 7


def told(one: str, two: str) -> list[Problem]:
    """What is wrong about two descriptions that are loaded together."""
    return conflicts([read_payload(one.encode(), "dir/a.data").claims, read_payload(two.encode(), "b.data").claims])


def test_the_shipped_descriptions_can_be_loaded_together() -> None:
    payloads, problems, _readable = read_together(sorted(glob.glob(paths.data("*.data"))))
    assert problems == []
    assert sorted(function.name for payload in payloads for function in payload.functions) == sorted(
        "__kmalloc kfree kmem_cache_alloc kmem_cache_free copy_from_user copy_to_user "
        "down down_interruptible down_killable down_trylock down_timeout up".split()
    )


def test_payloads_loaded_together_have_functions_of_their_own() -> None:
    (problem,) = told(GOOD, changed("my_pay", "other"))
    assert str(problem) == (
        "b.data:5: function 'kstrdup' is already in dir/a.data:5; one function can be replaced by one payload only"
    )


def test_payloads_loaded_together_have_names_of_their_own() -> None:
    (problem,) = told(GOOD, changed("kstrdup", "kmemdup"))
    assert str(problem) == "b.data:1: module.name 'my_pay' is also that of dir/a.data; give each payload its own"


def test_two_files_with_one_function_or_one_module_are_told_even_if_both_have_other_mistakes(tmp_path: Path) -> None:
    one, two = tmp_path / "one.data", tmp_path / "two.data"
    one.write_text(GLOBALS.format("same") + FREE.format("kfree") + "oops\n")
    two.write_text("# a comment\n" + GLOBALS.format("same").replace("GPL", "none") + FREE.format("kfree"))
    _payloads, problems, readable = read_together([str(one), str(two)])
    assert readable
    assert [(os.path.basename(problem.path), problem.line) for problem in problems] == [
        ("one.data", 8),
        ("two.data", 4),
        ("two.data", 2),
        ("two.data", 6),
    ]
    assert problems[2].text == f"module.name 'same' is also that of {one}; give each payload its own"
    assert problems[3].text.startswith(f"function 'kfree' is already in {one}:5; ")


def test_a_file_that_is_named_twice_is_no_conflict(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text(GLOBALS.format("a") + FREE.format("kfree"))
    (tmp_path / "b.data").symlink_to("a.data")
    payloads, problems, _readable = read_together([str(tmp_path / "a.data"), str(tmp_path / "b.data")])
    assert (len(payloads), problems) == (1, [])


def test_files_without_a_module_are_no_conflict_about_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("module.author = x\nmodule.license = GPL\n" + FREE.format(name))
    _payloads, problems, _readable = read_together([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [problem.text.split(" before")[0] for problem in problems] == ["'module.name' is missing"] * 2


def test_a_path_with_a_nul_byte_is_a_readable_error() -> None:
    _payloads, problems, readable = read_together(["a\0b"])
    assert not readable
    assert line_of(problems[0]) == "a\\x00b: error: cannot be read: embedded null byte"
