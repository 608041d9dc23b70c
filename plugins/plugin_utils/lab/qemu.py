# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU for embedded guests: the machine's command line, the choice of the accelerator, the control socket."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..base.errors import KedrError
from ..base.files import write_file
from ..base.processes import arguments_of, start_of
from .spec import CloudSpec, GuestSpec, Progress, find_tool, lock

PROBE_SECONDS = 20.0
"""A probe guest that is not done by then counts as hanging; working acceleration needs a second or two."""

PROBE_TOKEN = b"kedr-lab: probe reached user space"
ACCELERATORS = ("auto", "kvm", "tcg")
KVM = "/dev/kvm"

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
"""QEMU may gain no privileges, start no programs, and change neither priorities nor affinities."""

# An oops must not let the guest live on, and with -no-reboot a panic ends QEMU.
CMDLINE = "console=ttyS0 panic=-1 oops=panic"

# Where Debian, openSUSE and Fedora keep the UEFI firmware for QEMU: code, and the variables that a guest starts with.
_UEFI = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
)

# A boot record that writes the text after it to the first serial port and resets the machine.
_BOOT_RECORD = bytes.fromhex("fafc31c08ed8be197cbaf803ac84c07403eeebf8ea0000ffff")

# Hardware passes its own processor through. Emulation offers all it can but the fifth level of page
# tables: without it a boot takes a fifth less processor time.
_CPU = {"kvm": "host", "tcg": "max,la57=off"}
_ACCEL = {"kvm": ["-accel", "kvm"], "tcg": ["-accel", "tcg,thread=multi,tb-size=256"]}


@dataclass(frozen=True)
class GuestFiles:
    """Files of one guest: paths, or the names that its QEMU has for them. ``kernel`` and ``disk`` are shared.

    Without a kernel the machine's firmware boots the disk, which then is a cloud image. ``initrd`` and ``seed`` hold
    the guest's secrets, ``overlay`` lies above the disk, ``uefi_variables`` is the firmware's memory, ``log`` has what
    QEMU itself says. The path of ``pidfile`` in a process's arguments is also how the process is known as ours.
    """

    directory: str
    kernel: str
    disk: str
    console: str
    initrd: str
    overlay: str
    seed: str
    uefi_variables: str
    qmp: str
    pidfile: str
    log: str
    disk_format: str = "raw"


_OWN = {
    "initrd": "initramfs", "overlay": "overlay.qcow2", "seed": "seed.iso", "uefi_variables": "uefi-variables",
    "qmp": "qmp", "pidfile": "qemu.pid", "log": "qemu.log",
}  # fmt: skip


def guest_files(directory: str, kernel: str, disk: str, console: str, disk_format: str = "raw") -> GuestFiles:
    """Return the paths of a guest whose own files are in a directory."""
    own = {field: os.path.join(directory, name) for field, name in _OWN.items()}
    return GuestFiles(directory, kernel, disk, console, disk_format=disk_format, **own)


# QEMU opens what it writes to read-only at first.
_FLAGS = {
    "kernel": [os.O_RDONLY], "initrd": [os.O_RDONLY], "disk": [os.O_RDONLY], "overlay": [os.O_RDONLY, os.O_RDWR],
    "seed": [os.O_RDONLY], "uefi_variables": [os.O_RDONLY, os.O_RDWR],
    "console": [os.O_WRONLY | os.O_CREAT | os.O_TRUNC], "pidfile": [os.O_RDONLY | os.O_CREAT],
}  # fmt: skip
_BY_NAME = ("kernel", "initrd")
"""QEMU takes these as no descriptors and opens them anew, so its user must be allowed to read them."""


