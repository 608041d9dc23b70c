# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of Debian: a suite's root tree, made by mmdebstrap."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...base import ownership
from ...base.errors import InputError
from ...base.programs import find_tool
from .. import options
from ..places import is_inside, kernels_dir
from ..tools import Progress, as_root
from .interface import ImageSpec
from .tree import Log, check_space, kernel_and_disk

TREE_VERSION = "1"
"""Part of every image's key: raise it when the way an image is made changes what is in it."""

BASE_PACKAGES = (
    "busybox-static", "gcc", "iproute2", "kmod", "libc6-dev", "make", "openssh-server", "procps",
)  # fmt: skip

_KERNELS = {"amd64": "linux-image-amd64", "i386": "linux-image-686-pae"}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*\Z")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]+(/[A-Za-z0-9.+_-]+)?\Z")
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

_EXCLUDES = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")

# What must not stay in a tree that is kept and shared: host keys, the outer machine's
# proxy (perhaps with a password) and name server, one-time dpkg settings.
_CLEAN = (
    'rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/apt/apt.conf.d/99mmdebstrap '
    '"$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$1"/etc/resolv.conf "$1"/etc/hostname'
)

_REASONS = (
    (r"No space left on device|not enough free space",
     "the disk is full; free some or set lab_cache_dir to another disk"),
    (r"Could not resolve|Temporary failure|Could not connect|[Cc]onnection (failed|refused|timed out)|"
     r"Unable to connect|Cannot initiate|Network is unreachable|No route to host",
     "the package mirror cannot be reached; check the network and proxy, or set lab_mirror"),
    (r"Unable to locate package|has no installation candidate|Release '.*' for '.*' was not found",
     "a package does not exist in this suite; check the image's kernel, packages and pockets"),
    (r"NO_PUBKEY|not signed|signatures couldn't be verified|signatures were invalid",
     "the archive's signature cannot be checked; install the distribution's archive keyring package"),
    (r"Release file .* (expired|is not valid yet)|no longer valid",
     "the archive's Release file is out of date; check the clock, or add the apt option "
     'Acquire::Check-Valid-Until "false" to the image'),
    (r"Mirror sync in progress|Hash Sum mismatch", "the mirror is being updated; try again in some minutes"),
    (r"does not have a Release file|404 +Not Found|Failed to fetch",
     "the mirror lacks the suite or a file; check the suite's name, or set lab_mirror"),
    (r"arch-test|exec format", "programs of this architecture cannot run here; install arch-test"),
    (r"a password is required|sudo:", "root is needed: run as root, or allow sudo without a password"),
)  # fmt: skip


def _is_mirror(text: str) -> bool:
    line = _DEB.match(text)
    if not line:
        return _URI.match(text) is not None
    return all(_DEB_OPTION.match(option) for option in (line[1] or "arch=any").split(" ")) and bool(_URI.match(line[2]))


