# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of embedded guests: a distribution's root tree made by mmdebstrap, and the disk made of it."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import selectors
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from ..base import ownership
from ..base.errors import InputError, KedrError
from ..base.files import write_file
from .spec import ImageSpec, Progress, find_tool, image_dir, is_inside, kernels_dir, lock

NEEDED_MB = 3500
"""Free space asked for before a build; tree and disk of the default image take 1.1 GB, downloads come on top."""

FREE_MB = 1536
"""Room on a guest's disk beyond what its tree takes; the file is sparse, so unused room costs nothing."""

HEARTBEAT = 15.0
"""Seconds without news after which a running step says that it still runs."""

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


def as_root(command: Sequence[str], environ: Sequence[str] = ()) -> list[str]:
    """Return a command that runs as root: as it is for root, else through sudo, which must not ask."""
    if os.geteuid() == 0:
        return ["env", *environ, *command] if environ else list(command)
    return [find_tool("sudo", "sudo, or run as root"), "-n", "env", *environ, *command]


def explain(log: str) -> str:
    """Turn the output of a failed build into a sentence; the tool's own last complaint when it is unknown."""
    told = [line for line in log.splitlines() if line.strip() and not line.startswith("I: ")]
    for pattern, text in _REASONS:
        found = [line for line in told if re.search(pattern, line)]
        if found:
            return f"{text} ({found[-1].strip()})"
    complaints = [line for line in told if line.startswith("E: ")]
    return (complaints or told or ["it said nothing"])[-1]


def apt_proxy_options(dump: str) -> list[str]:
    """Pick from ``apt-config dump`` what the machine needs to reach mirrors: proxies of http and https."""
    wanted = re.compile(r'Acquire::https?::Proxy(::[^ ]+)? "[^"]+";\Z')
    return [line for line in dump.splitlines() if wanted.match(line)]


def _machine_apt_options() -> list[str]:
    tool = shutil.which("apt-config")
    if not tool:
        return []
    done = subprocess.run([tool, "dump"], capture_output=True, text=True, check=False)
    return apt_proxy_options(done.stdout)


def mmdebstrap_command(spec: ImageSpec, tree: str, tool: str, apt_options: Sequence[str]) -> list[str]:
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


class _Log:
    """Runs programs, keeps all they say in a file, passes the lines that a person wants to see on."""

    def __init__(self, path: str, progress: Progress, label: str) -> None:
        self.path, self.progress, self.label = path, progress, label
        self.text = ""

    def run(self, command: Sequence[str], step: str, remark: str = "") -> None:
        """Run one step to its end; KedrError with an explanation when it fails."""
        started = time.monotonic()
        self.progress(f"{self.label}: {step}" + (f" ({remark})" if remark else ""))
        with open(self.path, "a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(command)}\n")
            log.flush()
            said, writer = os.pipe()
            with os.fdopen(said, "rb", buffering=0) as pipe:
                try:
                    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer)
                finally:
                    os.close(writer)
                try:
                    output = self._follow(pipe, log, started)
                except BaseException:
                    with contextlib.suppress(PermissionError):  # what sudo runs ends when nobody reads it
                        process.terminate()
                    pipe.close()
                    process.wait()
                    raise
        if process.wait() != 0:
            raise KedrError(f"{self.label}: {step} failed: {explain(output)}. The whole log is {self.path}")

    def _follow(self, pipe: Any, log: Any, started: float) -> str:
        output, part, news = "", b"", time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                if selector.select(1.0):
                    data = pipe.read(65536)
                    if not data:
                        return output + part.decode(errors="replace")
                    *lines, part = (part + data).replace(b"\r", b"\n").split(b"\n")
                    for line in lines:
                        text = line.decode(errors="replace")
                        log.write(text + "\n")
                        output += text + "\n"
                        if text.startswith(("I: downloading", "I: extracting", "I: installing", "I: running apt")):
                            self.progress(f"{self.label}: {text[3:]}")
                            news = time.monotonic()
                    log.flush()
                if time.monotonic() - news > HEARTBEAT:
                    news = time.monotonic()
                    self.progress(f"{self.label}: still at it after {news - started:.0f} s")