def qemu_user() -> dict[str, Any]:
    """Return the options of Popen that take root's powers from QEMU: it is who called through sudo, else nobody.

    Nobody gets the group of /dev/kvm. A caller who is not root stays as he is.
    """
    if os.geteuid() != 0:
        return {}
    try:
        caller = int(os.environ.get("SUDO_UID") or 0)
        entry = pwd.getpwuid(caller) if caller else pwd.getpwnam("nobody")
    except (KeyError, ValueError) as error:
        raise KedrError(f"the control node has no user for QEMU: {error.args[0]}") from error
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    if not caller and os.path.exists(KVM) and os.stat(KVM).st_gid:
        groups.append(os.stat(KVM).st_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


@contextlib.contextmanager
def handed_over(files: GuestFiles) -> Iterator[tuple[GuestFiles, list[str], list[int]]]:
    """Open a guest's files for its QEMU, whose user may not reach them.

    Gives the names that QEMU has for them, the arguments that tell it of the descriptors, and the descriptors.
    """
    names, arguments, numbers = {}, [], []
    with contextlib.ExitStack() as opened:
        for field, modes in _FLAGS.items():
            path = getattr(files, field)
            if not path or not (modes[0] & os.O_CREAT or os.path.exists(path)):
                continue
            given = [_opened(path, flags, opened) for flags in modes]
            numbers += given
            if field in _BY_NAME:
                names[field] = f"/proc/self/fd/{given[0]}"
            else:
                names[field] = f"/dev/fdset/{given[0]}"
                what = f"set={given[0]},opaque={_option(path)}"
                arguments += [word for number in given for word in ("-add-fd", f"fd={number},{what}")]
        if "initrd" in names:
            os.chown(files.initrd, qemu_user().get("user", -1), -1)
        control = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with _short_name(files.qmp) as short:
            control.bind(short)
        names["qmp"] = str(control.fileno())
        yield replace(files, **names), arguments, [*numbers, control.fileno()]


def _opened(path: str, flags: int, opened: contextlib.ExitStack) -> int:
    number = os.open(path, flags, 0o600)
    opened.callback(os.close, number)
    return number


@contextlib.contextmanager
def _short_name(path: str) -> Iterator[str]:
    """Give a name for a path that is too long for a socket (107 bytes)."""
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)


def _option(value: str) -> str:
    """Quote a value inside a QEMU option: a comma is doubled."""
    return value.replace(",", ",,")


_BARE = (
    "-sandbox", SANDBOX, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc",
)  # fmt: skip


def machine_arguments(kernel: str, initrd: str, cmdline: str, accelerator: str, cpu: str = "") -> list[str]:
    """Return the part of the command line that a guest and a probe have in common."""
    return [
        *_BARE, "-no-reboot", *_ACCEL[accelerator], "-cpu", cpu or _CPU[accelerator],
        "-kernel", kernel, "-initrd", initrd, "-append", cmdline,
    ]  # fmt: skip


def disk_arguments(spec: GuestSpec, files: GuestFiles, accelerator: str) -> list[str]:
    """Return the part of a guest's command line that boots it from its disk, and gives it its seed.

    The guest may restart itself, into a new kernel for instance. A panic that it tells of ends QEMU.
    """
    arguments = [
        *_BARE, *_ACCEL[accelerator], "-cpu", spec.cpu or _CPU[accelerator],
        "-drive", f"if=none,id=seed,format=raw,readonly=on,file={_option(files.seed)}",
        "-device", "virtio-blk-pci,drive=seed", "-device", "pvpanic", "-action", "panic=shutdown",
    ]  # fmt: skip
    if isinstance(spec.image, CloudSpec) and spec.image.firmware == "uefi":
        arguments += uefi_arguments(files)
    return arguments


def uefi_arguments(files: GuestFiles) -> list[str]:
    """Return the part of a guest's command line that gives it UEFI firmware and the firmware's memory."""
    code, dummy = uefi_firmware()
    return [
        "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}",
        "-drive", f"if=pflash,format=raw,unit=1,file={_option(files.uefi_variables)}",
    ]  # fmt: skip


def uefi_firmware() -> tuple[str, str]:
    """Return the paths of the UEFI firmware's code and of its variables as they are at first."""
    for pair in _UEFI:
        if all(os.path.isfile(path) for path in pair):
            return pair
    raise KedrError("the UEFI firmware for QEMU is missing on the control node; install the package ovmf")


