# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of the lab."""

from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.files import write_file
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.places import cache_root, is_inside, private_dir


@pytest.mark.parametrize(
    ("path", "inside"), [("d/x", True), ("d", False), ("d/../x", False), ("dx", False), ("d/link/x", False)]
)
def test_what_is_inside_a_directory_is_known_with_its_links_followed(tmp_path, path, inside):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/link").symlink_to(tmp_path)
    assert is_inside(str(tmp_path / path), str(tmp_path / "d")) is inside


def test_the_cache_is_the_option_then_the_environment_then_home():
    both = {"KEDR_CACHE": "/c", "XDG_CACHE_HOME": "/x"}
    assert cache_root("/o", both) == "/o"
    assert cache_root("", both) == "/c"
    assert cache_root("", {"XDG_CACHE_HOME": "/x"}) == "/x/kedr-lab"
    assert cache_root("", {}) == os.path.expanduser("~/.cache/kedr-lab")


def test_private_files_and_directories_are_closed_to_others(tmp_path):
    directory = private_dir(str(tmp_path / "a" / "b"))
    write_file(directory + "/f", b"text")
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(directory + "/f").st_mode) == 0o600
    assert os.listdir(directory) == ["f"]


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KedrError, match="cannot make the directory"):
        private_dir(str(tmp_path / "file" / "x"))
