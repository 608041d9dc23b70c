# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories are believed only where nobody else could change what they hold."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import ownership
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError

OTHER = 12345


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Callable[[pathlib.Path, int], None]:
    """Says that a path belongs to another user, as only root could make it."""
    real, owners = os.lstat, {}

    def lstat(path: str) -> os.stat_result:
        state = list(real(path))
        state[4] = owners.get(str(path), state[4])
        return os.stat_result(state)

    monkeypatch.setattr(os, "lstat", lstat)
    return lambda path, uid: owners.update({str(path): uid})


def test_a_private_directory_and_one_that_is_not_there_yet_are_taken(tmp_path: pathlib.Path) -> None:
    ownership.check(str(tmp_path), "the cache")
    ownership.check(str(tmp_path / "a/b"), "the cache")


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777])
def test_a_directory_that_others_can_write_to_is_refused_with_the_remedy(tmp_path: pathlib.Path, mode: int) -> None:
    place = tmp_path / "cache"
    place.mkdir()
    place.chmod(mode)
    with pytest.raises(KedrError, match=f"chmod go-w {place}"):
        ownership.check(str(place), "the cache")


def test_a_directory_of_another_user_is_refused(tmp_path: pathlib.Path, owner: Callable) -> None:
    owner(tmp_path, OTHER)
    with pytest.raises(KedrError, match=f"the cache {tmp_path} belongs to user {OTHER}"):
        ownership.check(str(tmp_path), "the cache")


def test_a_link_that_another_user_made_is_refused_though_it_leads_to_a_directory_of_ours(
    tmp_path: pathlib.Path, owner: Callable
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    ownership.check(str(link), "the cache")
    owner(link, OTHER)
    with pytest.raises(KedrError, match=f"belongs to user {OTHER}"):
        ownership.check(str(link), "the cache")


def test_a_place_that_everybody_can_replace_is_refused_unless_it_is_sticky(tmp_path: pathlib.Path) -> None:
    above = tmp_path / "open"
    above.mkdir()
    above.chmod(0o777)
    with pytest.raises(KedrError, match="which every user can change"):
        ownership.check(str(above / "cache"), "the cache")
    above.chmod(0o1777)
    ownership.check(str(above / "cache"), "the cache")


@pytest.mark.parametrize(("uid", "sudo", "expected"), [
    (0, "1000", {0, 1000}), (0, "", {0}), (0, "x", {0}), (1000, "1001", {0, 1000}),
])
def test_root_believes_who_called_it_through_sudo(
    monkeypatch: pytest.MonkeyPatch, uid: int, sudo: str, expected: set[int]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setenv("SUDO_UID", sudo)
    assert ownership.ours() == expected


def test_a_directory_is_made_for_its_owner_only_whatever_the_umask_is(tmp_path: pathlib.Path) -> None:
    before = os.umask(0)
    try:
        ownership.make(str(tmp_path / "a/b"))
        ownership.make(str(tmp_path / "c/d"), 0o755)
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "c", "c/d")]
    assert modes == [0o700, 0o700, 0o755, 0o755]
