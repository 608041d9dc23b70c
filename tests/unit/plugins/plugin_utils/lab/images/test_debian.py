# SPDX-License-Identifier: GPL-3.0-or-later
"""Building images with stand-ins for mmdebstrap and mke2fs: caching, cleaning up, explanations."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import namedtuple
from unittest import mock

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError, KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images import debian, tree
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cache import ensure_image, image_dir, read_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import (
    DebianSpec,
    apt_proxy_options,
    check_kernel_tree,
    explain,
    mmdebstrap_command,
)
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.tree import installed_kernel

MMDEBSTRAP = """#!/bin/sh
for argument; do last=$argument; done
echo "I: installing remaining packages inside the chroot..."
mkdir -p "$last/boot" "$last/lib/modules/6.1.0-9-amd64"
echo kernel >"$last/boot/vmlinuz-6.1.0-9-amd64"
echo "$@" >>"$CALLS"
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose mmdebstrap makes a tree of one kernel at once; gives the file of its calls."""
    programs = tmp_path / "programs"
    programs.mkdir()
    calls = tmp_path / "calls"
    calls.write_text("")
    (programs / "mmdebstrap").write_text(MMDEBSTRAP)
    (programs / "mke2fs").write_text("#!/bin/sh\nexit 0\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(tree, "NEEDED_MB", 1)
    return calls


def program(machine, name, text):
    path = machine.parent / "programs" / name
    path.write_text(f"#!/bin/sh\n{text}\n")


def test_an_image_is_built_once_and_then_taken_from_the_cache(tmp_path, machine):
    told: list[str] = []
    first = ensure_image(DebianSpec(kernel="linux-image-amd64"), str(tmp_path / "cache"), told.append)
    second = ensure_image(DebianSpec(kernel="linux-image-amd64"), str(tmp_path / "cache"), told.append)
    assert (first["cached"], second["cached"]) == (False, True)
    assert len(machine.read_text().splitlines()) == 1
    assert first["release"] == second["release"] == "6.1.0-9-amd64"
    with open(second["kernel"]) as stream:
        assert stream.read() == "kernel\n"
    assert os.path.getsize(second["disk"]) > tree.FREE_MB * 2**20
    assert any("installing remaining packages" in line for line in told)


def test_refresh_builds_again_and_replaces_the_image(tmp_path, machine):
    spec, cache = DebianSpec(kernel="linux-image-amd64"), str(tmp_path / "cache")
    ensure_image(spec, cache, print)
    marker = os.path.join(image_dir(cache, spec), "tree", "old")
    open(marker, "w").close()
    assert ensure_image(spec, cache, print, refresh=True)["cached"] is False
    assert not os.path.exists(marker)
    assert [name for name in os.listdir(os.path.join(cache, "images")) if not name.endswith(".lock")] == [spec.key]


def test_a_failed_build_leaves_nothing_but_its_log(tmp_path, machine):
    program(machine, "mmdebstrap", "echo 'E: Unable to locate package linux-image-amd64'; exit 25")
    with pytest.raises(KedrError) as caught:
        ensure_image(DebianSpec(kernel="linux-image-amd64"), str(tmp_path / "cache"), print)
    assert "a package does not exist in this suite" in str(caught.value)
    assert "linux-image-amd64" in str(caught.value)
    assert caught.value.kind == "INFRA"
    names = os.listdir(tmp_path / "cache" / "images")
    assert [name for name in names if not name.endswith(".lock")] == []
    (log,) = (tmp_path / "cache" / "logs").iterdir()
    assert str(log) in str(caught.value)
    assert "E: Unable to locate package" in log.read_text()


def test_what_an_interrupted_build_left_is_removed_by_the_next(tmp_path, machine):
    spec = DebianSpec(kernel="linux-image-amd64")
    stale = tmp_path / "cache" / "images" / f".{spec.key}.abc.part"
    (stale / "tree").mkdir(parents=True)
    ensure_image(spec, str(tmp_path / "cache"), print)
    assert not stale.exists()


def test_a_directory_without_description_is_no_image(tmp_path):
    (tmp_path / "image.json").write_text("{")
    assert read_image(str(tmp_path)) is None
    (tmp_path / "image.json").write_text("[]")
    assert read_image(str(tmp_path)) is None
    assert read_image(str(tmp_path / "nothing")) is None


def test_without_root_and_sudo_the_message_says_so(tmp_path, machine, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    program(machine, "sudo", "echo 'sudo: a password is required' >&2; exit 1")
    (machine.parent / "programs" / "sudo").chmod(0o755)
    with pytest.raises(KedrError, match="run as root, or allow sudo without a password"):
        ensure_image(DebianSpec(kernel="linux-image-amd64"), str(tmp_path / "cache"), print)
    assert [name for name in os.listdir(tmp_path / "cache" / "images") if name.endswith(".part")] == []


def test_too_little_space_is_said_before_anything_is_downloaded(tmp_path, machine, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(tree, "NEEDED_MB", 3500)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 100 * 2**20))
    with pytest.raises(KedrError, match=r"only 100 MB are free at .* an image needs 3500 MB"):
        ensure_image(DebianSpec(kernel="linux-image-amd64"), str(tmp_path / "cache"), print)
    assert machine.read_text() == ""


def test_a_missing_mmdebstrap_is_said_in_plain_words(tmp_path, machine, monkeypatch):
    (machine.parent / "programs" / "mmdebstrap").unlink()
    find = debian.find_tool
    monkeypatch.setattr(
        debian, "find_tool", lambda name, package: find("no-" + name if name == "mmdebstrap" else name, package)
    )
    with pytest.raises(KedrError, match="install the package mmdebstrap"):
        ensure_image(DebianSpec(kernel="linux-image-amd64"), str(tmp_path / "cache"), print)


def test_a_cache_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KedrError, match=r"the cache directory .*file cannot be used"):
        ensure_image(DebianSpec(), str(tmp_path / "file"), print)


def test_a_tree_without_kernel_is_an_error(tmp_path, machine):
    program(machine, "mmdebstrap", 'for a; do last=$a; done; mkdir -p "$last"')
    with pytest.raises(KedrError, match="has no kernel with modules"):
        ensure_image(DebianSpec(kernel="linux-image-amd64"), str(tmp_path / "cache"), print)


def test_the_newest_kernel_of_a_tree_is_taken_by_number(tmp_path):
    for release in ("6.9.1-amd64", "6.12.3-amd64", "7.0.0-nomodules"):
        (tmp_path / "boot").mkdir(exist_ok=True)
        (tmp_path / "boot" / f"vmlinuz-{release}").write_text("")
    for release in ("6.9.1-amd64", "6.12.3-amd64"):
        (tmp_path / "lib/modules" / release).mkdir(parents=True)
    assert installed_kernel(str(tmp_path)) == "6.12.3-amd64"


def test_the_description_on_disk_says_what_is_in_the_image(tmp_path, machine):
    image = ensure_image(DebianSpec(kernel="linux-image-amd64"), str(tmp_path / "cache"), print)
    with open(os.path.join(image["directory"], "image.json")) as stream:
        data = json.load(stream)
    assert data["packages"] == DebianSpec(kernel="linux-image-amd64").all_packages
    assert data["suite"] == "trixie"


def test_secrets_and_settings_of_the_machine_do_not_stay_in_the_tree():
    command = mmdebstrap_command(DebianSpec(), "/t", "mmdebstrap", ['Acquire::http::Proxy "http://user:word@proxy/";'])
    assert '--aptopt=Acquire::http::Proxy "http://user:word@proxy/";' in command
    (hook,) = (word for word in command if word.startswith("--customize-hook"))
    for path in ("ssh_host_", "apt.conf.d/99mmdebstrap", "resolv.conf"):
        assert path in hook


def test_suite_tree_and_mirror_are_the_last_arguments():
    command = mmdebstrap_command(DebianSpec(suite="sid", mirror=("file:///m",)), "/t", "mmdebstrap", [])
    assert command[-4:] == ["--", "sid", "/t", "file:///m"]


def test_without_mirror_the_choice_is_left_to_mmdebstrap():
    assert mmdebstrap_command(DebianSpec(), "/t", "mmdebstrap", [])[-3:] == ["--", "trixie", "/t"]


def test_a_pocket_becomes_a_source_of_the_same_mirror(tmp_path):
    spec = DebianSpec(suite="bookworm", pockets=("bookworm-backports",))
    (hook,) = (word for word in mmdebstrap_command(spec, "/t", "m", []) if word.startswith("--setup-hook="))
    lists = tmp_path / "etc/apt/sources.list.d"
    lists.mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list").write_text("deb file:///m bookworm main\ndeb file:///m bookworm-updates main\n")
    status = subprocess.run(
        ["sh", "-c", hook.removeprefix("--setup-hook="), "hook", str(tmp_path)], check=False
    ).returncode
    assert status == 0
    assert (lists / "bookworm-backports.list").read_text() == "deb file:///m bookworm-backports main\n"


def test_a_suite_without_its_security_updates_keeps_its_other_sources(tmp_path):
    spec = DebianSpec(suite="bookworm", security=False)
    (hook,) = (word for word in mmdebstrap_command(spec, "/t", "m", []) if word.startswith("--setup-hook="))
    sources = tmp_path / "etc/apt/sources.list"
    sources.parent.mkdir(parents=True)
    sources.write_text("deb file:///m bookworm main\ndeb file:///s bookworm-security main\n")
    status = subprocess.run(
        ["sh", "-c", hook.removeprefix("--setup-hook="), "hook", str(tmp_path)], check=False
    ).returncode
    assert status == 0
    assert sources.read_text() == "deb file:///m bookworm main\n"


def test_a_kernel_tree_is_copied_into_the_root_tree(tmp_path):
    kernel, tree = tmp_path / "a kernel-0123", tmp_path / "tree"
    (kernel / "boot").mkdir(parents=True)
    (kernel / "boot/vmlinuz-6.12").write_text("kernel")
    tree.mkdir()
    command = mmdebstrap_command(DebianSpec(kernel_tree=str(kernel)), "/t", "m", [])
    hook = next(word for word in command if word.startswith("--customize-hook="))
    status = subprocess.run(
        ["sh", "-c", hook.removeprefix("--customize-hook="), "hook", str(tree)], check=False
    ).returncode
    assert status == 0
    assert (tree / "boot/vmlinuz-6.12").read_text() == "kernel"


@pytest.fixture
def kernel(tmp_path):
    """A kernel's tree where it belongs; the cache is the directory above that of the kernels."""
    tree = tmp_path / "kernels/own-0123"
    (tree / "boot").mkdir(parents=True)
    (tree / "usr").mkdir()
    (tree / "boot/vmlinuz-6.12").write_text("kernel")
    (tree / "usr/build").symlink_to("/usr/src/headers")
    return tree


