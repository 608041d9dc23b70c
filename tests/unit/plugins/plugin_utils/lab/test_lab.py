# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and ending guests, with stand-ins for QEMU and ssh that behave as each test needs."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import textwrap
import time
from unittest import mock

import pytest
import yaml
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab import accelerator as acceleration
from ansible_collections.kedr.lab.plugins.plugin_utils.lab import boot, command_line, qemu
from ansible_collections.kedr.lab.plugins.plugin_utils.lab import lab as labs
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.accelerator import choose_accelerator
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.command_line import CMDLINE, guest_arguments
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.files import guest_files, handed_over
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cache import image_dir
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import DebianSpec
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.ways import load_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.initramfs import guest_archive, guest_script
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.inventory import variables
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.lab import Lab
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.qemu import is_running, qmp_quit
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.spec import GuestSpec
from processes import all_end

# A machine that writes its console, answers its control socket and ends when asked to. MODE says how it behaves.
QEMU = """
import json, os, socket, sys, time
arguments = sys.argv[1:]
if "--version" in arguments:
    print("QEMU emulator version 9.9.9")
    sys.exit()
def option(name, part=""):
    values = [word for place, word in enumerate(arguments) if arguments[place - 1] == name]
    return next(word[len(part):] for value in values for word in value.split(",") if word.startswith(part))
def given(path):
    return open(int(path.removeprefix("/dev/fdset/")), "w")
mode = open(os.environ["MODE"]).read()
tries = os.environ["MODE"] + ".tries"
open(tries, "a").write("x")
if mode == "refuse":
    sys.exit("qemu: no such thing")
if mode == "port" and len(open(tries).read()) == 1:
    sys.exit("qemu: Could not set up host forwarding rule 'tcp'")
if "-append" in arguments and "kedr.probe" in option("-append"):
    if mode == "hang":
        time.sleep(60)
    given(option("-chardev", "path=")).write("kedr-lab: probe reached user space" if mode == "good" else "")
    sys.exit()
name = option("-name", "guest=")
console = given(option("-chardev", "path="))
if mode == "panic":
    console.write("Kernel panic - not syncing: no root\\n" + "trace\\n" * 30)
    sys.exit()
console.write("[0.0] Linux\\n")
if mode != "silent":
    console.write("kedr-lab: guest %s is ready for logins\\n" % name)
console.flush()
server = socket.socket(fileno=int(option("-chardev", "fd=")))
server.listen()
while True:
    link = server.accept()[0].makefile("rwb")
    link.write(b'{"QMP": {}}\\n'), link.flush()
    for line in link:
        if mode != "deaf":
            link.write(b'{"event": "SHUTDOWN"}\\n{"return": {}}\\n'), link.flush()
            if json.loads(line)["execute"] == "quit":
                sys.exit()
"""

SSH = """#!/bin/sh
[ "$(cat "$MODE")" != noshell ] || { echo "Permission denied (publickey)." >&2; exit 255; }
for word; do last=$word; done
case $last in
*result.json*)
    echo 6.12.1-cloud
    [ -e "$MODE.done" ] && cat "$MODE.done"
    echo x >>"$MODE.asked"
    [ "$(wc -l <"$MODE.asked")" -lt 2 ] || echo '{"v1": {"errors": ["set_hostname failed"]}}' >"$MODE.done"
    exit 0 ;;
esac
[ "$last" != poweroff ] || [ ! -e "$MODE.off" ] || kill "$(cat "$(cat "$MODE.off")")"
"""


