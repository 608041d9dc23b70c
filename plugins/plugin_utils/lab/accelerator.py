# SPDX-License-Identifier: GPL-3.0-or-later
"""Hardware acceleration or emulation: a trial shows what works here."""

import contextlib
import json
import os
import subprocess
import tempfile

from ..base.files import write_file
from ..base.locks import locked
from . import qemu
from .command_line import ACCEL, BARE, CMDLINE, CPU, machine_arguments
from .files import GuestFiles, guest_files, handed_over
from .tools import Progress

PROBE_SECONDS = 20.0
"""A probe guest that is not done by then counts as hanging; working acceleration needs a second or two."""

PROBE_TOKEN = b"kedr-lab: probe reached user space"

# A boot record that writes the text after it to the first serial port and resets the machine.
_BOOT_RECORD = bytes.fromhex("fafc31c08ed8be197cbaf803ac84c07403eeebf8ea0000ffff")


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
            *BARE, "-no-reboot", *ACCEL["kvm"], "-cpu", CPU["kvm"],
            "-drive", f"if=ide,format=raw,file={files.overlay}",
        ]  # fmt: skip
    console = f"file,id=console,path={files.console}"
    return [*machine, "-m", "512M", "-chardev", console, "-serial", "chardev:console"]


def run_probe(tool: str, kernel: str, initramfs: bytes, work: str) -> tuple[bool, str]:
    """Boot the kernel with hardware acceleration up to its first user process; returns (works, why).

    Without a kernel (cloud images) a boot record runs after the machine's firmware.
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
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, **qemu.qemu_user(),
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
    if not os.access(qemu.KVM, os.R_OK | os.W_OK):
        return "tcg", f"{qemu.KVM} is missing or may not be used by this user"
    path = os.path.join(cache, "accelerator.json")
    weaker = os.path.join(cache, "accelerator-firmware.json")
    key = f"{boot_id()} {qemu.qemu_version(tool)} {qemu.qemu_user().get('user', os.getuid())}"
    with locked(os.path.join(cache, ".accelerator.lock"), lambda: progress("waiting for another probe of KVM")):
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
