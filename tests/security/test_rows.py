# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of somebody else: nothing in one runs on the control node, or reaches a file that is not beside it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError, KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images import debian, tree
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cache import ensure_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import DebianSpec, mmdebstrap_command
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.spec import load_guests
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import load_systems

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 120
WRITE = Callable[..., pathlib.Path]


@pytest.fixture
def canary(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file that is there when an attack came through."""
    return tmp_path / "canary"


@pytest.fixture
def rows(tmp_path: pathlib.Path) -> WRITE:
    """Write a file with one row; what the row holds beyond the needed keys is given."""
    (tmp_path / "rows").mkdir()

    def write(**more: Any) -> pathlib.Path:
        row = {"name": "box", "system": "Debian 13", "kernel": "6.12", "arch": "x86_64", "group": "base", "why": "x"}
        path = tmp_path / "rows/systems.yml"
        path.write_text(json.dumps({"plugin": "kedr.lab.systems", "systems": [{**row, **more}]}, indent=1))
        return path

    return write


def refused(path: pathlib.Path) -> str:
    """Return what is said of a file of rows that is refused; it must name the file and a line."""
    with pytest.raises(InputError) as caught:
        load_systems(str(path))
    (problem,) = map(str, caught.value.problems)
    assert problem.startswith(f"{path}:") and problem.removeprefix(f"{path}:")[0].isdigit(), problem
    return problem


def play(rows: pathlib.Path, *tasks: dict[str, Any], **play: str) -> subprocess.CompletedProcess[str]:
    """Do the tasks on every host of the rows."""
    book = rows.parent.parent / "play.yml"
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks, **play}]))
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"}
    return subprocess.run(
        ["ansible-playbook", "-i", str(rows), str(book)], cwd=ROOT, env=env,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=LIMIT,
    )  # fmt: skip


# Images


@pytest.mark.parametrize(
    "image",
    [
        {"mirror": ["--setup-hook=touch {}; exit 1"]},
        {"mirror": ["file:///nowhere", "--hook-dir=/{}"]},
        {"mirror": "file:///nowhere", "apt_options": ['APT::Update::Pre-Invoke:: "touch {}"']},
        {"mirror": "file:///nowhere", "apt_options": ['Acquire::Retries "1"; APT::Update::Pre-Invoke:: "touch {}"']},
    ],
)
def test_no_option_of_an_image_becomes_a_command_of_root(
    image: dict[str, Any], rows: WRITE, canary: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All the way to mmdebstrap, as the matrix goes with a row."""
    monkeypatch.setattr(tree, "NEEDED_MB", 1)
    image = json.loads(json.dumps(image).replace("{}", str(canary)))
    with pytest.raises((InputError, KedrError)) as caught:
        (row,) = load_systems(str(rows(image=image)))
        (guest,) = load_guests([row.variables()["kedr_guest"]], {})
        assert isinstance(guest.image, DebianSpec)
        ensure_image(guest.image, str(tmp_path / "cache"), print)
    assert not canary.exists()
    assert isinstance(caught.value, InputError)
    assert "systems.yml:" in str(caught.value) and "allowed is" in str(caught.value)


def test_what_looks_like_an_option_is_a_mirror_for_mmdebstrap(canary: pathlib.Path, tmp_path: pathlib.Path) -> None:
    spec = DebianSpec(mirror=(f"--setup-hook=touch {canary}; exit 1",), kernel="linux-image-amd64")
    command = mmdebstrap_command(spec, str(tmp_path / "tree"), "mmdebstrap", [])
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode != 0
    assert not canary.exists(), done.stderr


@pytest.mark.parametrize(
    "mirror",
    [
        "-", "/etc/apt/sources.list", "./x", "cdrom:x", "ssh://h/x", "http://h/x\ndeb http://evil/ x main",
        "http://h/ x", "deb [trusted=yes] http://h/debian trixie main",
        "deb [arch=amd64 allow-insecure=yes] http://h/debian trixie main",
        "deb [signed-by=/tmp/evil.gpg] http://h/debian trixie main",
        "deb [signed-by=/usr/share/keyrings/../../../tmp/evil.gpg] http://h/debian trixie main",
        "deb [signed-by=/usr/share/keyrings/a.gpg,/tmp/evil.gpg] http://h/debian trixie main",
        "deb http://h/debian trixie main\ndeb [trusted=yes] http://evil/ x main", "Types: deb",
    ],
)  # fmt: skip
def test_a_mirror_brings_no_packages_that_nobody_signed_and_no_other_file(mirror: str, rows: WRITE) -> None:
    assert "image: mirror:" in refused(rows(image={"mirror": [mirror]}))


@pytest.mark.parametrize("place", ["/etc", "/", "{}/rows", "{}/cache/kernels/../..", "{}/cache/kernels/link"])
def test_a_kernels_tree_is_no_other_directory_of_the_control_node(
    place: str, rows: WRITE, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache/kernels").mkdir(parents=True)
    (tmp_path / "cache/kernels/link").symlink_to("/etc")
    monkeypatch.setenv("KEDR_CACHE", str(tmp_path / "cache"))
    path = rows(image={"kernel_tree": place.replace("{}", str(tmp_path))})
    assert f"'kernel_tree' must be a directory of {tmp_path}/cache/kernels" in refused(path)


def test_a_kernels_tree_that_others_can_change_is_not_copied_by_root(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kernel may be a link to a file that only root reads."""
    tree = tmp_path / "cache/kernels/own"
    for name in ("boot", "usr/lib/modules/6.12"):
        (tree / name).mkdir(parents=True)
    (tree / "boot/vmlinuz-6.12").symlink_to("/etc/shadow")
    os.chown(tree / "boot/vmlinuz-6.12", 65534, 65534, follow_symlinks=False)
    monkeypatch.setattr(debian, "mmdebstrap_command", lambda *arguments: pytest.fail("it is built"))
    with pytest.raises(KedrError, match=r"vmlinuz-6\.12 can be changed by others; nothing is taken from there"):
        ensure_image(DebianSpec.load({"kernel_tree": str(tree)}), str(tmp_path / "cache"), print)


@pytest.mark.parametrize("key", ["url", "checksums"])
@pytest.mark.parametrize("url", ["file:///etc/shadow", "file:///dev/sda", "file://{}/rows/%2e%2e/%2e%2e/etc/shadow"])
def test_the_disk_of_a_cloud_image_is_no_other_file_of_the_control_node(
    key: str, url: str, rows: WRITE, tmp_path: pathlib.Path
) -> None:
    cloud = {"url": "https://h/i", "checksums": "https://h/s", key: url.replace("{}", str(tmp_path))}
    assert "is neither beside this file nor in" in refused(rows(image={"cloud": cloud}))


def test_a_row_opens_no_network_to_a_guest_that_needs_none(rows: WRITE) -> None:
    assert "'network' is open for cloud images only" in refused(rows(image={}, guest={"network": "open"}))


# Hosts elsewhere


def test_a_row_does_not_make_the_control_node_its_host(rows: WRITE, canary: pathlib.Path) -> None:
    path = rows(remote={"ansible_connection": "local", "kedr_test_host": True})
    done = play(path, {"ansible.builtin.raw": f"touch {canary}"})
    assert not canary.exists(), done.stdout
    assert "a row may not set 'ansible_connection'; allowed are: ansible_host" in refused(path)


def test_a_row_gives_ssh_no_command_to_run(rows: WRITE, canary: pathlib.Path) -> None:
    path = rows(remote={"ansible_host": "192.0.2.1", "ansible_ssh_common_args": f"-oProxyCommand='touch {canary}'"})
    done = play(path, {"ansible.builtin.raw": "true"})
    assert not canary.exists(), done.stdout
    assert "a row may not set 'ansible_ssh_common_args'" in refused(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ansible_host", "-oProxyCommand=touch"), ("ansible_host", "a b"),
        ("ansible_host", "{{ lookup('pipe', 'id') }}"),
        ("ansible_port", "22 -o x"), ("ansible_port", True), ("ansible_user", "-oProxyCommand=x"), ("ansible_user", 1),
        ("ansible_ssh_executable", "/tmp/ssh"), ("ansible_ssh_private_key_file", '/x" -oProxyCommand=x "'),
        ("ansible_become_method", "community.general.pfexec"), ("ansible_become_exe", "/tmp/x"),
        ("ansible_become_flags", "x"), ("ansible_become_user", "root; id"), ("ansible_shell_executable", "/tmp/x"),
        ("ansible_ssh_extra_args", "x"), ("ansible_ssh_args", "x"), ("ansible_sftp_extra_args", "x"),
        ("ansible_scp_executable", "x"), ("ansible_remote_tmp", "/x"), ("ansible_python_interpreter", "/tmp/x"),
        ("ansible_playbook_python", "/tmp/x"), ("ansible_collections_path", "/tmp"), ("ansible_facts", {}),
        ("kedr_build_root", "/"), ("kedr_build_host", "x"), ("kedr_signing_key", "/x"), ("kedr_signing_cert", "/x"),
        ("kedr_run_dir", "/"), ("kedr_qemu_pid", 1), ("kedr_embedded", True), ("kedr_guest", {}),
        ("kedr_exercise", "/x"),
        ("kedr_payloads", ["/x"]), ("kedr_expect", "/x"), ("kedr_test_host", "true"), ("lab_dir", "/"),
        ("become", True),
    ],
)  # fmt: skip
def test_a_row_sets_no_variable_but_those_that_are_allowed(name: str, value: Any, rows: WRITE) -> None:
    assert f"'{name}'" in refused(rows(remote={name: value}))


@pytest.mark.parametrize("row", [{"name": "localhost"}, {"name": "127.0.0.1"}, {"system": "localhost 1"}])
def test_a_row_is_not_the_control_node_by_its_name(row: dict[str, str], rows: WRITE) -> None:
    assert "this is the control node" in refused(rows(**row, remote={"ansible_host": "192.0.2.1"}))


# Files and texts


@pytest.mark.parametrize("key", ["payloads", "expect", "exercise"])
@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "below/../../secret", "link", "folder/secret"])
def test_a_row_names_no_file_that_is_not_beside_it(key: str, path: str, rows: WRITE, tmp_path: pathlib.Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "rows/below").mkdir()
    (tmp_path / "rows/link").symlink_to(tmp_path / "secret")
    (tmp_path / "rows/folder").symlink_to(tmp_path)
    told = refused(rows(image={}, **{key: [path] if key == "payloads" else path}))
    assert f"{path} is not beside this file" in told


@pytest.mark.parametrize("target", ["../../../tmp/evil", "zram; reboot", "-f", "a\nb"])
def test_a_target_is_the_name_of_a_module_and_no_path_of_an_exercise(target: str, rows: WRITE) -> None:
    assert "'target' must be the name of a kernel module" in refused(rows(image={}, target=target))


@pytest.mark.parametrize("params", [{"a b": "1"}, {"$(id)": "1"}, {"a": "1\n2"}, {"a": "\x1b[2J"}])
def test_a_parameter_of_a_target_is_a_word_in_one_line(params: dict[str, str], rows: WRITE) -> None:
    assert "a parameter is named by letters" in refused(rows(image={}, target="zram", target_params=params))


@pytest.mark.parametrize("key", ["system", "kernel", "why", "variant", "console"])
def test_a_text_of_a_row_does_nothing_to_a_terminal(key: str, rows: WRITE) -> None:
    assert f"'{key}' holds a character that cannot be printed" in refused(rows(image={}, **{key: "a\x1b]0;b\x07"}))


def test_jinja_in_a_row_stays_text(rows: WRITE, canary: pathlib.Path) -> None:
    jinja = f"{{{{ lookup('ansible.builtin.pipe', 'touch {canary}') }}}}"
    path = rows(why=jinja, variant=jinja, console=jinja, image={}, guest={"cmdline": jinja},
                target="zram", target_params={"a": jinja})  # fmt: skip
    texts = ["kedr_row.why", "kedr_row.variant", "kedr_console_shows", "kedr_guest.cmdline", "kedr_target_params.a"]
    tasks = [{"ansible.builtin.debug": {"msg": f"{{{{ {text} }}}}"}} for text in texts]
    done = play(path, *tasks, connection="local")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not canary.exists()
    assert done.stdout.count("{{ lookup(") == len(texts)