DISK = 1 << 30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Stand-ins in PATH and an image in the cache; writing to the returned file chooses how guests behave."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "qemu.py").write_text(QEMU)
    (programs / "qemu-system-x86_64").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(programs / "qemu.py"))} "$@"\n'
    )
    (programs / "qemu-img").write_text('#!/bin/sh\nfor a; do case $a in *overlay.qcow2) : >"$a" ;; esac; done\n')
    (programs / "ssh").write_text(SSH)
    for program in programs.iterdir():
        program.chmod(0o755)
    mode = tmp_path / "mode"
    mode.write_text("good")
    monkeypatch.setenv("MODE", str(mode))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(qemu, "qemu_user", dict)  # only root finds the stand-ins
    monkeypatch.setattr(labs, "base_initramfs", lambda *arguments: b"")
    monkeypatch.setattr(labs, "POWEROFF_SECONDS", 0.3)
    directory = image_dir(str(tmp_path / "cache"), DebianSpec.load({}))
    os.makedirs(directory)
    with open(os.path.join(directory, "image.json"), "w") as stream:
        json.dump({"release": "6.1.0-9-amd64"}, stream)
    open(os.path.join(directory, "vmlinuz"), "w").close()
    with open(os.path.join(directory, "disk.raw"), "wb") as stream:
        stream.truncate(DISK)
    return mode


@pytest.fixture
def lab(tmp_path, machine):
    """A lab whose guests are all ended after the test; ``lab.told`` holds its progress lines."""
    told: list[str] = []
    made = Lab(str(tmp_path / "lab"), str(tmp_path / "cache"), told.append)
    made.told = told
    yield made
    for guest in made.guests():
        if guest.running:
            os.kill(guest.pid, signal.SIGKILL)


def specs(*names, **options):
    return [GuestSpec.load({"name": name, **options}, {}) for name in names]


def start(lab, wanted, seconds=20.0, console_root=""):
    return lab.start(wanted, "tcg", console_root, seconds)


def test_guests_run_side_by_side_each_with_its_own_port_key_and_files(lab):
    changed, guests = start(lab, specs("one", "two"))
    assert changed
    assert [guest.name for guest in guests] == ["one", "two"]
    assert all(guest.running and guest.boot_seconds > 0 for guest in guests)
    for part in ("port", "pid", "host_key", "console", "qmp", "pidfile"):
        assert len({getattr(guest, part) for guest in guests}) == 2, part


def test_the_inventory_holds_what_a_run_needs(lab):
    dummy, (guest,) = start(lab, specs("one"))
    with open(lab.inventory) as stream:
        data = yaml.safe_load(stream)
    variables = data["kedr_guests"]["hosts"]["one"]
    assert variables["ansible_host"] == "127.0.0.1"
    assert variables["ansible_port"] == guest.port
    assert variables["kedr_test_host"] is True
    assert variables["kedr_embedded"] is True
    assert variables["kedr_build_root"].endswith("/tree")
    assert variables["kedr_console"] == guest.console
    assert variables["kedr_qemu_pidfile"] == guest.pidfile
    assert "StrictHostKeyChecking=yes" in variables["ansible_ssh_common_args"]
    with open(lab.access.known_hosts) as stream:
        assert stream.read() == f"[127.0.0.1]:{guest.port} {guest.host_key}\n"


def test_a_guest_that_trusts_a_key_starts_by_uefi_and_names_the_key_which_goes_with_it(lab, tmp_path, monkeypatch):
    firmware = tmp_path / "code", tmp_path / "variables"
    for path in firmware:
        path.write_bytes(b"")
    monkeypatch.setattr(command_line, "_UEFI", (tuple(map(str, firmware)),))
    monkeypatch.setattr(labs.uefi, "trusting", lambda variables, certificate: b"trusts " + certificate)
    dummy, (guest,) = start(lab, specs("one", module_key=True))
    host = variables(guest, lab.access)
    certificate = subprocess.run(
        ["openssl", "x509", "-in", host["kedr_signing_cert"], "-outform", "der"], check=True, capture_output=True
    ).stdout
    (given,) = (word.partition("file=")[2] for word in guest.command if "pflash" in word and "readonly" not in word)
    told = f"set={given.removeprefix('/dev/fdset/')},opaque="
    (memory,) = {word.partition(told)[2] for word in guest.command if told in word}
    with open(memory, "rb") as stream:
        assert stream.read() == b"trusts " + certificate
    assert stat.S_IMODE(os.stat(host["kedr_signing_key"]).st_mode) == 0o600
    lab.stop()
    assert not os.path.exists(host["kedr_signing_key"])