def test_a_kernels_tree_of_our_own_in_the_cache_is_taken(kernel, tmp_path):
    check_kernel_tree(str(kernel), str(tmp_path))
    with pytest.raises(InputError, match=r"is not in .*/other/kernels, where kernels that are in no package belong"):
        check_kernel_tree(str(kernel), str(tmp_path / "other"))


def test_a_kernels_tree_holds_a_kernel_and_nothing_else(kernel, tmp_path):
    (kernel / "etc").mkdir()
    with pytest.raises(InputError, match="must be a directory with boot and usr, and nothing else"):
        check_kernel_tree(str(kernel), str(tmp_path))


@pytest.mark.parametrize("name", ["", "boot", "boot/vmlinuz-6.12"])
def test_a_kernels_tree_that_others_can_write_to_is_refused(kernel, tmp_path, name):
    (kernel / name).chmod(0o775)
    check_kernel_tree(str(kernel), str(tmp_path))
    (kernel / name).chmod(0o777)
    with pytest.raises(InputError, match=rf"own-0123/?{name} can be changed by others"):
        check_kernel_tree(str(kernel), str(tmp_path))


def test_a_kernels_tree_of_who_called_through_sudo_is_taken_and_of_nobody_else(kernel, tmp_path, monkeypatch):
    monkeypatch.setattr(debian.ownership, "ours", lambda: {0, 54321})
    owners = {os.path.join(kernel, "boot"): 54321}
    real = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: mock.Mock(
        st_uid=owners.get(path, 0), st_gid=0, st_mode=real(path).st_mode))  # fmt: skip
    check_kernel_tree(str(kernel), str(tmp_path))
    owners[os.path.join(kernel, "boot")] = 54322
    with pytest.raises(InputError, match="own-0123/boot can be changed by others"):
        check_kernel_tree(str(kernel), str(tmp_path))


