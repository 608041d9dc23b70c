# SPDX-License-Identifier: GPL-3.0-or-later
"""A new way of making an image is a class and a line in the list."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cache import FILES, ensure_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.interface import ImageSpec
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.ways import WAYS, load_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.spec import GuestSpec

IMAGE = {"paper": {"release": "6.1"}}


@dataclass(frozen=True)
class PaperSpec(ImageSpec):
    """An image whose files hold its release."""

    release: str

    @classmethod
    def load(cls, data, mirror=()):
        return cls(data["release"])

    @property
    def key(self):
        return f"paper-{self.release}"

    def make(self, work, cache, progress, there):
        if there:
            return None
        for name in FILES.values():
            pathlib.Path(work, name).write_text(self.release)
        return {"release": self.release}


@pytest.fixture(autouse=True)
def way(monkeypatch):
    monkeypatch.setitem(WAYS, "paper", PaperSpec)


def test_an_image_made_a_new_way_is_an_image_of_the_cache(tmp_path):
    told: list[str] = []
    image = ensure_image(load_image(IMAGE), str(tmp_path), told.append)
    assert [pathlib.Path(image[what]).read_text() for what in ("tree", "kernel", "disk")] == ["6.1"] * 3
    assert (image["key"], image["format"], image["cached"]) == ("paper-6.1", "raw", False)
    assert told[-1].startswith("image paper-6.1: ready after") and told[-1].endswith("kernel 6.1")


def test_refresh_keeps_an_image_that_is_still_right(tmp_path):
    first = ensure_image(load_image(IMAGE), str(tmp_path), print)
    again = ensure_image(load_image(IMAGE), str(tmp_path), print, refresh=True)
    assert (again["cached"], again["built"]) == (True, first["built"])
    assert [path.name for path in (tmp_path / "images").iterdir() if path.is_dir()] == ["paper-6.1"]


def test_a_guest_takes_an_image_made_a_new_way():
    guest = GuestSpec.load({"name": "g", "image": IMAGE, "cmdline": "quiet", "module_key": True}, {})
    assert (guest.image, guest.network) == (PaperSpec("6.1"), "restricted")


@pytest.mark.parametrize("more", [{"suite": "sid"}, {"cloud": {"url": "https://h/a"}}])
def test_one_image_is_made_one_way(more):
    with pytest.raises(InputError, match="goes with no other option"):
        load_image({**IMAGE, **more})