@dataclass(frozen=True)
class DebianSpec(ImageSpec):
    """One root tree and the disk made of it. ``mirror``, where packages come from, is not part of the key.

    Without ``security`` the suite is taken as released, without its security updates. ``kernel_tree`` is a directory of
    ``kernels`` in the cache whose name stands for its content, with ``boot``, ``usr/lib/modules`` and ``usr/src`` of a
    kernel that is in no package; its content is copied into the tree, and no kernel package is installed.
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
    def load(cls, data: Any, mirror: Any = ()) -> DebianSpec:
        """Return the spec of a user's mapping, with the defaults of its architecture.  Raises InputError."""
        data = options.mapping(data, cls, "image")
        suite = str(data.get("suite", cls.suite))
        architecture = str(data.get("architecture", cls.architecture))
        if not _WORD.match(suite):
            raise InputError(f"image: suite {suite!r} is not the name of a suite, such as trixie")
        options.choice(architecture, sorted(_KERNELS), "image: architecture")
        kernel = str(data.get("kernel") or _KERNELS[architecture])
        if not kernel.startswith("linux-image-") or not _PACKAGE.match(kernel):
            raise InputError(f"image: kernel {kernel!r} is not a kernel package; its name begins with linux-image-")
        kernel_tree = str(data.get("kernel_tree") or "")
        if kernel_tree and (data.get("kernel") or not os.path.isabs(kernel_tree)):
            raise InputError(f"image: kernel_tree {kernel_tree!r} must be an absolute path, and goes without kernel")
        mirrors = data.get("mirror", mirror) or ()
        mirrors = [mirrors] if isinstance(mirrors, str) else mirrors
        return cls(
            suite=suite,
            architecture=architecture,
            kernel=kernel,
            packages=options.words(data.get("packages", ()), _PACKAGE.match, "image: packages"),
            pockets=options.words(data.get("pockets", ()), _WORD.match, "image: pockets"),
            apt_options=options.words(data.get("apt_options", ()), _APT.match, "image: apt_options", _APT_OPTIONS),
            mirror=options.words(mirrors, _is_mirror, "image: mirror", _MIRRORS),
            security=options.boolean(data.get("security", True), "image: security"),
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

    def make(
        self, work: str, cache: str, progress: Progress, there: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Install the packages of the suite by mmdebstrap, and make kernel and disk of that."""
        if self.kernel_tree:
            check_kernel_tree(self.kernel_tree, cache)
        check_space(cache)
        log = Log(os.path.join(cache, "logs", f"{self.key}.log"), progress, f"image {self.key}", explain)
        started = time.monotonic()
        tool = find_tool("mmdebstrap", "mmdebstrap")
        command = mmdebstrap_command(self, os.path.join(work, "tree"), tool, _machine_apt_options())
        log.run(as_root(command, ("INITRD=No", "LC_ALL=C.UTF-8")), "installing packages", "this takes a minute or two")
        seconds = round(time.monotonic() - started, 1)
        about = {"suite": self.suite, "architecture": self.architecture, "packages": self.all_packages}
        return {**about, "tree_seconds": seconds, **kernel_and_disk(work, log)}


def explain(log: str) -> str:
    """Return why a build failed: a sentence for what is known, else the last complaint in its output."""
    told = [line for line in log.splitlines() if line.strip() and not line.startswith("I: ")]
    for pattern, text in _REASONS:
        found = [line for line in told if re.search(pattern, line)]
        if found:
            return f"{text} ({found[-1].strip()})"
    complaints = [line for line in told if line.startswith("E: ")]
    return (complaints or told or ["it said nothing"])[-1]


def apt_proxy_options(dump: str) -> list[str]:
    """Return the proxies of http and https in the output of ``apt-config dump``: what reaching mirrors needs."""
    wanted = re.compile(r'Acquire::https?::Proxy(::[^ ]+)? "[^"]+";\Z')
    return [line for line in dump.splitlines() if wanted.match(line)]


def _machine_apt_options() -> list[str]:
    tool = shutil.which("apt-config")
    if not tool:
        return []
    done = subprocess.run([tool, "dump"], capture_output=True, text=True, check=False)
    return apt_proxy_options(done.stdout)


def mmdebstrap_command(spec: DebianSpec, tree: str, tool: str, apt_options: Sequence[str]) -> list[str]:
    """Return the command that makes the tree; ``apt_options`` are the machine's, the image's own are added."""
    command = [tool, "--mode=root", "--format=directory", "--variant=minbase"]
    command += [f"--architectures={spec.architecture}", f"--include={','.join(spec.all_packages)}"]
    retry = 'Acquire::Retries "3"'
    command += [f"--aptopt={option}" for option in (retry, *apt_options, *spec.apt_options)]
    command += ["--dpkgopt=force-unsafe-io"]
    command += [f"--dpkgopt=path-exclude={path}" for path in _EXCLUDES]
    if not spec.security:
        command += ["--setup-hook=sed -i '/-security /d' \"$1\"/etc/apt/sources.list"]
    for pocket in spec.pockets:
        # The pocket lies on the mirror that mmdebstrap chose for the suite.
        pattern = rf"s/^\(deb .* \){re.escape(spec.suite)}\( .*\)$/\1{pocket}\2/p"
        file = '"$1"/etc/apt/sources.list'
        command += [f"--setup-hook=sed -n {shlex.quote(pattern)} {file} > {file}.d/{pocket}.list"]
    if spec.kernel_tree:
        command += [f'--customize-hook=cp -a {shlex.quote(spec.kernel_tree)}/. "$1"/']
    command += [f"--customize-hook={_CLEAN}", "--", spec.suite, tree, *spec.mirror]
    return command


def check_kernel_tree(kernel: str, cache: str) -> None:
    """Raise InputError for a kernel tree elsewhere, with more than a kernel in it, or that others can change."""
    what = f"image: kernel_tree {kernel}"
    if not is_inside(kernel, kernels_dir(cache)):
        raise InputError(f"{what} is not in {kernels_dir(cache)}, where kernels that are in no package belong")
    if not os.path.isdir(kernel) or set(os.listdir(kernel)) != {"boot", "usr"}:
        raise InputError(f"{what} must be a directory with boot and usr, and nothing else")
    for place, directories, files in os.walk(kernel):
        for path in [place, *(os.path.join(place, name) for name in directories + files)]:
            if ownership.others_can_write(os.lstat(path), (0, os.getegid())):
                raise InputError(f"{what}: {path} can be changed by others; nothing is taken from there")
