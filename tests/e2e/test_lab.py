# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded lab on real guests: what is inside a guest, and its way from power-on to power-off."""

from __future__ import annotations

import json
import pathlib
import stat
import time

import yaml
from guests import Lab, playbook


def guest(lab: Lab, name: str) -> dict:
    return json.loads((lab.directory / name / "guest.json").read_text())


def runs(pid: int) -> bool:
    """Tell whether a process lives; one that is dead and not yet waited for does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_guest_runs_the_distributions_kernel_with_headers_and_compiler(lab: Lab) -> None:
    release = lab.ssh("one", "uname -r").strip()
    assert release == guest(lab, "one")["kernel_release"]
    assert lab.ssh("one", f"test -f /lib/modules/{release}/build/Makefile && gcc -dumpmachine").startswith("x86_64")


def test_the_build_root_of_a_guest_has_the_guests_kernel_and_no_secrets(lab: Lab) -> None:
    tree = pathlib.Path(lab.hosts["one"]["kedr_build_root"])
    assert (tree / "lib/modules" / guest(lab, "one")["kernel_release"] / "build").is_symlink()
    assert list((tree / "etc/ssh").glob("*host*key*")) == []
    assert list((tree / "root/.ssh").glob("*")) == []


def test_file_systems_are_mounted_but_tracefs_is_left_to_the_runs(own_lab) -> None:
    lab = own_lab({"name": "fresh"})
    mounts = {line.split()[1]: line.split()[2] for line in lab.ssh("fresh", "cat /proc/mounts").splitlines()}
    assert mounts["/"] == "ext4"
    assert {"/proc", "/sys", "/dev", "/dev/pts", "/run", "/tmp", "/sys/kernel/security"} <= set(mounts)
    assert "tracefs" not in mounts.values()
    console = pathlib.Path(lab.hosts["fresh"]["kedr_console"])
    down = playbook("playbooks/lab_down.yml", lab=lab.directory)
    assert down.returncode == 0, down.stdout + down.stderr
    text = console.read_text(errors="replace")
    assert "Linux version" in text.splitlines()[0]
    assert "kedr-lab: guest fresh is ready for logins" in text
    assert "Power down" in text.splitlines()[-1]


def test_orphans_are_reaped(lab: Lab) -> None:
    lab.ssh("one", "for i in 1 2 3; do (sleep 0.2 &); done; sleep 1")
    states = lab.ssh("one", "cat /proc/[0-9]*/stat 2>/dev/null", check=False)
    assert [line for line in states.splitlines() if line.rpartition(")")[2].split()[0] == "Z"] == []


def test_a_guest_is_reachable_on_the_loopback_address_only(lab: Lab) -> None:
    for name, hostvars in lab.hosts.items():
        port = f"{int(hostvars['ansible_port']):04X}"
        table = pathlib.Path("/proc/net/tcp").read_text() + pathlib.Path("/proc/net/tcp6").read_text()
        bound = [line.split()[1] for line in table.splitlines() if line.split()[1].endswith(f":{port}")]
        assert f"0100007F:{port}" in bound, name
        assert {address.rpartition(":")[0] for address in bound} == {"0100007F"}, name


def test_keys_and_consoles_are_private(lab: Lab) -> None:
    for path in (lab.directory / "ssh_key", lab.directory / "inventory.yml", lab.directory / "one/console.log"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_second_start_changes_nothing_and_another_labs_end_touches_nothing(lab: Lab, tmp_path: pathlib.Path) -> None:
    before = guest(lab, "one")["pid"]
    guests = json.dumps({"lab_guests": [{"name": "one"}, {"name": "two"}]})
    again = playbook("playbooks/lab_up.yml", "-e", guests, lab=lab.directory)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "changed=0" in again.stdout
    other = playbook("playbooks/lab_down.yml", lab=tmp_path / "other")
    assert other.returncode == 0, other.stdout + other.stderr
    assert guest(lab, "one")["pid"] == before
    assert lab.ssh("one", "hostname") == "one\n"


def test_an_oops_ends_the_guest_and_stays_on_its_console(own_lab) -> None:
    lab = own_lab({"name": "doomed"})
    pid = guest(lab, "doomed")["pid"]
    lab.ssh("doomed", "echo c >/proc/sysrq-trigger", check=False)
    limit = time.monotonic() + 60
    while runs(pid) and time.monotonic() < limit:
        time.sleep(0.2)
    assert not runs(pid)
    console = (lab.directory / "doomed/console.log").read_text(errors="replace")
    assert "Kernel panic - not syncing" in console


def test_a_guest_that_does_not_boot_is_infra_and_shows_its_console(tmp_path: pathlib.Path) -> None:
    guests = json.dumps({"lab_guests": [{"name": "stuck", "cmdline": "rdinit=/nothing root=/dev/none"}]})
    up = playbook("playbooks/lab_up.yml", "-e", guests, lab=tmp_path / "lab")
    output = up.stdout + up.stderr
    assert up.returncode != 0
    assert "INFRA" in output
    assert "guest stuck ended before it took a login" in output
    assert "Kernel panic - not syncing: VFS" in output
    assert not (tmp_path / "lab/stuck/guest.json").exists()


def test_guests_work_in_a_lab_directory_with_a_long_and_odd_path(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "a b, c" / ("x" * 100)
    up = playbook("playbooks/lab_up.yml", "-e", json.dumps({"lab_guests": [{"name": "far"}]}), lab=directory)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        inventory = yaml.safe_load((directory / "inventory.yml").read_text())
        assert Lab(directory, inventory["kedr_guests"]["hosts"]).ssh("far", "hostname") == "far\n"
    finally:
        down = playbook("playbooks/lab_down.yml", lab=directory)
    assert down.returncode == 0, down.stdout + down.stderr
