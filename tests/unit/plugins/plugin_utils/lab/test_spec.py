# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of images and guests."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import DebianSpec
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.spec import GuestSpec, load_guests

DEFAULTS = {"memory": 1024, "cpus": 1, "cmdline": ""}


def test_an_empty_image_is_debian_13_amd64_with_kernel_headers_and_compiler():
    spec = DebianSpec.load({})
    assert (spec.suite, spec.architecture) == ("trixie", "amd64")
    assert {"linux-image-amd64", "linux-headers-amd64", "gcc", "make", "openssh-server"} <= set(spec.all_packages)


@pytest.mark.parametrize(
    ("kernel", "headers"),
    [
        ("linux-image-cloud-amd64", "linux-headers-cloud-amd64"),
        ("linux-image-rt-amd64", "linux-headers-rt-amd64"),
        ("linux-image-amd64/bookworm-backports", "linux-headers-amd64/bookworm-backports"),
    ],
)
def test_headers_follow_the_kernel_package(kernel, headers):
    packages = DebianSpec.load({"kernel": kernel}).all_packages
    assert kernel in packages
    assert headers in packages


def test_i386_takes_a_32_bit_kernel():
    assert DebianSpec.load({"architecture": "i386"}).kernel == "linux-image-686-pae"


@pytest.mark.parametrize(
    "data",
    [
        {"suite": "bookworm"},
        {"architecture": "i386"},
        {"kernel": "linux-image-cloud-amd64"},
        {"packages": ["gdb"]},
        {"pockets": ["trixie-backports"]},
        {"apt_options": ['Acquire::Check-Valid-Until "false"']},
        {"security": False},
        {"kernel_tree": "/cache/kernels/debug-0123"},
    ],
)
def test_what_decides_the_content_decides_the_key(data):
    assert DebianSpec.load(data).key != DebianSpec.load({}).key


def test_a_kernel_that_is_in_no_package_takes_the_place_of_the_packages():
    packages = DebianSpec.load({"kernel_tree": "/cache/kernels/debug-0123"}).all_packages
    assert not [name for name in packages if name.startswith("linux-")]
    assert "kmod" in packages


def test_where_a_kernel_tree_lies_is_no_part_of_the_key():
    here, there = ({"kernel_tree": f"/{place}/debug-0123/"} for place in ("here", "there"))
    assert DebianSpec.load(here).key == DebianSpec.load(there).key


def test_the_key_does_not_depend_on_mirror_or_order():
    plain = DebianSpec.load({"packages": ["gdb", "strace"]})
    other = DebianSpec.load({"packages": ["strace", "gdb"], "mirror": "file:///srv/mirror"})
    assert plain.key == other.key


def test_an_image_takes_the_mirror_of_the_lab_unless_it_has_its_own():
    assert DebianSpec.load({}, ["file:///a"]).mirror == ("file:///a",)
    assert DebianSpec.load({"mirror": "file:///b"}, ["file:///a"]).mirror == ("file:///b",)


@pytest.mark.parametrize(
    "mirror",
    [
        "http://mirror.example/debian", "https://user:word@[2001:db8::1]:3142/deb%20ian/~x/", "http://h", "file:/srv/m",
        "copy:///srv/m", "deb http://h/debian trixie main contrib",
        "deb http://h/debian-security bookworm/updates main",
        "deb [arch=amd64 signed-by=/etc/apt/keyrings/own.asc check-valid-until=no] file:///srv/m trixie main",
    ],
)  # fmt: skip
def test_a_mirror_is_a_uri_or_a_line_of_sources(mirror):
    assert DebianSpec.load({"mirror": mirror}).mirror == (mirror,)


