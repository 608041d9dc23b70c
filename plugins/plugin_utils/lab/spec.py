# SPDX-License-Identifier: GPL-3.0-or-later
"""What an embedded lab consists of: images and guests as checked data, places of files, locks, tools."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from ..base import ownership
from ..base.errors import InputError, KedrError

Progress = Callable[[str], None]
"""Gets one line of plain text for the user, without a newline."""

TREE_VERSION = "1"
"""Part of every image's key: raise it when the way an image is made changes what is in it."""

FIRMWARES = ("bios", "uefi")
"""What may start a cloud image's boot loader."""

BASE_PACKAGES = (
    "busybox-static", "gcc", "iproute2", "kmod", "libc6-dev", "make", "openssh-server", "procps",
)  # fmt: skip

NETWORKS = ("restricted", "open")
"""What a guest may reach: nothing, or all that the control node's user can, its loopback services too."""

_KERNELS = {"amd64": "linux-image-amd64", "i386": "linux-image-686-pae"}
_QEMU = {"amd64": "qemu-system-x86_64", "i386": "qemu-system-x86_64"}
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\Z")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*\Z")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]+(/[A-Za-z0-9.+_-]+)?\Z")
_CMDLINE = re.compile(r"[\x20-\x7e]*\Z")
_URL = re.compile(r"(https?://[^\s/?#]+/|file:///)[\x21-\x7e]+\Z")
_PATH = r"/[A-Za-z0-9._~:/@%+,=&-]*"
_URI = re.compile(rf"(https?://[A-Za-z0-9._~:@%+\[\]-]+({_PATH})?|(file|copy):(//)?{_PATH})\Z")
_DEB = re.compile(r"deb (?:\[([^]]+)\] )?([^ []+)((?: [A-Za-z0-9./_+-]+)+)\Z")
# Nothing that turns the check of signatures off, and no key but those that are installed.
_DEB_OPTION = re.compile(
    r"(arch=[a-z0-9,-]+|check-valid-until=(yes|no)|signed-by=/(usr/share|etc/apt)/keyrings/[A-Za-z0-9][A-Za-z0-9._+-]*)\Z"
)
_MIRRORS = (
    "a URI of http, https, file or copy, or a line 'deb [options] URI suite components' with the options arch, "
    "check-valid-until and signed-by (a file of /usr/share/keyrings or /etc/apt/keyrings)"
)
_APT = re.compile(
    r'Acquire::(Check-(Date|Valid-Until) "(true|false|yes|no)"|Languages "none"|Retries "[0-9]{1,3}"|'
    r'https?::Timeout "[0-9]{1,4}"|https?::Proxy(::[A-Za-z0-9.-]+)? "(DIRECT|[a-z0-9]+://[A-Za-z0-9._~:@%+/-]+)");?\Z'
)
_APT_OPTIONS = (
    'Acquire::Check-Date, Check-Valid-Until, Languages "none", Retries, http::Timeout, http::Proxy and the same of '
    "https, each with its value in double quotes"
)
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_OWN_FILES = ("inventory.yml", "known_hosts", "ssh_key", "ssh_key.pub")


def _known(data: Mapping[str, Any], kind: type[Any], what: str) -> None:
    allowed = sorted(item.name for item in fields(kind))
    for name in data:
        if name not in allowed:
            raise InputError(f"{what}: unknown option {name!r}; allowed are {', '.join(allowed)}")


def _whole(value: Any, low: int, high: int, what: str) -> int:
    number = int(value) if re.fullmatch(r"[0-9]{1,9}", str(value)) else -1
    if not low <= number <= high:
        raise InputError(f"{what}: {value!r} is not a whole number from {low} to {high}")
    return number


def _boolean(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{what}: {value!r} is neither true nor false")
    return value


def _is_mirror(text: str) -> bool:
    line = _DEB.match(text)
    if not line:
        return _URI.match(text) is not None
    return all(_DEB_OPTION.match(option) for option in (line[1] or "arch=any").split(" ")) and bool(_URI.match(line[2]))


def _words(value: Any, fits: Callable[[str], object], what: str, allowed: str = "") -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"{what}: a list is needed, not {value!r}")
    for word in value:
        if not isinstance(word, str) or not fits(word):
            told = f"is not allowed; allowed is {allowed}" if allowed else "is not a valid name"
            raise InputError(f"{what}: {word!r} {told}")
    return tuple(value)


