# SPDX-License-Identifier: GPL-3.0-or-later
"""The systems of the matrix as ansible-core sees them."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible_collections.kedr.lab.plugins.inventory import systems
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import SHIPPED


def read(path: str) -> InventoryData:
    inventory = InventoryData()
    plugin = systems.InventoryModule()
    assert plugin.verify_file(path)
    plugin.parse(inventory, DataLoader(), path)
    inventory.reconcile_inventory()
    return inventory


def test_the_shipped_rows_that_can_be_run_are_hosts_in_their_groups() -> None:
    inventory = read(SHIPPED)
    host = inventory.hosts["debian11-i386"]
    names = {group.name for group in host.get_groups()}
    assert names >= {"debian", "debian_11", "kernel_5_10", "i386", "embedded", "base"}
    assert host.vars["kedr_guest"]["image"]["suite"] == "bullseye"
    assert "fedora12" not in inventory.hosts


def test_a_mistake_is_told_with_file_and_line(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("plugin: kedr.lab.systems\nsystems:\n- name: box\n")
    with pytest.raises(AnsibleError, match=r"mine\.yml:3: 'system' is missing"):
        read(str(path))


def test_other_files_are_left_to_other_plugins(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hosts.ini"
    path.write_text("box\n")
    assert not systems.InventoryModule().verify_file(str(path))


def test_the_example_of_the_documentation_is_a_file_that_can_be_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "my-systems.yml"
    path.write_text(systems.EXAMPLES)
    assert yaml.safe_load(systems.DOCUMENTATION)["name"] == "systems"
    inventory = read(str(path))
    assert inventory.hosts["fedora-box"].vars["kedr_test_host"] is True
    assert {"debian13", "debian12-debug"} <= set(inventory.hosts)