def guest_arguments(spec: GuestSpec, files: GuestFiles, port: int, accelerator: str) -> list[str]:
    """Return QEMU's arguments for a guest whose SSH server is to be at ``port`` of the loopback address."""
    cmdline = f"{CMDLINE} {spec.cmdline}".strip()
    restrict = "on" if spec.network == "restricted" else "off"
    if files.kernel:
        machine = machine_arguments(files.kernel, files.initrd, cmdline, accelerator, spec.cpu)
        machine += uefi_arguments(files) if spec.module_key else []
    else:
        machine = disk_arguments(spec, files, accelerator)
    return [
        "-name", f"guest={_option(spec.name)}",
        *machine,
        "-smp", str(spec.cpus), "-m", f"{spec.memory}M",
        "-drive", f"if=none,id=disk,format=qcow2,cache=unsafe,file={_option(files.overlay)},"
        f"backing.driver={files.disk_format},backing.file.filename={_option(files.disk)}",
        "-device", "virtio-blk-pci,drive=disk" + ("" if files.kernel else ",bootindex=1"),
        "-netdev", f"user,id=net,ipv6=off,restrict={restrict},hostfwd=tcp:127.0.0.1:{port}-:22",
        "-device", "virtio-net-pci,netdev=net,romfile=",
        "-chardev", f"file,id=console,path={_option(files.console)}", "-serial", "chardev:console",
        "-chardev", f"socket,id=qmp,fd={files.qmp},server=on,wait=off", "-mon", "chardev=qmp,mode=control",
    ]  # fmt: skip


def qemu_version(tool: str) -> str:
    """Return QEMU's version, such as ``7.2.22``."""
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"version (\d[0-9.]*)", done.stdout)
    if not match:
        raise KedrError(f"{tool} does not run: {(done.stderr or done.stdout).strip()}")
    return match[1]


def boot_id() -> str:
    """Return what tells this boot of the control node from every other."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def probe_arguments(files: GuestFiles) -> list[str]:
    """Return QEMU's arguments for a guest under KVM that says that it runs, and ends."""
    if files.kernel:
        machine = machine_arguments(files.kernel, files.initrd, f"{CMDLINE} quiet kedr.probe", "kvm")
    else:
        machine = [
            *_BARE, "-no-reboot", *_ACCEL["kvm"], "-cpu", _CPU["kvm"],
            "-drive", f"if=ide,format=raw,file={files.overlay}",
        ]  # fmt: skip
    console = f"file,id=console,path={files.console}"
    return [*machine, "-m", "512M", "-chardev", console, "-serial", "chardev:console"]