def test_only_proxies_are_taken_from_the_machines_apt():
    dump = (
        'Acquire "";\nAcquire::http "";\nAcquire::http::Proxy "http://p:3142";\n'
        'Acquire::http::Proxy::some.host "DIRECT";\nAcquire::https::Proxy "";\nAPT::Install-Recommends "0";\n'
    )
    assert apt_proxy_options(dump) == [
        'Acquire::http::Proxy "http://p:3142";',
        'Acquire::http::Proxy::some.host "DIRECT";',
    ]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("dpkg: error: write failed: No space left on device", "the disk is full"),
        ("E: Failed to fetch http://x/  Could not connect to x:80", "mirror cannot be reached"),
        ("E: Failed to fetch http://x/InRelease  Temporary failure resolving 'x'", "mirror cannot be reached"),
        ("E: Unable to locate package linux-image-foo", "a package does not exist"),
        ("E: Release 'x-backports' for 'y' was not found", "a package does not exist"),
        ("E: The repository 'http://x nosuite Release' does not have a Release file.", "lacks the suite"),
        ("W: GPG error: the public key is not available: NO_PUBKEY 0E98404D386FA1D9", "keyring"),
        ("E: Failed to fetch http://x  File has unexpected size (1 != 2). Mirror sync in progress?", "try again"),
        ("E: Release file for http://x is expired (invalid since 3d)", "out of date"),
        ("sudo: a password is required", "root is needed"),
        ("I: finding correct signed-by value...\nE: something new", "E: something new"),
        ("", "it said nothing"),
    ],
)
def test_failures_of_a_build_are_explained(log, words):
    assert words in explain(log)
