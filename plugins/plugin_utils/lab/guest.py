# SPDX-License-Identifier: GPL-3.0-or-later
"""Embedded guests: start them, wait for a real login, describe them as an inventory, end them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from ..base.errors import KedrError
from ..base.files import write_file
from . import cloud as lab_cloud
from . import uefi
from .cpio import Cpio, base_initramfs
from .image import image_dir, read_image
from .qemu import (
    GuestFiles,
    choose_accelerator,
    free_port,
    guest_arguments,
    guest_files,
    handed_over,
    is_running,
    kill,
    make_overlay,
    qemu_version,
    qmp_quit,
    spawn,
    uefi_firmware,
    wait_gone,
)
from .spec import CloudSpec, GuestSpec, Progress, check_name, find_tool, lock, private_dir

GROUP = "kedr_guests"
PORT_TRIES = 5
LOGIN_SECONDS = {False: 30.0, True: 90.0}
"""For a login; that to a cloud guest waits for cloud-init."""
RETRY_SECONDS = 0.5
POWEROFF_SECONDS = 15.0
NEWS_SECONDS = 5.0
CONSOLE_LINES = 15
CLOUD_PATIENCE = 3
"""So many times longer a first boot of a cloud image may take: it is a whole system with cloud-init in it."""

CLOUD_DISK_MB = 16384
"""Size of a cloud guest's disk: cloud-init lets the root file system grow, headers and a compiler need room."""
MAX_READ = 1 << 20
"""Bytes of a console, or of what QEMU said, that are read at a time."""

# QEMU's user networking always looks the same from inside.
_NETWORK = {"KEDR_ADDRESS": "10.0.2.15/24", "KEDR_GATEWAY": "10.0.2.2", "KEDR_NAMESERVER": "10.0.2.3"}

# What goes with a guest; its console and QEMU's log stay.
_GUEST_FILES = (
    "guest.json", "initramfs", "overlay.qcow2", "host_key", "host_key.pub", "qemu.pid", "qmp", "seed.iso",
    "uefi-variables", "module_key.pem", "module_cert.pem",
)  # fmt: skip

_SSHD_CONFIG = """\
HostKey /etc/ssh/kedr_host_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
PrintMotd no
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Guest:
    """A guest as it was started; kept in its directory as ``guest.json``."""

    name: str
    pid: int
    port: int
    console: str
    qmp: str
    pidfile: str
    tree: str
    image: str
    kernel_release: str
    suite: str
    architecture: str
    accelerator: str
    accelerator_reason: str
    qemu_version: str
    host_key: str
    digest: str
    started: float
    boot_seconds: float = 0.0
    module_key: bool = False
    command: list[str] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """True while the guest's own QEMU process lives."""
        return is_running(self.pid, self.pidfile)

    def is_ready_as(self, spec: GuestSpec) -> bool:
        """True if the guest runs, has taken a login before and is what is asked for."""
        return self.boot_seconds > 0 and self.digest == spec.digest and self.running