def run_probe(tool: str, kernel: str, initramfs: bytes, work: str) -> tuple[bool, str]:
    """Boot the kernel with hardware acceleration up to its first user process; returns (works, why).

    Without a kernel a boot record runs, after the machine's firmware: all that can be had before a cloud image runs.
    """
    with tempfile.TemporaryDirectory(dir=work, prefix=".probe-") as directory:
        files = guest_files(directory, kernel, "", os.path.join(directory, "console.log"))
        if kernel:
            write_file(files.initrd, initramfs)
        else:
            write_file(files.overlay, (_BOOT_RECORD + PROBE_TOKEN).ljust(510, b"\0") + b"\x55\xaa" + bytes(2**20))
        with handed_over(files) as (names, given, numbers):
            process = subprocess.Popen(
                [tool, *given, *probe_arguments(names)], pass_fds=numbers, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, **qemu_user(),
            )  # fmt: skip
        try:
            dummy, said = process.communicate(timeout=PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return False, f"KVM hangs: a probe guest did not reach user space within {PROBE_SECONDS:.0f} s"
        except BaseException:
            process.kill()
            process.wait()
            raise
        with contextlib.suppress(OSError), open(files.console, "rb") as stream:
            if PROBE_TOKEN in stream.read():
                return True, "a probe guest ran under KVM"
        text = said.decode(errors="replace").strip().splitlines()
        return False, f"KVM fails: {text[-1] if text else 'a probe guest ended early'}"


def choose_accelerator(
    wanted: str, tool: str, kernel: str, initramfs: bytes, cache: str, progress: Progress
) -> tuple[str, str]:
    """Return (``kvm`` or ``tcg``, the reason).

    ``auto`` takes KVM only if a probe run shows that it works: a device that exists may still hang guests.
    The result is kept in the cache for this boot of the machine, this QEMU and this user.
    """
    if wanted != "auto":
        return wanted, "as asked for"
    if not os.access(KVM, os.R_OK | os.W_OK):
        return "tcg", f"{KVM} is missing or may not be used by this user"
    path = os.path.join(cache, "accelerator.json")
    weaker = os.path.join(cache, "accelerator-firmware.json")
    key = f"{boot_id()} {qemu_version(tool)} {qemu_user().get('user', os.getuid())}"
    with lock(os.path.join(cache, ".accelerator.lock"), lambda: progress("waiting for another probe of KVM")):
        known = _known_probe(path, key) or (None if kernel else _known_probe(weaker, key))
        if known:
            return known
        progress(f"probing whether KVM works (at most {PROBE_SECONDS:.0f} s, once per boot of this machine)")
        works, reason = run_probe(tool, kernel, initramfs, cache)
        accelerator = "kvm" if works else "tcg"
        content = {"key": key, "accelerator": accelerator, "reason": reason}
        write_file(path if kernel else weaker, json.dumps(content).encode() + b"\n")
        return accelerator, reason


def _known_probe(path: str, key: str) -> tuple[str, str] | None:
    """Return what an earlier probe found, if it was made for the same key."""
    try:
        with open(path, encoding="utf-8") as stream:
            known = json.load(stream)
        return (str(known["accelerator"]), str(known["reason"])) if known["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def make_overlay(files: GuestFiles, size_mb: int = 0) -> None:
    """Make a fresh overlay; whatever an earlier guest wrote is gone. ``size_mb``: its size, else the disk's.

    A disk whose overlay has a size of its own is not opened: a vendor made it.
    """
    tool = find_tool("qemu-img", "qemu-utils")
    command = [tool, "create", "-q", "-f", "qcow2", "-b", files.disk, "-F", files.disk_format]
    command += ["-u", files.overlay, f"{size_mb}M"] if size_mb else [files.overlay]
    if os.path.lexists(files.overlay):
        os.unlink(files.overlay)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KedrError(f"cannot make the guest's disk {files.overlay}: {done.stderr.strip()}")
    os.chmod(files.overlay, 0o600)


def free_port() -> int:
    """Return a TCP port of the loopback address that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(command: Sequence[str], log: str, numbers: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start QEMU with open descriptors so that it outlives us and a Ctrl-C; its messages go to ``log``."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, os.fsencode(shlex.join(command)) + b"\n")
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True, umask=0o077,
            pass_fds=numbers, **qemu_user(),
        )  # fmt: skip
    finally:
        os.close(handle)


def is_running(pid: int, pidfile: str) -> bool:
    """Tell whether the process lives and is the QEMU that was started with this pidfile.

    A number alone proves nothing: the process may have ended and its number may be another's now.
    """
    mark = os.fsencode(_option(pidfile))
    return bool(start_of(pid)) and any(argument.endswith(mark) for argument in arguments_of(pid))


def qmp_quit(path: str, seconds: float = 5.0) -> bool:
    """Ask QEMU to end through its control socket; False when it cannot be asked."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link, _short_name(path) as name:
            link.settimeout(seconds)
            link.connect(name)
            stream = link.makefile("rwb")
            stream.readline()
            for command in ("qmp_capabilities", "quit"):
                stream.write(json.dumps({"execute": command}).encode() + b"\n")
                stream.flush()
                answer = stream.readline()
                while b'"event"' in answer:
                    answer = stream.readline()
                if b'"return"' not in answer:
                    return False
            return True
    except OSError:
        return False


def wait_gone(pid: int, pidfile: str, seconds: float) -> bool:
    """Wait until the process is gone; False when it is still there after that time."""
    limit = time.monotonic() + seconds
    while is_running(pid, pidfile):
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def kill(pid: int, pidfile: str, number: signal.Signals) -> None:
    """Send a signal to the process, but only if it is ours."""
    if is_running(pid, pidfile):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
