# SPDX-License-Identifier: GPL-3.0-or-later
"""Root trees of guests: the programs that make one, and the kernel and the disk that are made of it."""

import contextlib
import glob
import os
import re
import selectors
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from ...base.errors import KedrError
from ...base.files import write_file
from ...base.programs import find_tool
from ..tools import Progress, as_root

NEEDED_MB = 3500
"""Free space asked for before a build; tree and disk of the default image take 1.1 GB, downloads come on top."""

FREE_MB = 1536
"""Room on a guest's disk beyond what its tree takes; the file is sparse, so unused room costs nothing."""

HEARTBEAT = 15.0
"""Seconds without news after which a running step says that it still runs."""


def check_space(cache: str) -> None:
    """Raise KedrError when the cache has no room for a tree and its disk."""
    free = shutil.disk_usage(cache).free // 2**20
    if free < NEEDED_MB:
        raise KedrError(f"only {free} MB are free at {cache}, an image needs {NEEDED_MB} MB; "
                        "free some space or set lab_cache_dir to another disk")


class Log:
    """Runs programs, keeps all that they print in a file, and shows a person the lines of progress.

    ``explain`` makes a sentence of the output of a program that failed.
    """

    def __init__(self, path: str, progress: Progress, label: str, explain: Callable[[str], str]) -> None:
        self.path, self.progress, self.label, self.explain = path, progress, label, explain
        write_file(path, b"")

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
            raise KedrError(f"{self.label}: {step} failed: {self.explain(output)}. The whole log is {self.path}")

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
                    self.progress(f"{self.label}: still running after {news - started:.0f} s")


def installed_kernel(tree: str) -> str:
    """Return the release of the tree's kernel, the newest of those that have modules.  Raises KedrError."""
    found = []
    for image in glob.glob(os.path.join(glob.escape(tree), "boot/vmlinuz-*")):
        release = os.path.basename(image).removeprefix("vmlinuz-")
        if os.path.isdir(os.path.join(tree, "lib/modules", release)):
            found.append(release)
    if not found:
        raise KedrError(f"the root tree {tree} has no kernel with modules; check the image's kernel package")
    return max(found, key=lambda name: [int(word) for word in re.findall(r"\d+", name)])


def _tree_megabytes(tree: str) -> int:
    done = subprocess.run(as_root(["du", "-sm", "--apparent-size", tree]), capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def kernel_and_disk(work: str, log: Log) -> dict[str, Any]:
    """Make kernel and disk of the tree in the directory ``work``; return what its image's description says of them."""
    tree, disk, kernel = (os.path.join(work, name) for name in ("tree", "disk.raw", "vmlinuz"))
    release = installed_kernel(tree)
    owner = f"--owner={os.getuid()}", f"--group={os.getgid()}"
    log.run(as_root(["install", *owner, "-m644", f"{tree}/boot/vmlinuz-{release}", kernel]), "taking the kernel")
    tree_mb = _tree_megabytes(tree)
    with open(disk, "wb") as stream:
        stream.truncate((tree_mb * 9 // 8 + FREE_MB) * 2**20)
    # The disk is a base for throw-away overlays: a journal would only slow guests down.
    options = shlex.split("-q -F -t ext4 -O ^has_journal -E lazy_itable_init=1 -m 0 -d")
    log.run(as_root([find_tool("mke2fs", "e2fsprogs"), *options, tree, disk]), "making the disk")
    os.chmod(disk, 0o444)
    return {"release": release, "tree_mb": tree_mb, "disk_mb": os.stat(disk).st_blocks * 512 // 2**20}