@dataclass(frozen=True)
class ImageSpec:
    """One root tree and the disk made of it. ``mirror``, where packages come from, is no part of the key.

    Without ``security`` the suite is taken as released, without its security updates. ``kernel_tree`` is a
    directory of ``kernels`` in the cache whose name stands for its content, with ``boot``, ``usr/lib/modules`` and
    ``usr/src`` of a kernel that is in no package; its content is copied into the tree, and no kernel package is
    installed.
    """

    suite: str = "trixie"
    architecture: str = "amd64"
    kernel: str = ""
    packages: tuple[str, ...] = ()
    pockets: tuple[str, ...] = ()
    apt_options: tuple[str, ...] = ()
    mirror: tuple[str, ...] = ()
    security: bool = True
    kernel_tree: str = ""

    @classmethod
    def load(cls, data: Any, mirror: Any = ()) -> ImageSpec:
        """Check a user's mapping, fill in what depends on the architecture; InputError when it is wrong."""
        if not isinstance(data, Mapping):
            raise InputError(f"image: a mapping is needed, not {data!r}")
        _known(data, cls, "image")
        spec = cls()
        suite = str(data.get("suite", spec.suite))
        architecture = str(data.get("architecture", spec.architecture))
        if not _WORD.match(suite):
            raise InputError(f"image: suite {suite!r} is not the name of a suite, such as trixie")
        if architecture not in _KERNELS:
            raise InputError(
                f"image: architecture {architecture!r} is not supported; allowed are {', '.join(sorted(_KERNELS))}"
            )
        kernel = str(data.get("kernel") or _KERNELS[architecture])
        if not kernel.startswith("linux-image-") or not _PACKAGE.match(kernel):
            raise InputError(f"image: kernel {kernel!r} is not a kernel package; its name begins with linux-image-")
        kernel_tree = str(data.get("kernel_tree") or "")
        if kernel_tree and (data.get("kernel") or not os.path.isabs(kernel_tree)):
            raise InputError(f"image: kernel_tree {kernel_tree!r} must be an absolute path, and goes without kernel")
        mirrors = data.get("mirror", mirror) or ()
        return cls(
            suite=suite,
            architecture=architecture,
            kernel=kernel,
            packages=_words(data.get("packages", ()), _PACKAGE.match, "image: packages"),
            pockets=_words(data.get("pockets", ()), _WORD.match, "image: pockets"),
            apt_options=_words(data.get("apt_options", ()), _APT.match, "image: apt_options", _APT_OPTIONS),
            mirror=_words([mirrors] if isinstance(mirrors, str) else mirrors, _is_mirror, "image: mirror", _MIRRORS),
            security=_boolean(data.get("security", True), "image: security"),
            kernel_tree=kernel_tree.rstrip("/"),
        )

    @property
    def all_packages(self) -> list[str]:
        """Package names for apt: kernel, its headers, the base set and the image's own, without repeats."""
        headers = self.kernel.replace("linux-image-", "linux-headers-", 1)
        kernel = set() if self.kernel_tree else {self.kernel, headers}
        return sorted({*kernel, *BASE_PACKAGES, *self.packages})

    @property
    def key(self) -> str:
        """Name of the image in the cache: readable front, then a digest of all that decides its content."""
        content = [TREE_VERSION, self.suite, self.architecture, self.all_packages, sorted(self.pockets)]
        content += [list(self.apt_options)] + ([] if self.security else ["no security updates"])
        content += [os.path.basename(self.kernel_tree)] if self.kernel_tree else []
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        return f"{self.suite}-{self.architecture}-{digest[:12]}"

    @property
    def qemu(self) -> str:
        """Program that emulates this architecture."""
        return _QEMU[self.architecture]