class Lab:
    """One lab directory with its guests. Every change to it happens under its lock."""

    def __init__(self, directory: str, cache: str, progress: Progress) -> None:
        self.directory = os.path.abspath(os.path.expanduser(directory))
        self.cache = cache
        self.progress = progress

    @property
    def inventory(self) -> str:
        """Inventory file of the running guests."""
        return os.path.join(self.directory, "inventory.yml")

    @property
    def known_hosts(self) -> str:
        """Host keys of the running guests, known before the first connection."""
        return os.path.join(self.directory, "known_hosts")

    @property
    def key(self) -> str:
        """Private key that logs in to every guest of this lab."""
        return os.path.join(self.directory, "ssh_key")

    def module_key(self, name: str) -> tuple[str, str]:
        """Return the paths of the key that a guest trusts for modules, and of the key's certificate."""
        own = os.path.join(self.directory, name)
        return os.path.join(own, "module_key.pem"), os.path.join(own, "module_cert.pem")

    def guests(self) -> list[Guest]:
        """Return every guest that was started here and not stopped, running or dead, by name."""
        found = []
        for name in sorted(os.listdir(self.directory)) if os.path.isdir(self.directory) else []:
            try:
                with open(os.path.join(self.directory, name, "guest.json"), encoding="utf-8") as stream:
                    found.append(Guest(**json.load(stream)))
            except (OSError, ValueError, TypeError):
                continue
        return found

    def start(
        self, specs: Sequence[GuestSpec], accelerator: str, console_root: str, seconds: float
    ) -> tuple[bool, list[Guest]]:
        """Make the guests run and wait until each takes a login; returns (something was started, the guests).

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
        """End the named guests (all when none is named) that were started here; returns those that ran."""
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

    def _locked(self) -> Any:
        path = os.path.join(self.directory, ".lock")
        return lock(path, lambda: self.progress(f"another run uses {self.directory}, waiting for it"))

    # Starting

    def _boot(self, specs: Sequence[GuestSpec], accelerator: str, console_root: str, seconds: float) -> None:
        self._make_key()
        boots = []
        try:
            for spec in specs:
                boots.append(self._prepare(spec, accelerator, console_root))
                boots[-1].start()
            names = ", ".join(boot.spec.name for boot in boots)
            how = {"kvm": "hardware acceleration", "tcg": "software emulation"}[boots[0].accelerator[0]]
            self.progress(f"booting {names} with {how} ({boots[0].accelerator[1][:100]})")
            self._wait(boots, seconds * (CLOUD_PATIENCE if any(boot.cloud for boot in boots) else 1))
        except BaseException:
            for boot in boots:
                boot.kill()
            self._write_inventory()
            raise

    def _wait(self, boots: Sequence[_Boot], seconds: float) -> None:
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

    def _make_key(self) -> None:
        if not os.path.exists(self.key):
            make_ssh_key(self.key, "kedr.lab")

    def _prepare(self, spec: GuestSpec, accelerator: str, console_root: str) -> _Boot:
        directory = image_dir(self.cache, spec.image)
        image = read_image(directory)
        if image is None:
            raise KedrError(f"guest {spec.name}: its image {spec.image.key} is not in the cache; build it first")
        own = private_dir(os.path.join(self.directory, spec.name))
        consoles = private_dir(os.path.join(console_root, spec.name)) if console_root else own
        cloud = isinstance(spec.image, CloudSpec)
        files = guest_files(
            own,
            kernel="" if cloud else os.path.join(directory, "vmlinuz"),
            disk=os.path.join(directory, image["disk"] if cloud else "disk.raw"),
            console=os.path.join(consoles, "console.log"),
            disk_format=image["format"] if cloud else "raw",
        )
        tool = find_tool(spec.image.qemu, "qemu-system-x86")
        tree = os.path.join(directory, "tree")
        base = b"" if cloud else base_initramfs(tree, image["release"], guest_script("initramfs.sh"))
        chosen = choose_accelerator(accelerator, tool, files.kernel, base, self.cache, self.progress)
        host_key = os.path.join(own, "host_key")
        make_ssh_key(host_key, spec.name)
        with open(f"{self.key}.pub", "rb") as stream:
            client = stream.read()
        with open(host_key, "rb") as stream:
            private = stream.read()
        if cloud:
            self._prepare_cloud(spec, files, image, private, client)
        else:
            write_file(files.initrd, base + guest_archive(spec.name, private, client))
            make_overlay(files)
        if spec.module_key:
            certificate = uefi.make_module_key(*self.module_key(spec.name))
            with open(uefi_firmware()[1], "rb") as stream:
                write_file(files.uefi_variables, uefi.trusting(stream.read(), certificate))
        return _Boot(self, spec, files, image, tool, chosen)

    def _prepare_cloud(
        self, spec: GuestSpec, files: GuestFiles, image: dict[str, Any], host_key: bytes, client_key: bytes
    ) -> None:
        with open(os.path.join(files.directory, "host_key.pub"), "rb") as stream:
            public = stream.read()
        lab_cloud.make_seed(files.seed, lab_cloud.seed_files(spec.name, host_key, public, client_key))
        if isinstance(spec.image, CloudSpec) and spec.image.firmware == "uefi":
            shutil.copyfile(uefi_firmware()[1], files.uefi_variables)
        make_overlay(files, max(int(image["virtual_mb"]), CLOUD_DISK_MB))

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
        self._forget(guest.name)

    def _power_off(self, guest: Guest) -> None:
        command = [*self.ssh(guest.port), "poweroff"]
        try:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=POWEROFF_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return
        wait_gone(guest.pid, guest.pidfile, POWEROFF_SECONDS)

    def _forget(self, name: str) -> None:
        own = os.path.join(self.directory, name)
        for file in _GUEST_FILES:
            if os.path.lexists(os.path.join(own, file)):
                os.unlink(os.path.join(own, file))

    # Connections and the inventory

    def ssh_options(self) -> list[str]:
        """Options that every connection needs: this lab's host keys and no settings of the user."""
        return [
            "-F", "/dev/null", "-o", f'UserKnownHostsFile="{_ssh_path(self.known_hosts)}"',
            "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes",
            "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
        ]  # fmt: skip

    def ssh(self, port: int) -> list[str]:
        """Return the start of an ssh command line to the guest at this port."""
        return [
            find_tool("ssh", "openssh-client"), *self.ssh_options(), "-p", str(port),
            "-o", f'IdentityFile="{_ssh_path(self.key)}"',
            "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR", "root@127.0.0.1",
        ]  # fmt: skip

    def variables(self, guest: Guest) -> dict[str, Any]:
        """Return a guest's inventory variables."""
        signing = dict(zip(("kedr_signing_key", "kedr_signing_cert"), self.module_key(guest.name), strict=True))
        return {
            **(signing if guest.module_key else {}),
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": guest.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": _ssh_path(self.key),
            "ansible_ssh_common_args": shlex.join(self.ssh_options()),
            "kedr_test_host": True,
            "kedr_embedded": True,
            "kedr_build_root": guest.tree,
            "kedr_console": guest.console,
            "kedr_qemu_pid": guest.pid,
            "kedr_qemu_pidfile": guest.pidfile,
            **({} if guest.tree else {"host_install_packages": True}),
        }

    def write_known_hosts(self, keys: dict[int, str]) -> None:
        """Write the host key of each port."""
        lines = [f"[127.0.0.1]:{port} {key}\n" for port, key in sorted(keys.items())]
        write_file(self.known_hosts, "".join(lines).encode())

    def _write_inventory(self) -> None:
        running = [guest for guest in self.guests() if guest.running]
        self.write_known_hosts({guest.port: guest.host_key for guest in running})
        hosts = {guest.name: self.variables(guest) for guest in running}
        text = "# Written by kedr.lab.lab_guest; a new start writes it anew.\n"
        text += yaml.safe_dump({GROUP: {"hosts": hosts}}, default_flow_style=False, width=1000)
        write_file(self.inventory, text.encode())