def installed_kernel(tree: str) -> str:
    """Return the release of the tree's kernel, the newest when there are several that have headers."""
    found = []
    for image in glob.glob(os.path.join(glob.escape(tree), "boot/vmlinuz-*")):
        release = os.path.basename(image).removeprefix("vmlinuz-")
        if os.path.isdir(os.path.join(tree, "lib/modules", release)):
            found.append(release)
    if not found:
        raise KedrError(f"the root tree {tree} has no kernel with modules; check the image's kernel package")
    return max(found, key=lambda name: [int(word) for word in re.findall(r"\d+", name)])


def read_image(directory: str) -> dict[str, Any] | None:
    """Return the description of a complete image, or None when there is none."""
    try:
        with open(os.path.join(directory, "image.json"), encoding="utf-8") as stream:
            data = json.load(stream)
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _tree_megabytes(tree: str) -> int:
    done = subprocess.run(as_root(["du", "-sm", "--apparent-size", tree]), capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def _remove(path: str) -> None:
    command = ["rm", "-rf", "--one-file-system", path]
    subprocess.run(command, check=False, capture_output=True)
    if os.path.lexists(path):  # what root made needs root to be removed
        subprocess.run(as_root(command), check=False, capture_output=True)


def _check_space(cache: str) -> None:
    free = shutil.disk_usage(cache).free // 2**20
    if free < NEEDED_MB:
        raise KedrError(
            f"only {free} MB are free at {cache}, an image needs {NEEDED_MB} MB; "
            "free some space or set lab_cache_dir to another disk"
        )


def _others_can_write(state: os.stat_result) -> bool:
    """Tell whether somebody else than root and who builds can change a file; a link is changed by its owner only."""
    mode = 0 if stat.S_ISLNK(state.st_mode) else state.st_mode
    foreign_group = mode & stat.S_IWGRP and state.st_gid not in (0, os.getegid())
    return state.st_uid not in ownership.ours() or bool(mode & stat.S_IWOTH or foreign_group)


def check_kernel_tree(kernel: str, cache: str) -> None:
    """Refuse a kernel's tree of another place, one with more than a kernel in it, and one that others can write to."""
    what = f"image: kernel_tree {kernel}"
    if not is_inside(kernel, kernels_dir(cache)):
        raise InputError(f"{what} is not in {kernels_dir(cache)}, where kernels that are in no package belong")
    if not os.path.isdir(kernel) or set(os.listdir(kernel)) != {"boot", "usr"}:
        raise InputError(f"{what} must be a directory with boot and usr, and nothing else")
    for place, directories, files in os.walk(kernel):
        for path in [place, *(os.path.join(place, name) for name in directories + files)]:
            if _others_can_write(os.lstat(path)):
                raise InputError(f"{what}: {path} can be changed by others; nothing is taken from there")


def _build(spec: ImageSpec, work: str, log: _Log) -> dict[str, Any]:
    """Fill the directory ``work`` with a whole image; returns its description."""
    started = time.time()
    tree, disk = os.path.join(work, "tree"), os.path.join(work, "disk.raw")
    apt_options = _machine_apt_options()
    command = mmdebstrap_command(spec, tree, find_tool("mmdebstrap", "mmdebstrap"), apt_options)
    log.run(as_root(command, ("INITRD=No", "LC_ALL=C.UTF-8")), "installing packages", "this takes a minute or two")
    release = installed_kernel(tree)
    tree_seconds = time.time() - started
    owner = f"--owner={os.getuid()}", f"--group={os.getgid()}"
    kernel = os.path.join(work, "vmlinuz")
    log.run(as_root(["install", *owner, "-m644", f"{tree}/boot/vmlinuz-{release}", kernel]), "taking the kernel")
    tree_mb = _tree_megabytes(tree)
    with open(disk, "wb") as stream:
        stream.truncate((tree_mb * 9 // 8 + FREE_MB) * 2**20)
    # The disk is a base for throw-away overlays: a journal would only slow guests down.
    options = shlex.split("-q -F -t ext4 -O ^has_journal -E lazy_itable_init=1 -m 0 -d")
    log.run(as_root([find_tool("mke2fs", "e2fsprogs"), *options, tree, disk]), "making the disk")
    os.chmod(disk, 0o444)
    return {
        "key": spec.key,
        "release": release,
        "suite": spec.suite,
        "architecture": spec.architecture,
        "packages": spec.all_packages,
        "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
        "tree_seconds": round(tree_seconds, 1),
        "tree_mb": tree_mb,
        "disk_mb": os.stat(disk).st_blocks * 512 // 2**20,
    }


def ensure_image(spec: ImageSpec, cache: str, progress: Progress, refresh: bool = False) -> dict[str, Any]:
    """Return the description of an image, building it when the cache has none (or always, with ``refresh``).

    The description gains ``directory``, ``tree``, ``disk``, ``kernel`` (paths) and ``cached``. Runs that
    need the same image at the same time build it once. KedrError says in plain words why it cannot be built.
    """
    final = image_dir(cache, spec)
    images = os.path.dirname(final)
    try:
        ownership.make(os.path.join(cache, "logs"), 0o755)
        ownership.make(images, 0o755)
    except OSError as error:
        raise KedrError(f"the cache directory {cache} cannot be used: {error.strerror}") from error
    image = None if refresh else read_image(final)
    if image is None:
        label = f"image {spec.key}"
        with lock(
            os.path.join(images, f".{spec.key}.lock"),
            lambda: progress(f"{label}: another run is building it, waiting for that"),
        ):
            image = None if refresh else read_image(final)
            if image is None:
                log = _Log(_log_path(cache, spec), progress, label)
                return _describe(_replace(spec, cache, final, log), final, False)
    return _describe(image, final, True)


def _log_path(cache: str, spec: ImageSpec) -> str:
    path = os.path.join(cache, "logs", f"{spec.key}.log")
    write_file(path, b"")
    return path


def _replace(spec: ImageSpec, cache: str, final: str, log: _Log) -> dict[str, Any]:
    images = os.path.dirname(final)
    for stale in glob.glob(os.path.join(glob.escape(images), f".{spec.key}.*.part")):
        _remove(stale)
    if spec.kernel_tree:
        check_kernel_tree(spec.kernel_tree, cache)
    _check_space(cache)
    work = tempfile.mkdtemp(prefix=f".{spec.key}.", suffix=".part", dir=images)
    os.chmod(work, 0o755)
    try:
        image = _build(spec, work, log)
        write_file(os.path.join(work, "image.json"), json.dumps(image, indent=1).encode() + b"\n")
        os.chmod(os.path.join(work, "image.json"), 0o644)
        if os.path.lexists(final):
            os.rename(final, f"{work[:-5]}.old.part")
            os.rename(work, final)
            _remove(f"{work[:-5]}.old.part")
        else:
            os.rename(work, final)
    except OSError as error:
        _remove(work)
        raise KedrError(f"{log.label}: {error.strerror}: {error.filename}. The log is {log.path}") from error
    except BaseException:
        _remove(work)
        raise
    log.progress(f"{log.label}: ready after {image['seconds']:.0f} s, kernel {image['release']}")
    return image


def _describe(image: dict[str, Any], directory: str, cached: bool) -> dict[str, Any]:
    return {
        **image,
        "directory": directory,
        "tree": os.path.join(directory, "tree"),
        "disk": os.path.join(directory, "disk.raw"),
        "kernel": os.path.join(directory, "vmlinuz"),
        "cached": cached,
    }