@pytest.mark.parametrize(
    "option",
    [
        'Acquire::Check-Date "false";', 'Acquire::Languages "none"', 'Acquire::Retries "5"',
        'Acquire::http::Timeout "30"',
        'Acquire::http::Proxy "http://user:word@proxy:3142/"', 'Acquire::https::Proxy::some.host "DIRECT"',
    ],
)  # fmt: skip
def test_apt_is_told_how_mirrors_are_reached_and_how_far_their_dates_are_believed(option):
    assert DebianSpec.load({"apt_options": [option]}).apt_options == (option,)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"suit": "trixie"}, "unknown option 'suit'; allowed are"),
        ({"suite": "--help"}, "'--help' is not the name of a suite"),
        ({"architecture": "arm64"}, "is not one of amd64, i386"),
        ({"kernel": "vmlinuz"}, "its name begins with linux-image-"),
        ({"packages": "gdb"}, "a list is needed"),
        ({"packages": ["gdb; reboot"]}, "'gdb; reboot' is not a valid name"),
        ({"pockets": ["a b"]}, "'a b' is not a valid name"),
        ({"apt_options": ["a\nb"]}, "is not allowed; allowed is Acquire::Check-Date"),
        ({"apt_options": ['Acquire::Retries "3"; APT::Update::Pre-Invoke:: "id"']}, "is not allowed"),
        ({"apt_options": ['Acquire::http::Proxy-Auto-Detect "/bin/x"']}, "is not allowed"),
        ({"mirror": ["--setup-hook=id"]}, "'--setup-hook=id' is not allowed; allowed is a URI of http"),
        ({"security": "no"}, "'no' is neither true nor false"),
        ({"kernel_tree": "kernels/debug"}, "'kernels/debug' must be an absolute path"),
        ({"kernel_tree": "/k", "kernel": "linux-image-amd64"}, "goes without kernel"),
        ("trixie", "a mapping is needed"),
    ],
)
def test_a_wrong_image_is_named_with_what_is_allowed(data, words):
    with pytest.raises(InputError) as caught:
        DebianSpec.load(data)
    assert words in str(caught.value)


def test_a_guest_takes_what_it_leaves_out_from_the_defaults():
    guest = GuestSpec.load({"name": "a", "memory": 512}, {"memory": 2048, "cpus": 2, "cmdline": "quiet"})
    assert (guest.memory, guest.cpus, guest.cmdline) == (512, 2, "quiet")


@pytest.mark.parametrize("name", ["../x", "", ".x", "a/b", "a b", "x" * 65, "inventory.yml", "ssh_key", "a\n", "-x"])
def test_a_name_that_is_no_safe_file_and_host_name_is_refused(name):
    with pytest.raises(InputError, match="cannot be used"):
        GuestSpec.load({"name": name}, DEFAULTS)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"memory": 1}, "memory: 1 is not a whole number from 128"),
        ({"memory": "1G"}, "memory: '1G' is not a whole number"),
        ({"cpus": True}, "cpus: True is not a whole number"),
        ({"cmdline": "a\nb"}, "not printable ASCII"),
        ({"cpu": "max -device x"}, "is not a QEMU processor model"),
        ({"memroy": 1}, "guest g: unknown option 'memroy'"),
        ({"network": "wide"}, "network 'wide' is not one of restricted, open"),
        ({"module_key": 1}, "module_key: 1 is neither true nor false"),
        (
            {"module_key": True, "image": {"cloud": {"url": "file:///i", "sha256": "0" * 64}}},
            "module_key cannot be set, its cloud image",
        ),
    ],
)
def test_a_wrong_guest_is_named_with_its_option(data, words):
    with pytest.raises(InputError) as caught:
        GuestSpec.load({"name": "g", **data}, DEFAULTS)
    assert words in str(caught.value)


def test_two_guests_of_one_name_are_refused():
    with pytest.raises(InputError, match="the name a is used twice"):
        load_guests([{"name": "a"}, {"name": "a"}], DEFAULTS)


def test_a_list_of_guests_must_be_a_list_of_mappings():
    with pytest.raises(InputError, match="a list is needed"):
        load_guests({"name": "a"}, DEFAULTS)
    with pytest.raises(InputError, match="a mapping with a name is needed"):
        load_guests(["a"], DEFAULTS)


def test_the_digest_of_a_guest_changes_with_what_a_running_guest_cannot_change():
    plain = GuestSpec.load({"name": "a"}, DEFAULTS)
    assert GuestSpec.load({"name": "a", "cmdline": "quiet"}, DEFAULTS).digest != plain.digest
    assert GuestSpec.load({"name": "a", "image": {"suite": "bookworm"}}, DEFAULTS).digest != plain.digest
    assert GuestSpec.load({"name": "a", "network": "open"}, DEFAULTS).digest != plain.digest
    assert GuestSpec.load({"name": "b"}, DEFAULTS).digest == plain.digest


def test_a_guest_that_is_built_here_is_shut_in_and_one_of_a_vendor_needs_its_repositories():
    cloud = {"cloud": {"url": "https://h/i", "sha256": "0" * 64}}
    assert GuestSpec.load({"name": "a"}, DEFAULTS).network == "restricted"
    assert GuestSpec.load({"name": "a", "image": cloud}, DEFAULTS).network == "open"
    assert GuestSpec.load({"name": "a", "image": cloud, "network": "restricted"}, DEFAULTS).network == "restricted"