class _Boot:
    """One guest on its way from power-on to the first login."""

    def __init__(
        self, lab: Lab, spec: GuestSpec, files: GuestFiles, image: dict[str, Any], tool: str,
        accelerator: tuple[str, str],
    ) -> None:  # fmt: skip
        self.lab, self.spec, self.files, self.image, self.tool = lab, spec, files, image, tool
        self.accelerator = accelerator
        self.cloud = isinstance(spec.image, CloudSpec)
        self.release = str(image["release"])
        self.problem = ""
        self.refused = ""
        self.boot_seconds = 0.0
        self.port = 0
        self.tries = 0
        self.started = 0.0
        self.command: list[str] = []
        self.qemu: subprocess.Popen[bytes] | None = None
        self.login: subprocess.Popen[bytes] | None = None
        self.login_started = 0.0
        with open(os.path.join(files.directory, "host_key.pub"), encoding="ascii") as stream:
            self.host_key = " ".join(stream.read().split()[:2])

    def start(self) -> None:
        """Switch the machine on, at a port that was free just now."""
        self.tries += 1
        self.port = free_port()
        self.started = time.time()
        for path in (self.files.console, self.files.pidfile, self.files.qmp):
            if os.path.lexists(path):
                os.unlink(path)
        with handed_over(self.files) as (names, given, numbers):
            arguments = guest_arguments(self.spec, names, self.port, self.accelerator[0])
            self.command = ["prlimit", f"--fsize={self._largest_file()}", "--", self.tool, *given, *arguments]
            self.qemu = spawn(self.command, self.files.log, numbers)
        write_file(self.files.pidfile, b"%d\n" % self.qemu.pid)
        self._record()

    def _largest_file(self) -> int:
        """Bytes that a file of the guest, its console above all, may take: more than a full disk. QEMU ends then."""
        if self.cloud:
            disk = max(int(self.image["virtual_mb"]), CLOUD_DISK_MB) << 20
        else:
            disk = os.path.getsize(self.files.disk)
        return disk * 9 // 8

    def _record(self) -> None:
        pid = self.qemu.pid if self.qemu else 0
        guest = Guest(
            name=self.spec.name, pid=pid, port=self.port, console=self.files.console,
            qmp=self.files.qmp, pidfile=self.files.pidfile,
            tree="" if self.cloud else os.path.join(image_dir(self.lab.cache, self.spec.image), "tree"),
            image=self.spec.image.key, kernel_release=self.release, suite=self.spec.image.suite,
            architecture=self.spec.image.architecture, accelerator=self.accelerator[0],
            accelerator_reason=self.accelerator[1], qemu_version=qemu_version(self.tool),
            host_key=self.host_key, digest=self.spec.digest, started=self.started,
            boot_seconds=round(self.boot_seconds, 1), module_key=self.spec.module_key, command=self.command,
        )  # fmt: skip
        path = os.path.join(self.files.directory, "guest.json")
        write_file(path, json.dumps(asdict(guest), indent=1).encode() + b"\n")

    def poll(self) -> bool:
        """Look how far the guest is; True when it takes logins or has failed (then ``problem`` says why)."""
        code = self.qemu.poll() if self.qemu else 0
        if code is not None:
            return self._ended(code)
        if self.login is None:
            ready = f"kedr-lab: guest {self.spec.name} is ready for logins"
            if ready in self._console() and time.monotonic() - self.login_started > RETRY_SECONDS:
                self._try_login()
            return False
        result = self.login.poll()
        if result is None:
            if time.monotonic() - self.login_started > LOGIN_SECONDS[self.cloud]:
                self.login.kill()
            return False
        output, complaints = (part.decode(errors="replace") for part in self.login.communicate())
        self.login = None
        if result != 0 or not self._finished(output):
            said = complaints.strip().splitlines() or [f"it ended with status {result}"]
            self.refused = f"ssh: {said[-1]}"
            self.login_started = time.monotonic()
            return False
        self.boot_seconds = time.time() - self.started
        self._record()
        return True

    def _finished(self, output: str) -> bool:
        """Take what the login of a cloud guest printed; False when cloud-init is still at work."""
        if not self.cloud:
            return True
        try:
            self.release, complaints = lab_cloud.read_finished(output)
        except KedrError:
            return False
        for complaint in complaints:
            self.lab.progress(f"{self.spec.name}: cloud-init complains: {complaint}")
        return True

    def _ended(self, code: int) -> bool:
        if "Could not set up host forwarding rule" in self._text(self.files.log) and self.tries < PORT_TRIES:
            self.start()
            return False
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        self.problem = f"ended before it took a login (QEMU: {how})"
        return True

    def _try_login(self) -> None:
        keys = {guest.port: guest.host_key for guest in self.lab.guests() if guest.running}
        self.lab.write_known_hosts({**keys, self.port: self.host_key})
        self.login_started = time.monotonic()
        self.login = subprocess.Popen(
            [*self.lab.ssh(self.port), lab_cloud.FINISHED if self.cloud else "true"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    @staticmethod
    def _text(path: str) -> str:
        """The end of a file, MAX_READ bytes at most."""
        try:
            with open(path, "rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - MAX_READ))
                return stream.read(MAX_READ).decode(errors="replace").replace("\r", "")
        except OSError:
            return ""

    def _console(self) -> str:
        return self._text(self.files.console)

    def news(self) -> str:
        """Return why the last login was refused, else the newest line of the console."""
        if self.refused:
            return self.refused
        lines = self._console().strip().splitlines()
        return lines[-1].strip()[:100] if lines else "nothing on the console yet"

    def report(self) -> str:
        """Say what went wrong with what the console and QEMU said last."""
        own = self._text(self.files.log).splitlines()[1:]
        console = self._console().strip().splitlines()
        panics = [line for line in console if "Kernel panic" in line]
        parts = [f"guest {self.spec.name} {self.problem}."]
        if panics:
            parts.append(f"Its kernel says: {panics[0]}")
        elif self.refused:
            parts.append(f"The last login failed: {self.refused}")
        if own:
            parts.append(f"QEMU says: {own[-1]} (all of it: {self.files.log})")
        parts.append(f"Last lines of its console ({self.files.console}):" if console else "Its console is empty.")
        return "\n".join(parts + [f"  {line}" for line in console[-CONSOLE_LINES:]])

    def kill(self) -> None:
        """End the machine and the login attempt at once."""
        for process in (self.login, self.qemu):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.lab._forget(self.spec.name)


def _ssh_path(path: str) -> str:
    """Write a path as ssh's options want it: a percent sign would begin a token."""
    return path.replace("%", "%%")


def make_ssh_key(path: str, comment: str) -> None:
    """Make a new ed25519 key pair without a passphrase, in place of one that is there."""
    for name in (path, f"{path}.pub"):
        if os.path.lexists(name):
            os.unlink(name)
    tool = find_tool("ssh-keygen", "openssh-client")
    command = [tool, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KedrError(f"cannot make the SSH key {path}: {done.stderr.strip()}")


def guest_script(name: str) -> bytes:
    """Return one of the scripts that run inside a guest."""
    with open(os.path.join(os.path.dirname(__file__), "sh", name), "rb") as stream:
        return stream.read()


def guest_archive(name: str, host_key: bytes, client_key: bytes) -> bytes:
    """Return the second part of a guest's initramfs: what belongs to this guest alone, with its secrets.

    The init script copies what is below ``guest/`` to the root of the guest's disk.
    """
    settings = "".join(f"{key}={value}\n" for key, value in {"KEDR_NAME": name, **_NETWORK}.items())
    archive = Cpio()
    archive.directory("guest/root", 0o700)
    archive.directory("guest/root/.ssh", 0o700)
    archive.file("guest/root/.ssh/authorized_keys", client_key, 0o600)
    archive.file("guest/etc/ssh/kedr_host_key", host_key, 0o600)
    archive.file("guest/etc/ssh/kedr_sshd_config", _SSHD_CONFIG.encode())
    archive.file("guest/etc/hostname", f"{name}\n".encode())
    archive.file("guest/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n".encode())
    archive.file("guest/etc/kedr-guest", settings.encode())
    archive.file("guest/usr/sbin/kedr-init", b"#!/bin/sh\n" + guest_script("guest.sh"), 0o755)
    return archive.to_bytes()