@dataclass(frozen=True)
class CloudSpec:
    """A vendor's disk image for clouds: where it comes from, how its content is checked, what firmware boots it.

    Exactly one of ``sha256`` (64 hexadecimal digits) and ``checksums`` (URL of a list of sums) is set. With the path
    ``keyring`` the list must be signed: in the file at the URL ``signature``, else in itself.
    """

    url: str
    sha256: str = ""
    checksums: str = ""
    signature: str = ""
    keyring: str = ""
    firmware: str = "bios"
    suite: ClassVar[str] = ""
    architecture: ClassVar[str] = "amd64"

    @classmethod
    def load(cls, data: Any) -> CloudSpec:
        """Check a user's mapping; InputError when it is wrong."""
        if not isinstance(data, Mapping):
            raise InputError(f"image: cloud: a mapping is needed, not {data!r}")
        given = {str(name): str(value) for name, value in data.items() if value not in (None, "")}
        _known(given, cls, "image: cloud")
        for name in ("url", "checksums", "signature"):
            if not _URL.match(given.get(name, "https://host/file")):
                raise InputError(f"image: cloud: {name} {given[name]!r} is not an http, https or file URL")
        sha256 = given.get("sha256", "").lower()
        if not given.get("url"):
            raise InputError("image: cloud: the url of the image is needed")
        if bool(sha256) == bool(given.get("checksums")):
            raise InputError("image: cloud: either sha256 or checksums is needed, to tell a wrong file")
        if sha256 and not _SHA256.match(sha256):
            raise InputError(f"image: cloud: sha256 {sha256!r} is not 64 hexadecimal digits")
        cls._check_trust(given)
        firmware = given.get("firmware", cls.firmware)
        if firmware not in FIRMWARES:
            raise InputError(f"image: cloud: firmware {firmware!r} is not one of {', '.join(FIRMWARES)}")
        return cls(**{**given, "sha256": sha256})

    @staticmethod
    def _check_trust(given: Mapping[str, str]) -> None:
        """InputError when a list of sums could be another than the vendor's, or is signed by nobody knows whom."""
        keyring = given.get("keyring", "")
        if "signature" in given and not keyring:
            raise InputError("image: cloud: a signature needs the keyring that it is checked with")
        if keyring and not (os.path.isabs(keyring) and "checksums" in given):
            raise InputError(f"image: cloud: keyring {keyring!r} must be an absolute path, and goes with checksums")
        if given.get("checksums", "").startswith("http:") and not keyring:
            raise InputError(
                f"image: cloud: the list of sums {given['checksums']!r} can be changed on its way; use an https URL, "
                "or a keyring if it is signed, or sha256"
            )

    @property
    def key(self) -> str:
        """Name of the image in the cache: the file's own name, then a digest of where it comes from."""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", self.file).removesuffix(".qcow2").removesuffix(".img")[:60]
        source = [self.url, self.sha256, self.checksums] + ([self.signature, self.keyring] if self.keyring else [])
        digest = hashlib.sha256(json.dumps(source).encode()).hexdigest()
        return f"cloud-{stem}-{digest[:12]}"

    @property
    def file(self) -> str:
        """Name of the image's file at its vendor, as lists of checksums have it."""
        return unquote(os.path.basename(urlsplit(self.url).path))

    @property
    def qemu(self) -> str:
        """Program that emulates this architecture."""
        return _QEMU[self.architecture]


def load_image(data: Any, mirror: Any = ()) -> ImageSpec | CloudSpec:
    """Check a user's description of an image: one that is built, or with ``cloud`` one that is downloaded."""
    if not isinstance(data, Mapping) or not data.get("cloud"):
        rest = {key: value for key, value in data.items() if key != "cloud"} if isinstance(data, Mapping) else data
        return ImageSpec.load(rest, mirror)
    others = {key: value for key, value in data.items() if key != "cloud"}
    if ImageSpec.load(others, mirror) != ImageSpec.load({}, mirror):
        raise InputError(f"image: cloud goes with no other option, and there is {', '.join(sorted(others))}")
    return CloudSpec.load(data["cloud"])


