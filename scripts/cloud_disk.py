# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk as vendors make them for clouds: Debian 13 with cloud-init, systemd, GRUB for BIOS and for UEFI.

Run as a program it prints a file for the inventory plugin kedr.lab.systems with a row for the disk, which is made once
and kept in the cache: PYTHONPATH=.collections python scripts/cloud_disk.py >FILE. make matrix does that.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import apt_proxy_options

ROW = "debian13-cloud-init"
"""Name of the disk's row."""

SUITE = "trixie"
PACKAGES = (
    "cloud-guest-utils", "cloud-init", "dbus", "gcc", "grub-efi-amd64-bin", "grub-pc-bin", "grub2-common", "iproute2",
    "kmod", "libc6-dev", "linux-headers-amd64", "linux-image-amd64", "make", "netplan.io", "openssh-server", "procps",
    "systemd-resolved", "systemd-sysv", "udev",
)  # fmt: skip

# The distribution's own initramfs, with only the drivers that this disk needs: an emulated processor takes half a
# minute to unpack all of them.
INITRAMFS = """
mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
echo MODULES=list >"$1/etc/initramfs-tools/conf.d/kedr-lab"
printf '%s\\n' virtio_pci virtio_blk ext4 >"$1/usr/share/initramfs-tools/modules.d/kedr-lab"
"""

CLEAN = """
rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
rm -f "$1"/etc/hostname "$1"/etc/machine-id "$1"/etc/resolv.conf
ln -s ../run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"
: >"$1/etc/machine-id"
echo 'LABEL=kedr-root / ext4 errors=remount-ro 0 1' >"$1/etc/fstab"
"""

# The first boot without what a cloud does not need, which takes an emulated processor a third of its time: the caches
# of systemd are made here, and units that maintain file systems and boot loaders are off.
LEAN = """
echo 'datasource_list: [NoCloud, None]' >"$1/etc/cloud/cloud.cfg.d/95-kedr-lab.cfg"
for unit in e2scrub_reap grub-common systemd-binfmt systemd-tpm2-setup-early systemd-tpm2-setup; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit.service"
done
chroot "$1" ldconfig
chroot "$1" journalctl --update-catalog
touch "$1/etc/.updated" "$1/var/.updated"
"""

GRUB = """\
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
linux /vmlinuz root=LABEL=kedr-root ro console=ttyS0,115200 systemd.gpt_auto=0
initrd /initrd.img
boot
"""
# The source of grub.cfg when a kernel is installed.
GRUB_DEFAULTS = """\
GRUB_TIMEOUT=0
GRUB_CMDLINE_LINUX="console=ttyS0,115200 systemd.gpt_auto=0"
"""
FIND_ROOT = """\
search --no-floppy --label --set=root kedr-root
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
"""
MODULES = "part_gpt ext2 search search_label configfile normal linux serial terminal boot echo".split()

SECTOR = 512
BIOS_FIRST, BIOS_SIZE = 2048, 2048
ESP_FIRST, ESP_SIZE = 4096, 16384
ROOT_FIRST = 32768
ROOT_MB = 2560
SECTORS = ROOT_FIRST + ROOT_MB * 2048 + 2048
TABLE = f"""\
label: gpt
start={BIOS_FIRST}, size={BIOS_SIZE}, type=21686148-6449-6E6F-744E-656564454649
start={ESP_FIRST}, size={ESP_SIZE}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
start={ROOT_FIRST}, size={ROOT_MB * 2048}, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
"""


def cache_root() -> pathlib.Path:
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return pathlib.Path(os.environ.get("KEDR_CACHE") or home / "kedr-lab")


