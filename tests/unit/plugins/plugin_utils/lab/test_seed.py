# SPDX-License-Identifier: GPL-3.0-or-later
"""The seed of a guest, and what cloud-init says of itself."""

from __future__ import annotations

import stat

import pytest
import yaml
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.seed import make_seed, read_finished, seed_files
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.ssh import make_ssh_key


@pytest.fixture
def keys(tmp_path):
    """Host key, its public half, the lab's public key."""
    make_ssh_key(str(tmp_path / "host"), "host")
    make_ssh_key(str(tmp_path / "lab"), "lab")
    return [(tmp_path / name).read_bytes() for name in ("host", "host.pub", "lab.pub")]


def test_the_seed_says_who_the_guest_is_and_which_keys_count(keys) -> None:
    files = seed_files("one", *keys)
    assert files["user-data"].startswith(b"#cloud-config\n")
    user = yaml.safe_load(files["user-data"])
    assert user["ssh_keys"]["ed25519_private"].encode() == keys[0]
    assert user["ssh_authorized_keys"] == [keys[2].decode().strip()]
    assert (user["disable_root"], user["ssh_pwauth"], user["ssh_deletekeys"]) == (False, False, True)
    assert user["runcmd"][0][-1] == "kedr-lab: guest one is ready for logins"
    meta = yaml.safe_load(files["meta-data"])
    assert meta["local-hostname"] == "one"
    assert meta["instance-id"] != yaml.safe_load(seed_files("one", *keys)["meta-data"])["instance-id"]


def test_the_seed_is_a_disk_with_cloud_inits_label_that_only_its_owner_reads(keys, tmp_path) -> None:
    path = tmp_path / "seed.iso"
    path.write_bytes(b"old")
    make_seed(str(path), seed_files("one", *keys))
    data = path.read_bytes()
    assert data[32769:32774] == b"CD001"
    assert data[32808:32840].rstrip() == b"cidata"
    assert b"ssh_authorized_keys" in data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(item.name for item in tmp_path.iterdir() if "seed" in item.name) == ["seed.iso"]


def test_what_cloud_init_says_of_itself_is_read() -> None:
    said = '6.12.1-amd64\n{"v1": {"datasource": "DataSourceNoCloud", "errors": ["(\'x\', ValueError())"]}}\n'
    assert read_finished(said) == ("6.12.1-amd64", ["('x', ValueError())"])


@pytest.mark.parametrize("said", ["", "6.12.1-amd64\n", "6.12.1\n{}", "6.12.1\n[1]", '6.12.1\n{"v1": {}}'])
def test_a_cloud_init_that_is_not_done_is_not_taken_for_done(said) -> None:
    with pytest.raises(KedrError, match="did not say that it is done"):
        read_finished(said)


@pytest.mark.parametrize("said", ["", "6.1\n", "6.1\nnonsense", "6.1\n[]", "6.1\n" + "[" * 100_000, '6.1\n{"v1": 3}'])
def test_a_guest_that_does_not_say_that_it_is_done_is_not_done(said):
    with pytest.raises(KedrError, match="cloud-init did not say"):
        read_finished(said)