@dataclass(frozen=True)
class GuestSpec:
    """One guest. ``memory`` is in MiB; ``cmdline`` is added to the kernel's command line; ``network`` is of NETWORKS.

    With ``module_key`` the guest starts by UEFI and trusts a key, made for this start, for modules.
    """

    name: str
    image: ImageSpec | CloudSpec = field(default_factory=ImageSpec)
    memory: int = 1024
    cpus: int = 1
    cmdline: str = ""
    cpu: str = ""
    module_key: bool = False
    network: str = "restricted"

    @classmethod
    def load(cls, data: Any, defaults: Mapping[str, Any], mirror: Any = ()) -> GuestSpec:
        """Check one entry of the user's list of guests; ``defaults`` gives options that it leaves out."""
        if not isinstance(data, Mapping) or "name" not in data:
            raise InputError(f"guest: a mapping with a name is needed, not {data!r}")
        name = str(data["name"])
        check_name(name)
        what = f"guest {name}"
        _known(data, cls, what)
        merged = {**defaults, **{key: value for key, value in data.items() if value is not None}}
        cmdline, cpu = str(merged.get("cmdline", "")), str(merged.get("cpu", ""))
        if not _CMDLINE.match(cmdline):
            raise InputError(f"{what}: cmdline holds a character that is not printable ASCII")
        if cpu and not re.fullmatch(r"[A-Za-z0-9._=,+-]+", cpu):
            raise InputError(f"{what}: cpu {cpu!r} is not a QEMU processor model with features")
        image = load_image(merged.get("image") or {}, mirror)
        if cmdline and isinstance(image, CloudSpec):
            raise InputError(f"{what}: cmdline cannot be set, the boot loader of its cloud image has its own")
        module_key = _boolean(merged.get("module_key", False), f"{what}: module_key")
        if module_key and isinstance(image, CloudSpec):
            raise InputError(f"{what}: module_key cannot be set, its cloud image starts as its vendor wants")
        network = str(merged.get("network") or ("open" if isinstance(image, CloudSpec) else cls.network))
        if network not in NETWORKS:
            raise InputError(f"{what}: network {network!r} is not one of {', '.join(NETWORKS)}")
        return cls(
            name=name,
            image=image,
            memory=_whole(merged.get("memory", cls.memory), 128, 1048576, f"{what}: memory"),
            cpus=_whole(merged.get("cpus", cls.cpus), 1, 255, f"{what}: cpus"),
            cmdline=cmdline,
            cpu=cpu,
            module_key=module_key,
            network=network,
        )

    @property
    def digest(self) -> str:
        """Changes when a running guest is no longer what is asked for."""
        content = [self.image.key, self.memory, self.cpus, self.cmdline, self.cpu, getattr(self.image, "firmware", "")]
        content += ["module key"] if self.module_key else []
        content += [self.network]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def check_name(name: str) -> None:
    """Accept a guest's name if it is safe as host name and as file name; else InputError."""
    if not _NAME.match(name) or name in _OWN_FILES:
        raise InputError(
            f"guest name {name!r} cannot be used: letters, digits, '.', '_' and '-', at most 64, "
            f"not beginning with a dot, and none of {', '.join(_OWN_FILES)}"
        )


def load_guests(data: Any, defaults: Mapping[str, Any], mirror: Any = ()) -> list[GuestSpec]:
    """Check the user's list of guests; two of one name are an error."""
    if isinstance(data, str | Mapping) or not isinstance(data, Sequence):
        raise InputError(f"guests: a list is needed, not {data!r}")
    guests = [GuestSpec.load(item, defaults, mirror) for item in data]
    names = [guest.name for guest in guests]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"guests: the name {name} is used twice")
    return guests


def cache_root(option: str, environ: Mapping[str, str]) -> str:
    """Cache directory: the option, else $KEDR_CACHE, $XDG_CACHE_HOME/kedr-lab, ~/.cache/kedr-lab.

    KedrError when somebody else could change what is in it.
    """
    home = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = os.path.abspath(os.path.expanduser(option or environ.get("KEDR_CACHE") or os.path.join(home, "kedr-lab")))
    ownership.check(path, "the cache")
    return path


def kernels_dir(cache: str) -> str:
    """Where kernels lie that are in no package."""
    return os.path.join(cache, "kernels")


def is_inside(path: str, directory: str) -> bool:
    """Tell whether a path, with its links followed, is below a directory."""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(directory), ""))


def image_dir(cache: str, spec: ImageSpec | CloudSpec) -> str:
    """Where an image lies in the cache once it is complete."""
    return os.path.join(cache, "images", spec.key)


def private_dir(path: str) -> str:
    """Make a directory (and those above it) that only its owner may enter; returns the path."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.makedirs(path, mode=0o700, exist_ok=True)
        ownership.check(path, "the directory")
        os.chmod(path, 0o700)
    except OSError as error:
        raise KedrError(f"cannot make the directory {path}: {error.strerror}") from error
    return path


@contextlib.contextmanager
def lock(path: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock on a file; ``waiting`` is called once if another process holds it."""
    with open(path, "a", encoding="ascii") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Make the first SIGINT or SIGTERM a KeyboardInterrupt, so that what was begun is cleaned up.

    Ansible's workers end at once on these signals. Later signals do not disturb the cleaning up.
    Only the main thread of a process may use this.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt(number: int, frame: object) -> None:
        for again in numbers:
            signal.signal(again, signal.SIG_IGN)
        raise KeyboardInterrupt

    former = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)


def find_tool(name: str, package: str) -> str:
    """Return the path of a program, also from the system directories a user's PATH may lack."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not path:
        raise KedrError(f"the program {name} is missing on the control node; install the package {package}")
    return path
