# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/fresh/fresh.py: what it takes over from this machine for a system that has nothing."""

from __future__ import annotations

import os

import fresh
import pytest

URIS = """'http://mirror/debian/dists/bookworm/InRelease' mirror_debian_dists_bookworm_InRelease 0
'http://mirror/debian/dists/bookworm-updates/InRelease' x 0
'https://other/security/dists/bookworm-security/InRelease' x 0
'http://mirror/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0
"""
BOOKWORM = {"ID": "debian", "VERSION_CODENAME": "bookworm"}


def test_the_mirrors_of_this_machine_serve_every_release_of_its_distribution() -> None:
    known = fresh.repositories(URIS)
    assert fresh.sources("debian13", BOOKWORM, known, "") == [
        "deb http://mirror/debian trixie main",
        "deb http://mirror/debian trixie-updates main",
        "deb https://other/security trixie-security main",
    ]


def test_a_system_of_another_distribution_has_a_mirror_that_is_named_or_none() -> None:
    known = fresh.repositories(URIS)
    with pytest.raises(fresh.UnusableError, match="so no mirror is known; name one in FRESH_MIRROR_UBUNTU"):
        fresh.sources("ubuntu24.04", BOOKWORM, known, "")
    assert fresh.sources("ubuntu24.04", BOOKWORM, known, "http://u")[0] == "deb http://u noble main universe"
    assert fresh.sources("debian12", {"ID": "ubuntu", "VERSION_CODENAME": "noble"}, {"noble": "http://u"}, "") == []


def test_how_mirrors_are_reached_is_taken_from_apt_and_nothing_else() -> None:
    dump = 'Acquire::http::Proxy "http://p:1/";\nAcquire::Check-Date "false";\nAPT::Architecture "x";\nAcquire "";\n'
    assert fresh.apt_options(dump) == ['Acquire::http::Proxy "http://p:1/";', 'Acquire::Check-Date "false";']


def test_folders_that_pip_is_told_of_are_seen_and_of_an_index_also_its_files() -> None:
    listed = "global.extra-index-url='file:///srv/a/simple file:///srv/b/simple/'\nglobal.find-links='/srv/wheels'\n"
    listed += "global.timeout='3'\nglobal.index-url='https://host/simple'\n"
    assert fresh.pip_places(listed) == ["/srv/a", "/srv/b", "/srv/wheels"]


def test_the_release_of_a_system_is_read() -> None:
    assert fresh.os_release('ID=debian\nVERSION_CODENAME="bookworm"\n') == BOOKWORM


def test_a_word_that_is_not_a_part_is_refused() -> None:
    assert fresh.chosen("", ["a", "b"], "part") == ["a", "b"]
    with pytest.raises(SystemExit, match="there is no part c; there are: a b"):
        fresh.chosen("b c", ["a", "b"], "part")


def test_a_tree_is_made_once_and_what_other_weeks_and_killed_runs_left_is_removed(tmp_path, monkeypatch) -> None:
    answers = {"apt-get": URIS, "apt-config": ""}
    monkeypatch.setattr(fresh, "output", lambda *words: answers[words[0]])
    made = []

    def make_base(system, command, lines, final) -> None:
        final.mkdir()
        made.append(command[-1])

    monkeypatch.setattr(fresh, "make_base", make_base)
    running = f"debian12.{os.getpid()}"
    for name in ("debian12-old", "debian12-old.part", "debian12.999999999", running, "debian13-other"):
        (tmp_path / "fresh" / name).mkdir(parents=True)
    first = fresh.base("debian12", tmp_path, "")
    assert fresh.base("debian12", tmp_path, "") == first
    assert made == ["bookworm"]
    kept = {running, "debian12.lock", "debian13-other", first.name}
    assert {path.name for path in (tmp_path / "fresh").iterdir()} == kept
