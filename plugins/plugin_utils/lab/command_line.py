# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of a guest's machine, and the files that belong to it."""

import os

from ..base.errors import KedrError
from .files import GuestFiles
from .qemu import quoted
from .spec import GuestSpec

# An oops must not let the guest live on, and with -no-reboot a panic ends QEMU.
CMDLINE = "console=ttyS0 panic=-1 oops=panic"

# Where Debian, openSUSE and Fedora keep the UEFI firmware for QEMU: code, and the variables that a guest starts with.
_UEFI = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
)

# Hardware passes its own processor through. Emulation offers all it can but the fifth level of page
# tables: without it a boot takes a fifth less processor time.
CPU = {"kvm": "host", "tcg": "max,la57=off"}
ACCEL = {"kvm": ["-accel", "kvm"], "tcg": ["-accel", "tcg,thread=multi,tb-size=256"]}


SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
"""QEMU may gain no privileges, start no programs, and change neither priorities nor affinities."""

BARE = ("-sandbox", SANDBOX, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc")


def machine_arguments(kernel: str, initrd: str, cmdline: str, accelerator: str, cpu: str = "") -> list[str]:
    """Return the part of the command line that a guest and a probe have in common."""
    return [
        *BARE, "-no-reboot", *ACCEL[accelerator], "-cpu", cpu or CPU[accelerator],
        "-kernel", kernel, "-initrd", initrd, "-append", cmdline,
    ]  # fmt: skip


def disk_arguments(spec: GuestSpec, files: GuestFiles, accelerator: str) -> list[str]:
    """Return the part of a guest's command line that boots it from its disk, and gives it its seed.

    The guest may reboot, into a new kernel for instance. A panic that its pvpanic driver reports ends QEMU.
    """
    arguments = [
        *BARE, *ACCEL[accelerator], "-cpu", spec.cpu or CPU[accelerator],
        "-drive", f"if=none,id=seed,format=raw,readonly=on,file={quoted(files.seed)}",
        "-device", "virtio-blk-pci,drive=seed", "-device", "pvpanic", "-action", "panic=shutdown",
    ]  # fmt: skip
    if spec.image.firmware == "uefi":
        arguments += uefi_arguments(files)
    return arguments


def uefi_arguments(files: GuestFiles) -> list[str]:
    """Return the part of a guest's command line that gives it UEFI firmware and the firmware's memory."""
    code, dummy = uefi_firmware()
    return [
        "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}",
        "-drive", f"if=pflash,format=raw,unit=1,file={quoted(files.uefi_variables)}",
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
        "-name", f"guest={quoted(spec.name)}",
        *machine,
        "-smp", str(spec.cpus), "-m", f"{spec.memory}M",
        "-drive", f"if=none,id=disk,format=qcow2,cache=unsafe,file={quoted(files.overlay)},"
        f"backing.driver={files.disk_format},backing.file.filename={quoted(files.disk)}",
        "-device", "virtio-blk-pci,drive=disk" + ("" if files.kernel else ",bootindex=1"),
        "-netdev", f"user,id=net,ipv6=off,restrict={restrict},hostfwd=tcp:127.0.0.1:{port}-:22",
        "-device", "virtio-net-pci,netdev=net,romfile=",
        "-chardev", f"file,id=console,path={quoted(files.console)}", "-serial", "chardev:console",
        "-chardev", f"socket,id=qmp,fd={files.qmp},server=on,wait=off", "-mon", "chardev=qmp,mode=control",
    ]  # fmt: skip
