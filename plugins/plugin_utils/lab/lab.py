# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab: guests in one directory, started and ended under one lock."""

import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from ..base.errors import KedrError
from ..base.files import write_file
from ..base.locks import locked
from ..base.programs import find_tool
from . import uefi
from .accelerator import choose_accelerator
from .boot import Boot, disk_mb
from .command_line import uefi_firmware
from .files import GuestFiles, guest_files, make_overlay
from .guest import Guest, forget, module_key, read_guests
from .images.cache import image_dir, read_image
from .initramfs import base_initramfs, guest_archive, guest_script
from .inventory import write_inventory
from .places import private_dir
from .qemu import PROGRAM, kill, qmp_quit, wait_gone
from .seed import make_seed, seed_files
from .spec import GuestSpec, check_name
from .ssh import Access, make_ssh_key
from .tools import Progress

POWEROFF_SECONDS = 15.0
NEWS_SECONDS = 5.0
CLOUD_PATIENCE = 3
"""So many times longer the first boot of a disk with cloud-init in it may take: it is a whole system."""


class Lab:
    """One lab directory with its guests. Every change to it happens under its lock."""

    def __init__(self, directory: str, cache: str, progress: Progress) -> None:
        self.directory = os.path.abspath(os.path.expanduser(directory))
        self.cache = cache
        self.progress = progress
        self.access = Access(self.directory)

    @property
    def inventory(self) -> str:
        """Inventory file of the running guests."""
        return os.path.join(self.directory, "inventory.yml")

    def guests(self) -> list[Guest]:
        """Return every guest that was started here and not stopped, running or dead, by name."""
        return read_guests(self.directory)

    def start(
        self, specs: Sequence[GuestSpec], accelerator: str, console_root: str, seconds: float
    ) -> tuple[bool, list[Guest]]:
        """Start the guests and wait until each takes a login; return (whether one was started, the guests).

        A guest that runs already and is what is asked for stays. If one guest fails, those that
        were started with it are ended again and KedrError shows each failed guest's last words.
        """
        private_dir(self.directory)
        with self._locked():
            known = {guest.name: guest for guest in self.guests()}
            missing = []
            for spec in specs:
                guest = known.get(spec.name)
                if guest and guest.is_ready_as(spec):
                    continue
                if guest:
                    self._end(guest)
                missing.append(spec)
            if missing:
                self._boot(missing, accelerator, console_root, seconds)
            self._write_inventory()
            names = [spec.name for spec in specs]
            return bool(missing), [guest for guest in self.guests() if guest.name in names]

    def missing(self, specs: Sequence[GuestSpec]) -> list[str]:
        """Return the names that ``start`` would have to start."""
        known = {guest.name: guest for guest in self.guests()}
        return [spec.name for spec in specs if spec.name not in known or not known[spec.name].is_ready_as(spec)]

    def stop(self, names: Sequence[str] = ()) -> list[str]:
        """End the named guests that were started here, or all without names; return the names of those that ran."""
        for name in names:
            check_name(name)
        if not os.path.isdir(self.directory):
            return []
        with self._locked():
            chosen = [guest for guest in self.guests() if not names or guest.name in names]
            ended = [guest.name for guest in chosen if guest.running]
            for guest in chosen:
                self._end(guest)
            self._write_inventory()
            return ended

    def _locked(self) -> AbstractContextManager[None]:
        path = os.path.join(self.directory, ".lock")
        return locked(path, lambda: self.progress(f"another run uses {self.directory}, waiting for it"))

    # Starting

    def _boot(self, specs: Sequence[GuestSpec], accelerator: str, console_root: str, seconds: float) -> None:
        self.access.make_key()
        boots: list[Boot] = []
        try:
            for spec in specs:
                boots.append(self._prepare(spec, accelerator, console_root))
                boots[-1].start()
            names = ", ".join(boot.spec.name for boot in boots)
            how = {"kvm": "hardware acceleration", "tcg": "software emulation"}[boots[0].accelerator[0]]
            self.progress(f"booting {names} with {how} ({boots[0].accelerator[1][:100]})")
            self._wait(boots, seconds * (CLOUD_PATIENCE if any(spec.image.own_loader for spec in specs) else 1))
        except BaseException:
            for boot in boots:
                boot.kill()
            self._write_inventory()
            raise

    def _wait(self, boots: Sequence[Boot], seconds: float) -> None:
        started = news = time.monotonic()
        pending = list(boots)
        while pending and time.monotonic() - started < seconds:
            for boot in list(pending):
                if boot.poll():
                    pending.remove(boot)
                    if not boot.problem:
                        self.progress(f"{boot.spec.name}: takes logins after {boot.boot_seconds:.1f} s")
            if time.monotonic() - news > (NEWS_SECONDS if news - started < 30 else 3 * NEWS_SECONDS):
                news = time.monotonic()
                for boot in pending:
                    self.progress(f"{boot.spec.name}: {news - started:.0f} s: {boot.news()}")
            time.sleep(0.05)
        for boot in pending:
            boot.problem = f"took no login within {seconds:.0f} s"
        failed = [boot for boot in boots if boot.problem]
        if failed:
            raise KedrError("\n".join(boot.report() for boot in failed))

    def _prepare(self, spec: GuestSpec, accelerator: str, console_root: str) -> Boot:
        image = read_image(image_dir(self.cache, spec.image))
        if image is None:
            raise KedrError(f"guest {spec.name}: its image {spec.image.key} is not in the cache; build it first")
        own = private_dir(os.path.join(self.directory, spec.name))
        consoles = private_dir(os.path.join(console_root, spec.name)) if console_root else own
        files = guest_files(
            own, kernel=image.get("kernel", ""), disk=image["disk"], console=os.path.join(consoles, "console.log"),
            disk_format=image["format"],
        )  # fmt: skip
        tool = find_tool(PROGRAM, "qemu-system-x86")
        base = base_initramfs(image["tree"], image["release"], guest_script("initramfs.sh")) if files.kernel else b""
        chosen = choose_accelerator(accelerator, tool, files.kernel, base, self.cache, self.progress)
        host_key = os.path.join(own, "host_key")
        make_ssh_key(host_key, spec.name)
        names = (host_key, f"{host_key}.pub", f"{self.access.key}.pub")
        private, public, client = (pathlib.Path(name).read_bytes() for name in names)
        if files.kernel:
            write_file(files.initrd, base + guest_archive(spec.name, private, client))
        else:
            make_seed(files.seed, seed_files(spec.name, private, public, client))
        make_overlay(files, disk_mb(image))
        self._prepare_firmware(spec, files)
        return Boot(spec, files, image, tool, chosen, self.access, self.progress)

    def _prepare_firmware(self, spec: GuestSpec, files: GuestFiles) -> None:
        """Give a guest that starts by UEFI its firmware's memory, with a key for modules if it is to trust one."""
        if spec.module_key:
            certificate = uefi.make_module_key(*module_key(files.directory))
            write_file(files.uefi_variables, uefi.trusting(pathlib.Path(uefi_firmware()[1]).read_bytes(), certificate))
        elif spec.image.firmware == "uefi":
            shutil.copyfile(uefi_firmware()[1], files.uefi_variables)

    # Ending

    def _end(self, guest: Guest) -> None:
        """End one guest: it powers itself off, else QEMU quits, else it is killed. Its console stays."""
        if guest.running:
            self.progress(f"{guest.name}: powering off")
            self._power_off(guest)
        if not wait_gone(guest.pid, guest.pidfile, 0.2) and not (
            qmp_quit(guest.qmp) and wait_gone(guest.pid, guest.pidfile, 5)
        ):
            kill(guest.pid, guest.pidfile, signal.SIGKILL)
            if not wait_gone(guest.pid, guest.pidfile, 10):
                raise KedrError(f"guest {guest.name}: its QEMU process {guest.pid} cannot be ended")
        forget(os.path.join(self.directory, guest.name))

    def _power_off(self, guest: Guest) -> None:
        command = [*self.access.command(guest.port), "poweroff"]
        try:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=POWEROFF_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return
        wait_gone(guest.pid, guest.pidfile, POWEROFF_SECONDS)

    def _write_inventory(self) -> None:
        running = [guest for guest in self.guests() if guest.running]
        self.access.write_known_hosts({guest.port: guest.host_key for guest in running})
        write_inventory(self.inventory, running, self.access)