def run(*command: object, **options: object) -> None:
    """Run a program; what it said is shown when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False, **options)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise RuntimeError(f"{command[0]} failed:\n{said[-3000:]}")


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def cloud_image() -> pathlib.Path:
    """Return the disk (qcow2) out of the cache; makes it when this file has changed since, or is new here."""
    key = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:12]
    place = cache_root() / "test-images"
    disk = place / f"debian-cloud-{key}.qcow2"
    with locked(place / ".lock"):
        if not disk.exists():
            for old in place.glob("debian-cloud-*.qcow2"):
                old.unlink()
            with tempfile.TemporaryDirectory(dir=place, prefix=".work-") as work:
                made = make_disk(pathlib.Path(work))
                made.rename(disk)
    return disk


def make_disk(work: pathlib.Path) -> pathlib.Path:
    tree, raw, disk = work / "tree", work / "disk.raw", work / "disk.qcow2"
    make_tree(tree)
    with raw.open("wb") as stream:
        stream.truncate(SECTORS * SECTOR)
    run("sfdisk", "--quiet", raw, input=TABLE.encode())
    (work / "find-root.cfg").write_text(FIND_ROOT)
    install_bios_loader(tree, work, raw)
    install_uefi_loader(tree, work, raw)
    offset = f"offset={ROOT_FIRST * SECTOR},lazy_itable_init=1"
    run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "kedr-root", "-E", offset, "-d", tree, raw, f"{ROOT_MB}M")
    shutil.rmtree(tree)
    run("qemu-img", "convert", "-O", "qcow2", raw, disk)
    return disk


def make_tree(tree: pathlib.Path) -> None:
    hooks = [f"--essential-hook={INITRAMFS}", f"--customize-hook={LEAN}", f"--customize-hook={CLEAN}"]
    quiet = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")]
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    proxies = [f"--aptopt={option}" for option in apt_proxy_options(dump)]
    run(
        "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", f"--include={','.join(PACKAGES)}",
        '--aptopt=Acquire::Retries "3"', *proxies, "--dpkgopt=force-unsafe-io", *quiet, *hooks, SUITE, tree,
    )  # fmt: skip
    (tree / "boot/grub").mkdir(parents=True, exist_ok=True)
    (tree / "boot/grub/grub.cfg").write_text(GRUB)
    (tree / "etc/default/grub").write_text(GRUB_DEFAULTS)


def grub_image(tree: pathlib.Path, work: pathlib.Path, kind: str, *more: str) -> bytes:
    """Return GRUB's core for a platform, made by the GRUB of the tree, which looks for the root partition."""
    (tree / "tmp/find-root.cfg").write_text(FIND_ROOT)
    run("chroot", tree, "grub-mkimage", "-O", kind, "-c", "/tmp/find-root.cfg", "-p", "/boot/grub",
        "-o", "/tmp/core", *MODULES, *more)  # fmt: skip
    core = (tree / "tmp/core").read_bytes()
    for name in ("core", "find-root.cfg"):
        (tree / "tmp" / name).unlink()
    return core


def install_bios_loader(tree: pathlib.Path, work: pathlib.Path, raw: pathlib.Path) -> None:
    """Write the boot record and the core, each told the sector where it goes on, as grub-install does."""
    record = bytearray((tree / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:440])
    record[0x5C:0x64] = struct.pack("<Q", BIOS_FIRST)
    core = bytearray(grub_image(tree, work, "i386-pc", "biosdisk"))
    assert len(core) <= BIOS_SIZE * SECTOR
    core[0x1F4:0x1FC] = struct.pack("<Q", BIOS_FIRST + 1)
    with raw.open("r+b") as stream:
        stream.write(record)
        stream.seek(BIOS_FIRST * SECTOR)
        stream.write(core)


def install_uefi_loader(tree: pathlib.Path, work: pathlib.Path, raw: pathlib.Path) -> None:
    """Make the EFI system partition with the loader that firmware starts when it knows of no other."""
    (work / "bootx64.efi").write_bytes(grub_image(tree, work, "x86_64-efi"))
    where = f"{raw}@@{ESP_FIRST * SECTOR}"
    run("mformat", "-i", where, "-T", ESP_SIZE, "-h", "16", "-s", "63", "-v", "EFI", "::")
    run("mmd", "-i", where, "::/EFI", "::/EFI/BOOT")
    run("mcopy", "-i", where, work / "bootx64.efi", "::/EFI/BOOT/BOOTX64.EFI")


def rows(disk: pathlib.Path) -> str:
    """Return rows of the matrix: the disk as a system."""
    with disk.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    return f"""\
plugin: kedr.lab.systems
systems:
  - name: {ROW}
    system: Debian 13
    kernel: 6.12 amd64
    arch: x86_64
    group: base
    why: a whole system from a disk image, started by its own boot loader and set up by cloud-init
    image:
      cloud:
        url: {disk.as_uri()}
        sha256: {found}
    guest: {{memory: 2048}}
"""


if __name__ == "__main__":
    try:
        print(rows(cloud_image()), end="")
    except RuntimeError as error:
        sys.exit(f"cloud_disk.py: {error}")