def test_a_guest_that_asks_for_none_gets_no_key(lab):
    dummy, (guest,) = start(lab, specs("one"))
    assert "kedr_signing_key" not in variables(guest, lab.access)
    assert "pflash" not in " ".join(guest.command)


CLOUD = {"cloud": {"url": "https://h/disk.qcow2", "sha256": "0" * 64}}


@pytest.fixture
def cloud_image(tmp_path):
    """A cloud image in the cache."""
    directory = image_dir(str(tmp_path / "cache"), load_image(CLOUD))
    os.makedirs(directory)
    with open(os.path.join(directory, "image.json"), "w") as stream:
        json.dump({"release": "", "disk": "disk.qcow2", "format": "qcow2", "virtual_mb": 3072}, stream)
    open(os.path.join(directory, "disk.qcow2"), "w").close()


def test_a_cloud_guest_is_ready_when_cloud_init_says_so_and_tells_its_kernel(lab, cloud_image, machine):
    dummy, (guest,) = start(lab, specs("one", image=CLOUD))
    with open(f"{machine}.asked") as stream:
        assert len(stream.readlines()) >= 2
    assert guest.kernel_release == "6.12.1-cloud"
    assert "one: cloud-init complains: set_hostname failed" in lab.told
    told = variables(guest, lab.access)
    assert (told["kedr_build_root"], told["host_install_packages"]) == ("", True)


def test_a_cloud_guest_has_a_private_seed_which_goes_with_it(lab, cloud_image):
    dummy, (guest,) = start(lab, specs("one", image=CLOUD))
    seed = os.path.join(os.path.dirname(guest.pidfile), "seed.iso")
    assert stat.S_IMODE(os.stat(seed).st_mode) == 0o600
    with open(seed, "rb") as stream:
        assert guest.host_key.encode() in stream.read()
    lab.stop()
    assert not os.path.exists(seed)


def test_a_cloud_guest_may_take_three_times_as_long(lab, cloud_image, machine, monkeypatch):
    monkeypatch.setattr(boot, "RETRY_SECONDS", 0.1)
    machine.write_text("silent")
    with pytest.raises(KedrError, match="took no login within 3 s"):
        start(lab, specs("one", image=CLOUD), seconds=1.0)


def test_secrets_and_consoles_are_private(lab):
    dummy, (guest,) = start(lab, specs("one"))
    own = os.path.dirname(guest.pidfile)
    assert stat.S_IMODE(os.stat(lab.directory).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(own).st_mode) == 0o700
    own_files = (f"{own}/host_key", f"{own}/initramfs", f"{own}/overlay.qcow2", guest.console)
    for path in (lab.access.key, lab.inventory, *own_files):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path


def test_a_second_start_changes_nothing(lab):
    dummy, (first,) = start(lab, specs("one"))
    changed, (second,) = start(lab, specs("one"))
    assert not changed
    assert second.pid == first.pid
    assert lab.missing(specs("one")) == []


def test_a_guest_asked_for_differently_is_started_anew(lab):
    dummy, (first,) = start(lab, specs("one"))
    assert lab.missing(specs("one", memory=512)) == ["one"]
    changed, (second,) = start(lab, specs("one", memory=512))
    assert changed
    assert not first.running
    assert second.running


def test_a_guest_that_never_took_a_login_is_started_anew(lab, machine):
    dummy, (first,) = start(lab, specs("one"))
    path = os.path.join(os.path.dirname(first.pidfile), "guest.json")
    with open(path) as stream:
        data = json.load(stream)
    with open(path, "w") as stream:
        json.dump({**data, "boot_seconds": 0.0}, stream)
    assert start(lab, specs("one"))[0]
    assert not first.running


