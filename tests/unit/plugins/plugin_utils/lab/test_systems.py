# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the matrix: what is read from them, and how mistakes are told."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.spec import load_guests
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import GROUPS, SHIPPED, load_systems

HEAD = "plugin: kedr.lab.systems\nsystems:\n"
ROW = """\
- name: box
  system: Debian 12
  kernel: 6.1 amd64
  arch: x86_64
  group: base
  why: it is there
"""


@pytest.fixture
def rows(tmp_path):
    """Write a file of systems and read it; `text` replaces what follows its head."""

    def read(text):
        path = tmp_path / "mine.yml"
        path.write_text(HEAD + text)
        return load_systems(str(path))

    return read


def problems(rows, text):
    with pytest.raises(InputError) as caught:
        rows(text)
    return [str(problem).rpartition("mine.yml:")[2] for problem in caught.value.problems]


def test_the_shipped_rows_begin_with_the_seed_and_name_each_system_once():
    shipped = load_systems(SHIPPED)
    assert [row.system for row in shipped if row.group == "seed"] == [
        "OpenSUSE 11.2",
        "OpenSUSE 11.2",
        "OpenSUSE 11.3 M4",
        "Fedora 12",
        "Ubuntu 10.04",
        "Mandriva Cooker 2010",
    ]
    groups = [row.group for row in shipped]
    assert groups == sorted(groups, key=GROUPS.index)
    assert len({row.name for row in shipped}) == len(shipped)


def test_the_shipped_rows_are_the_kernels_and_boot_variants_that_are_promised():
    shipped = {row.name: row for row in load_systems(SHIPPED)}
    assert {row.kernel for row in shipped.values() if row.group == "base"} >= {
        "5.10 amd64", "5.10 686-pae", "6.1 amd64", "6.1 686-pae", "6.12 amd64", "7.x amd64 from backports",
        "6.12 cloud-amd64", "6.12 rt-amd64",
    }  # fmt: skip
    commands = " ".join(str(row.guest.get("cmdline", "")) for row in shipped.values() if row.group == "variant")
    for word in ("retbleed=stuff", "lockdown=integrity", "slub_debug=FZPU"):
        assert word in commands
    assert all(row.console for row in shipped.values() if row.group == "variant")
    assert [row.guest["cpus"] for row in shipped.values() if row.guest.get("cpus", 1) != 1] == [2]


def test_a_row_with_an_image_becomes_a_guest_that_the_lab_takes(rows):
    (row,) = rows(ROW + "  image: {suite: bookworm}\n  guest: {cpus: 2}\n")
    variables = row.variables()
    (guest,) = load_guests([variables["kedr_guest"]], {})
    assert (guest.name, guest.image.suite, guest.cpus) == ("box", "bookworm", 2)
    assert variables["kedr_test_host"] is True and variables["kedr_embedded"] is True
    assert variables["kedr_row"] == {
        "name": "box", "system": "Debian 12", "kernel": "6.1 amd64", "arch": "x86_64", "group": "base",
        "why": "it is there",
    }  # fmt: skip


def test_a_remote_row_is_no_test_host_unless_it_says_so(rows):
    (row,) = rows(ROW + "  remote: {ansible_host: 192.0.2.1}\n")
    assert row.is_host
    assert row.variables()["ansible_host"] == "192.0.2.1"
    assert "kedr_test_host" not in row.variables() and "kedr_embedded" not in row.variables()


def test_a_row_says_how_its_host_is_reached(rows):
    remote = {
        "ansible_host": "fe80::1%eth0", "ansible_port": 2222, "ansible_user": "tester@example", "ansible_become": True,
        "ansible_become_method": "sudo", "ansible_become_user": "root", "host_install_packages": True,
        "ansible_ssh_private_key_file": "~/.ssh/lab key", "ansible_ssh_executable": "/usr/bin/ssh1",
        "kedr_test_host": False, "kedr_upgrade_kernel": True,
    }  # fmt: skip
    (row,) = rows(ROW + f"  remote: {json.dumps(remote)}\n")
    assert row.variables().items() >= remote.items()


def test_a_disk_beside_the_rows_or_in_the_cache_is_a_cloud_image(rows, tmp_path, monkeypatch):
    monkeypatch.setenv("KEDR_CACHE", str(tmp_path.parent / "cache"))
    for place in (tmp_path / "below/disk.qcow2", tmp_path.parent / "cache/disk.qcow2"):
        cloud = {"url": f"file://{place}", "sha256": "0" * 64}
        (row,) = rows(ROW + f"  image: {json.dumps({'cloud': cloud})}\n  guest: {{network: open}}\n")
        assert row.variables()["kedr_guest"]["image"]["cloud"] == cloud


