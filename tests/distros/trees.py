# SPDX-License-Identifier: GPL-3.0-or-later
"""Root trees of the stand-in hosts: Debian with the package managers of other systems, made once and kept.

    python trees.py CACHE     makes the trees that are missing; prints a line per tree that cannot be had
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.kedr.lab.plugins.plugin_utils.base.locks import locked
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import apt_proxy_options, explain

TREES = {
    "rpm": ("trixie", "dnf,zypper,rpm,createrepo-c,openssh-server", []),
    "old-ssh": ("bookworm", "openssh-server", []),
    "dnf5": ("sid", "dnf5,rpm,openssh-server", ['Acquire::Check-Valid-Until "false"']),
}
"""Name -> suite, packages, options of apt. Only Debian's next release has dnf5; Debian 12 is the last with ssh-dss."""


def command(name: str) -> list[str]:
    """Return the command that makes tree `name`, without the place to make it."""
    suite, packages, options = TREES[name]
    words = ["mmdebstrap", "--mode=root", "--format=directory", "--variant=minbase", f"--include={packages}",
             "--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"', '--aptopt=Acquire::Retries "3"']
    words += [f"--aptopt={option}" for option in options]
    words += [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "info", "locale")]
    return [*words, suite]


def tree(cache: pathlib.Path, name: str) -> pathlib.Path:
    """Return where tree `name` is, or will be."""
    key = hashlib.sha256("\n".join(command(name)).encode()).hexdigest()[:12]
    return cache / "distros" / f"{name}-{key}"


def make(cache: pathlib.Path, name: str) -> str:
    """Make tree `name` unless it is there; return why it cannot be had, or nothing."""
    final = tree(cache, name)
    final.parent.mkdir(parents=True, exist_ok=True)
    with locked(f"{final}.lock", lambda: print(f"another run makes tree {name}; waiting", file=sys.stderr)):
        if final.is_dir():
            return ""
        work = pathlib.Path(f"{final}.part")
        remove(work)
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
        print(f"making the tree {name}; this takes about a minute and a half", file=sys.stderr)
        words = command(name)
        words[1:1] = [f"--aptopt={option}" for option in apt_proxy_options(dump)]
        done = subprocess.run([*words, work], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              env={**os.environ, "LC_ALL": "C.UTF-8"})
        if done.returncode != 0:
            remove(work)
            return explain(done.stderr)
        work.rename(final)
        return ""


def remove(path: pathlib.Path) -> None:
    """Remove a tree, if it is there."""
    if path.exists():
        shutil.rmtree(path)


def main() -> int:
    """Make all trees; only the one that every other test needs is asked for."""
    cache = pathlib.Path(sys.argv[1])
    with ThreadPoolExecutor() as pool:
        reasons = dict(zip(TREES, pool.map(lambda name: make(cache, name), TREES), strict=True))
    for name, reason in reasons.items():
        if reason:
            print(f"the tree {name} cannot be had: {reason}")
    return 1 if reasons["rpm"] else 0


if __name__ == "__main__":
    sys.exit(main())