def test_the_console_goes_where_it_is_asked_for_and_stays_after_the_end(lab, tmp_path):
    start(lab, specs("one"), console_root=str(tmp_path / "run"))
    lab.stop()
    assert "ready for logins" in (tmp_path / "run/one/console.log").read_text()


def test_stop_ends_all_and_leaves_no_secret(lab):
    dummy, guests = start(lab, specs("one", "two"))
    assert lab.stop() == ["one", "two"]
    assert not any(guest.running for guest in guests)
    left = {name for guest in guests for name in os.listdir(os.path.dirname(guest.pidfile))}
    assert left == {"console.log", "qemu.log"}
    assert lab.stop() == []


def test_stop_of_one_guest_leaves_the_other(lab):
    dummy, (one, two) = start(lab, specs("one", "two"))
    assert lab.stop(["one"]) == ["one"]
    assert not one.running
    assert two.running
    with open(lab.inventory) as stream:
        assert list(yaml.safe_load(stream)["kedr_guests"]["hosts"]) == ["two"]


def test_a_guest_that_does_not_answer_is_killed(lab, machine, monkeypatch):
    machine.write_text("deaf")
    monkeypatch.setattr(labs, "qmp_quit", lambda path: qmp_quit(path, 0.2))
    dummy, (guest,) = start(lab, specs("one"))
    assert lab.stop() == ["one"]
    assert not guest.running


def test_a_guest_that_powers_itself_off_is_not_asked_to_quit(lab, machine, monkeypatch):
    dummy, (guest,) = start(lab, specs("one"))
    (machine.parent / "mode.off").write_text(guest.pidfile)
    monkeypatch.setattr(labs, "POWEROFF_SECONDS", 5)
    monkeypatch.setattr(labs, "qmp_quit", lambda path: pytest.fail("asked to quit"))
    assert lab.stop() == ["one"]
    assert not guest.running


def test_stop_leaves_a_process_alone_that_only_has_the_number(lab):
    dummy, (guest,) = start(lab, specs("one"))
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        path = os.path.join(os.path.dirname(guest.pidfile), "guest.json")
        with open(path) as stream:
            data = json.load(stream)
        os.kill(guest.pid, signal.SIGKILL)
        with open(path, "w") as stream:
            json.dump({**data, "pid": stranger.pid}, stream)
        assert lab.stop() == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_stop_without_a_lab_does_nothing(tmp_path):
    assert Lab(str(tmp_path / "none"), str(tmp_path), print).stop() == []
    assert not (tmp_path / "none").exists()


def test_a_taken_port_is_replaced_by_another(lab, machine):
    machine.write_text("port")
    changed, (guest,) = start(lab, specs("one"))
    assert changed
    assert guest.running
    assert (machine.parent / "mode.tries").read_text() == "xx"


def test_a_machine_that_refuses_to_start_shows_its_own_words(lab, machine):
    machine.write_text("refuse")
    with pytest.raises(KedrError) as caught:
        start(lab, specs("one"))
    assert "guest one ended before it took a login (QEMU: exit status 1)" in str(caught.value)
    assert "qemu: no such thing" in str(caught.value)
    assert caught.value.kind == "INFRA"


def test_a_panic_shows_its_reason_and_the_consoles_last_lines(lab, machine):
    machine.write_text("panic")
    with pytest.raises(KedrError) as caught:
        start(lab, specs("one"))
    text = str(caught.value)
    assert "Its kernel says: Kernel panic - not syncing: no root" in text
    assert text.count("  trace") == boot.CONSOLE_LINES


def test_no_file_of_a_guest_may_grow_much_larger_than_its_disk(lab):
    (guest,) = start(lab, specs("one"))[1]
    with open(f"/proc/{guest.pid}/limits") as stream:
        (limit,) = [line.split()[3] for line in stream if line.startswith("Max file size")]
    assert DISK < int(limit) < 2 * DISK