def test_a_cache_that_others_could_fill_is_told_at_the_row_that_needs_it(rows, tmp_path, monkeypatch):
    monkeypatch.setenv("KEDR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    (problem,) = problems(rows, ROW + "  image: {}\n")
    assert problem[0].isdigit()
    assert "can be changed by other users" in problem


def test_a_row_without_image_and_address_is_no_host(rows):
    assert [row.is_host for row in rows(ROW)] == [False]


def test_groups_are_distribution_release_kernel_series_architecture_place_and_part(rows):
    (row,) = rows(ROW + "  image: {suite: bookworm}\n")
    assert set(row.groups()) == {"base", "embedded", "x86_64", "debian", "debian_12", "kernel_6_1"}


@pytest.mark.parametrize(
    ("kernel", "group"), [("2.6.31.12", "kernel_2_6_31"), ("7.x amd64", "kernel_7_x"), ("5.10 686-pae", "kernel_5_10")]
)
def test_the_series_is_what_names_a_kernel(rows, kernel, group):
    (row,) = rows(ROW.replace("6.1 amd64", kernel))
    assert group in row.groups()


def test_files_are_found_beside_the_file_of_rows(rows, tmp_path):
    (tmp_path / "a.data").write_text("")
    (tmp_path / "e.yml").write_text("")
    (row,) = rows(ROW + "  payloads: [a.data]\n  expect: e.yml\n  target: zram\n  target_params: {num_devices: 1}\n")
    assert row.variables()["kedr_payloads"] == [str(tmp_path / "a.data")]
    assert row.variables()["kedr_expect"] == str(tmp_path / "e.yml")
    assert row.variables()["kedr_target_params"] == {"num_devices": "1"}


def test_an_own_row_has_no_name_that_is_a_group_of_the_shipped_rows(tmp_path):
    path = tmp_path / "own.yml"
    own = ROW.replace("name: box", "name: kernel_5_10")
    path.write_text("plugin: kedr.lab.systems\nshipped: true\nsystems:\n" + own)
    with pytest.raises(InputError, match="cannot be named 'kernel_5_10'"):
        load_systems(str(path))


def test_shipped_adds_the_shipped_rows_and_an_own_row_takes_the_place_of_one(tmp_path):
    path = tmp_path / "mine.yml"
    own = ROW.replace("name: box", "name: debian12") + ROW
    path.write_text("plugin: kedr.lab.systems\nshipped: true\nsystems:\n" + own)
    shipped, mine = load_systems(SHIPPED), load_systems(str(path))
    assert [row.name for row in mine] == [*(row.name for row in shipped), "box"]
    assert next(row for row in mine if row.name == "debian12").why == "it is there"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ROW.replace("  why: it is there\n", ""), "3: 'why' is missing; needed are: name, system"),
        (ROW.replace("arch: x86_64", "arch: amd64"), "6: 'arch' is 'amd64'; allowed are: i386, x86_64"),
        (ROW.replace("group: base", "group: bases"), "7: 'group' is 'bases'; allowed are: seed, base, variant, target"),
        (ROW.replace("6.1 amd64", "6.1"), "5: 'kernel' must be a text"),
        (ROW.replace("name: box", "name: a/b"), "3: 'name' must be letters, digits"),
        (ROW.replace("name: box", "name: base"), "3: a row cannot be named 'base': this is the name of a group"),
        (ROW + "  cpu: max\n", "9: unknown key 'cpu'; allowed are: name, system"),
        (ROW + "  image: {suit: a}\n", "9: image: unknown option 'suit'; allowed are"),
        (ROW + "  image: {}\n  guest: {cpus: many}\n", "10: guest box: cpus: 'many' is not a whole number"),
        (ROW + "  image: {}\n  guest: {name: b}\n", "10: 'guest' has neither a name nor an image"),
        (ROW + "  image: {architecture: i386}\n", "6: 'arch' is x86_64, and the image is one of i386"),
        (ROW + "  guest: {cpus: 2}\n", "9: 'guest' is for rows with an 'image'"),
        (ROW + "  console: booted\n", "9: 'console' is for rows with an 'image'"),
        (ROW + "  image: {}\n  remote: {ansible_host: a}\n", "10: a row has 'image' (a guest here) or 'remote'"),
        (ROW + "  remote: {ansible host: a}\n", "9: 'remote' holds variables of the inventory"),
        (ROW + "  remote: {kedr_test_host: 'yes'}\n", "9: 'kedr_test_host' must be true or false"),
        (ROW + "  remote: {ansible_port: 0}\n", "9: 'ansible_port' must be a number from 1 to 65535"),
        (
            ROW + "  remote: {ansible_connection: local}\n",
            "9: 'remote' holds variables of the inventory, and a row may not set 'ansib",
        ),
        (ROW + "  image: {}\n  guest: {network: open}\n", "10: 'network' is open for cloud images only"),
        (ROW + "  image:\n    kernel_tree: /etc\n", "10: 'kernel_tree' must be a directory of "),
        (ROW + "  image: {mirror: [x]}\n", "9: image: mirror: 'x' is not allowed; allowed is a URI of http"),
        (ROW + "  target: ../x\n", "9: 'target' must be the name of a kernel module"),
        (ROW + "  expect: ../e.yml\n", "9: ../e.yml is not beside this file; a row names files in its file's"),
        (ROW.replace("name: box", "name: localhost"), "3: neither name nor system may be localhost"),
        (ROW + "  payloads: [b.data]\n", "9: there is no file b.data; paths are relative to this file"),
        (ROW + "  target_params: {a: [1]}\n", "9: a parameter of a module is a name and a single value"),
        (ROW + ROW, "9: the name 'box' is used in line 3 already"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_is_allowed(rows, text, told):
    (problem,) = problems(rows, text)
    assert problem.startswith(told)


def test_all_mistakes_of_a_file_are_told_at_once(rows):
    wrong = ROW.replace("arch: x86_64", "arch: arm")
    assert len(problems(rows, wrong + ROW.replace("name: box", "name: other").replace("group: base", "group: x"))) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("systems: []\n", "1: 'plugin' is missing"),
        ("plugin: kedr.lab.other\nsystems: []\n", "1: 'plugin' must be kedr.lab.systems"),
        ("plugin: kedr.lab.systems\nshipped: 2\nsystems: []\n", "2: 'shipped' must be true or false"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, text, told):
    path = tmp_path / "mine.yml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_systems(str(path))
    assert str(caught.value).startswith(f"{path}:{told}")