def test_of_a_long_console_only_the_end_is_read(lab, tmp_path):
    path = tmp_path / "console"
    with path.open("wb") as stream:
        stream.truncate(4 << 30)
        stream.seek(0, os.SEEK_END)
        stream.write(b"the end")
    text = boot.Boot._text(str(path))
    assert (text.endswith("the end"), len(text)) == (True, boot.MAX_READ)


def test_a_guest_that_is_never_ready_is_ended_after_the_time_limit(lab, machine):
    machine.write_text("silent")
    with pytest.raises(KedrError, match="took no login within 1 s"):
        start(lab, specs("one"), seconds=1.0)
    assert lab.guests() == []


def test_a_refused_login_is_told_with_the_reason(lab, machine):
    machine.write_text("noshell")
    with pytest.raises(KedrError, match="The last login failed: ssh: Permission denied"):
        start(lab, specs("one"), seconds=2.0)


def test_a_guest_that_fails_takes_those_started_with_it_down_but_not_others(lab, machine):
    dummy, (first,) = start(lab, specs("first"))
    machine.write_text("panic")
    with pytest.raises(KedrError, match="guest bad"):
        start(lab, specs("bad"))
    assert first.running
    assert [guest.name for guest in lab.guests()] == ["first"]


def test_an_interrupted_start_leaves_no_machine_behind(lab, monkeypatch):
    pids = []

    def interrupt(boots, seconds):
        pids.extend(boot.qemu.pid for boot in boots)
        raise KeyboardInterrupt

    monkeypatch.setattr(lab, "_wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        start(lab, specs("one", "two"))
    assert len(pids) == 2
    assert all_end(pids)
    assert lab.guests() == []


def test_a_missing_image_is_named(lab):
    with pytest.raises(KedrError, match=r"its image bookworm-amd64-[0-9a-f]+ is not in the cache"):
        start(lab, specs("one", image={"suite": "bookworm"}))


def test_every_start_has_a_fresh_disk_and_a_fresh_host_key(lab):
    dummy, (first,) = start(lab, specs("one"))
    lab.stop()
    dummy, (second,) = start(lab, specs("one"))
    assert first.host_key != second.host_key


def test_ssh_gets_paths_with_spaces_and_percent_signs_as_they_are(tmp_path):
    lab = Lab(str(tmp_path / "a b%d"), str(tmp_path), print)
    done = subprocess.run([*lab.access.command(1)[:-1], "-G", "x"], capture_output=True, text=True, check=False)
    assert f"userknownhostsfile {lab.access.known_hosts}\n" in done.stdout


def files(directory="/lab/one"):
    return guest_files(directory, "/k", "/d", f"{directory}/console.log")


def value(arguments, name):
    return arguments[arguments.index(name) + 1]


def test_the_machine_is_reachable_on_the_loopback_address_only():
    arguments = guest_arguments(specs("one")[0], files(), 2222, "tcg")
    assert "hostfwd=tcp:127.0.0.1:2222-:22" in value(arguments, "-netdev")


def test_an_oops_panics_and_a_panic_ends_the_machine():
    arguments = guest_arguments(specs("one", cmdline="retbleed=stuff")[0], files(), 1, "tcg")
    assert value(arguments, "-append") == f"{CMDLINE} retbleed=stuff"
    assert {"panic=-1", "oops=panic"} <= set(CMDLINE.split())
    assert "-no-reboot" in arguments


def test_nothing_turns_layout_randomisation_or_mitigations_off():
    text = " ".join(guest_arguments(specs("one")[0], files(), 1, "tcg"))
    assert "nokaslr" not in text
    assert "mitigations" not in text


def test_a_comma_in_a_path_does_not_end_an_option():
    arguments = guest_arguments(specs("one")[0], files("/a,b"), 1, "tcg")
    assert "path=/a,,b/console.log" in value(arguments, "-chardev")
    assert "file=/a,,b/overlay.qcow2" in value(arguments, "-drive")


def test_qemu_gets_its_files_open_and_the_names_that_it_has_for_them(tmp_path):
    directory = tmp_path / "a,b" / ("x" * 120)
    directory.mkdir(parents=True)
    made = guest_files(str(directory), "", str(tmp_path / "disk"), str(directory / "console.log"), "qcow2")
    for path in (made.disk, made.overlay, made.seed):
        open(path, "w").close()
    with handed_over(made) as (names, arguments, numbers):
        text = " ".join(guest_arguments(specs("one", image=CLOUD)[0], names, 1, "tcg"))
        assert all(os.get_inheritable(number) is False for number in numbers)
    assert str(tmp_path) not in text
    assert f"backing.driver=qcow2,backing.file.filename={names.disk}" in text
    assert (names.kernel, names.qmp) == ("", str(numbers[-1]))
    told = [word.split(",opaque=")[1] for word in arguments if "opaque=" in word]
    both_ways = [made.overlay, made.overlay]
    expected = [made.disk, *both_ways, made.seed, made.console, made.pidfile]
    assert told == [path.replace(",", ",,") for path in expected]
    assert {stat.S_IMODE(os.stat(path).st_mode) for path in (made.console, made.pidfile)} == {0o600}


@pytest.mark.parametrize(
    ("uid", "caller", "kvm", "expected"),
    [
        (1000, "", 20, {}),
        (1000, "7", 20, {}),
        (0, "1000", 20, {"user": 1000, "group": 50, "extra_groups": [50, 60]}),
        (0, "", 20, {"user": 99, "group": 98, "extra_groups": [98, 20]}),
        (0, "0", 0, {"user": 99, "group": 98, "extra_groups": [98]}),
    ],
)
def test_qemu_runs_as_who_called_and_never_as_root(monkeypatch, uid, caller, kvm, expected):
    users = {1000: mock.Mock(pw_uid=1000, pw_gid=50, pw_name="ann")}
    nobody = mock.Mock(pw_uid=99, pw_gid=98, pw_name="nobody")
    groups = {"ann": [50, 60], "nobody": [98]}
    monkeypatch.setenv("SUDO_UID", caller)
    monkeypatch.setattr(qemu.os, "geteuid", lambda: uid)
    monkeypatch.setattr(qemu.pwd, "getpwuid", users.__getitem__)
    monkeypatch.setattr(qemu.pwd, "getpwnam", {"nobody": nobody}.__getitem__)
    monkeypatch.setattr(qemu.os, "getgrouplist", lambda name, group: list(groups[name]))
    monkeypatch.setattr(qemu.os, "stat", lambda path: mock.Mock(st_gid=kvm))
    monkeypatch.setattr(qemu.os.path, "exists", lambda path: True)
    assert qemu.qemu_user() == expected


@pytest.mark.parametrize("caller", ["4294967294", "ann"])
def test_a_caller_whom_the_control_node_does_not_know_is_told(monkeypatch, caller):
    monkeypatch.setenv("SUDO_UID", caller)
    monkeypatch.setattr(qemu.os, "geteuid", lambda: 0)
    with pytest.raises(KedrError, match=rf"has no user for QEMU: .*{caller}"):
        qemu.qemu_user()


@pytest.mark.parametrize("image", [{}, CLOUD])
def test_every_machine_and_every_probe_has_a_sandbox(image):
    paths = guest_files("/l", "" if image else "/k", "/d", "/c")
    arguments = guest_arguments(specs("one", image=image)[0], paths, 1, "tcg")
    assert value(arguments, "-sandbox") == "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    for kernel in ("/k", ""):
        assert "-sandbox" in acceleration.probe_arguments(guest_files("/l", kernel, "", "/c"))


def test_a_guest_is_shut_in_unless_its_network_is_open():
    shut, wide = (guest_arguments(specs("one", network=name)[0], files(), 1, "tcg") for name in ("restricted", "open"))
    assert "restrict=on,hostfwd=" in value(shut, "-netdev")
    assert "restrict=off,hostfwd=" in value(wide, "-netdev")


def test_hardware_acceleration_passes_the_processor_through():
    assert value(guest_arguments(specs("one")[0], files(), 1, "kvm"), "-cpu") == "host"
    assert value(guest_arguments(specs("one", cpu="Nehalem")[0], files(), 1, "kvm"), "-cpu") == "Nehalem"


def choose(machine, told, device, wanted="auto"):
    qemu.KVM = str(device)
    cache = machine.parent / "cache"
    tool = str(machine.parent / "programs/qemu-system-x86_64")
    return choose_accelerator(wanted, tool, "/k", b"", str(cache), told.append)


@pytest.fixture
def device(tmp_path, monkeypatch):
    monkeypatch.setattr(qemu, "KVM", qemu.KVM)
    path = tmp_path / "kvm"
    path.write_text("")
    return path


def test_kvm_is_taken_if_a_probe_guest_shows_that_it_works(machine, device):
    assert choose(machine, [], device) == ("kvm", "a probe guest ran under KVM")


def test_kvm_that_hangs_is_not_taken(machine, device, monkeypatch):
    machine.write_text("hang")
    monkeypatch.setattr(acceleration, "PROBE_SECONDS", 1.0)
    accelerator, reason = choose(machine, [], device)
    assert accelerator == "tcg"
    assert "KVM hangs" in reason


def test_kvm_that_fails_is_not_taken_and_says_why(machine, device):
    machine.write_text("refuse")
    assert choose(machine, [], device) == ("tcg", "KVM fails: qemu: no such thing")


def test_the_result_of_a_probe_is_kept_for_this_boot(machine, device, monkeypatch):
    told: list[str] = []
    choose(machine, told, device)
    machine.write_text("refuse")
    assert choose(machine, told, device)[0] == "kvm"
    assert len(told) == 1
    monkeypatch.setattr(acceleration, "boot_id", lambda: "another boot")
    assert choose(machine, told, device)[0] == "tcg"


def test_a_missing_device_needs_no_probe(machine, device, tmp_path):
    told: list[str] = []
    accelerator, reason = choose(machine, told, tmp_path / "none")
    assert accelerator == "tcg"
    assert "is missing or may not be used" in reason
    assert told == []


def test_an_accelerator_that_is_asked_for_is_not_probed(machine, device):
    machine.write_text("refuse")
    assert choose(machine, [], device, "kvm") == ("kvm", "as asked for")


def test_a_process_is_ours_only_with_our_pidfile_in_its_arguments():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "-pidfile", "/x/qemu.pid"])
    try:
        time.sleep(0.05)
        assert is_running(process.pid, "/x/qemu.pid")
        assert not is_running(process.pid, "/y/qemu.pid")
    finally:
        process.kill()
    limit = time.monotonic() + 10
    while is_running(process.pid, "/x/qemu.pid") and time.monotonic() < limit:
        time.sleep(0.01)
    assert not is_running(process.pid, "/x/qemu.pid"), "a dead process that nobody has waited for is not running"
    process.wait()


def test_the_guests_own_archive_holds_its_name_and_its_secrets_closed():
    data = guest_archive("one", b"HOSTKEY", b"CLIENTKEY")
    assert b"KEDR_NAME=one\n" in data
    for secret, mode in ((b"HOSTKEY", b"00008180"), (b"CLIENTKEY", b"00008180")):
        head = data.rindex(b"070701", 0, data.index(secret))
        assert data[head + 14 : head + 22] == mode


@pytest.mark.parametrize("name", ["initramfs.sh", "guest.sh"])
def test_the_scripts_of_the_guest_are_plain_sh(name):
    script = guest_script(name)
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\tmount -t tracefs" not in script
    assert textwrap.dedent(script.decode()) == script.decode()
