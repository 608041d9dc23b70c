# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `make verify` and parts of `make test` in root trees of systems that have nothing else installed.

The trees are kept in the cache for a week; each run gets a copy. Package mirrors, proxies, certificates and the
settings of pip are those of this machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator

from ansible_collections.kedr.lab.plugins.plugin_utils.base.locks import locked
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import explain

HERE = pathlib.Path(__file__).parent
SYSTEMS = {
    "debian12": ("debian", "bookworm", "main"),
    "debian13": ("debian", "trixie", "main"),
    "ubuntu24.04": ("ubuntu", "noble", "main,universe"),
}
"""Name -> distribution, suite, components."""
ALL = "verify lint types unit mist sanity integration runner kernels browser distros fleet e2e honesty"
PACKAGES = "git,make,ca-certificates"
APT_OPTIONS = re.compile(r'Acquire::(https?::[^ ]+|Check-Valid-Until|Check-Date|Retries) "[^"]+";\Z')
CERTIFICATES = pathlib.Path("/usr/local/share/ca-certificates")


class UnusableError(Exception):
    """A system cannot be had; the text says why."""


# -- what this machine's apt and pip are set up for


def output(*command: str | os.PathLike[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def apt_options(dump: str) -> list[str]:
    """Return from ``apt-config dump`` how mirrors are reached and how far their dates are believed."""
    return [line for line in dump.splitlines() if APT_OPTIONS.match(line)]


def repositories(uris: str) -> dict[str, str]:
    """Return suite -> URI of its repository, from ``apt-get --print-uris update``."""
    found = re.findall(r"^'(\S+?)/dists/(\S+?)/InRelease'", uris, re.MULTILINE)
    return {suite: uri for uri, suite in reversed(found)}


def os_release(text: str) -> dict[str, str]:
    return dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))


def sources(system: str, machine: dict[str, str], known: dict[str, str], ubuntu: str) -> list[str]:
    """Return the apt sources of a system: this machine's with another suite; none where mmdebstrap shall choose.

    Raises UnusableError when no mirror of the system's distribution is known.
    """
    distribution, suite, components = SYSTEMS[system]
    own = machine.get("VERSION_CODENAME", "")
    if distribution == "ubuntu" and ubuntu:
        known = dict.fromkeys((own, f"{own}-updates", f"{own}-security"), ubuntu)
    elif machine.get("ID") != distribution or own not in known:
        if distribution == "ubuntu":
            raise UnusableError("this machine is not an Ubuntu, so no mirror is known; name one in FRESH_MIRROR_UBUNTU")
        return []
    pockets = [pocket for pocket in ("", "-updates", "-security") if own + pocket in known]
    return [f"deb {known[own + pocket]} {suite}{pocket} {components.replace(',', ' ')}" for pocket in pockets]


def pip_places(listed: str) -> list[str]:
    """Return the absolute paths that ``pip config list`` names; of an index (file://…) its parent has the files."""
    found = re.findall(r"(file://|(?<=[='\s]))(/[^\s'\",\\]+)", listed)
    return sorted({os.path.dirname(path.rstrip("/")) if url else path.rstrip("/") for url, path in found})


# -- a root tree


def base(system: str, cache: pathlib.Path, ubuntu: str) -> pathlib.Path:
    """Return the pristine tree of a system, made when there is none of this week; UnusableError says why not."""
    machine = os_release(pathlib.Path("/etc/os-release").read_text(encoding="utf-8"))
    lines = sources(system, machine, repositories(output("apt-get", "--print-uris", "update")), ubuntu)
    suite, components = SYSTEMS[system][1:]
    command = ["mmdebstrap", "--mode=root", "--format=directory", "--variant=minbase", f"--include={PACKAGES}"]
    command += [f"--components={components}", "--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"']
    command += [f"--aptopt={option}" for option in apt_options(output("apt-config", "dump"))]
    key = hashlib.sha256("\n".join([*command, *lines, time.strftime("%G-W%V")]).encode()).hexdigest()[:12]
    final = cache / "fresh" / f"{system}-{key}"
    final.parent.mkdir(parents=True, exist_ok=True)
    with locked(f"{cache}/fresh/{system}.lock", lambda: say(f"another run makes the tree of {system}; waiting")):
        for left in final.parent.glob(f"{system}.[0-9]*"):
            if not pathlib.Path("/proc", left.suffix[1:]).exists():
                remove(left)
        if not final.is_dir():
            for stale in final.parent.glob(f"{system}-*"):
                remove(stale)
            make_base(system, [*command, suite], lines, final)
    return final


def make_base(system: str, command: list[str], lines: list[str], final: pathlib.Path) -> None:
    say(f"making the tree of {system}")
    part = pathlib.Path(f"{final}.part")
    # What mmdebstrap mounts ends with it, also when it is killed.
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*alone, *command, part, *lines], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    if done.returncode != 0:
        remove(part)
        raise UnusableError(explain(done.stderr))
    part.rename(final)


def remove(tree: pathlib.Path) -> None:
    subprocess.run(["rm", "-rf", "--one-file-system", tree], check=True)


def settle(root: pathlib.Path, checkout: pathlib.Path) -> None:
    """Give a tree what the user of a machine has set up: name service, certificates, pip, and the checkout."""
    home = pathlib.Path.home()
    for path in (pathlib.Path("/etc/resolv.conf"), pathlib.Path("/etc/hosts"), pathlib.Path("/etc/pip.conf")):
        if path.exists():
            shutil.copy(path, root / "etc")
    for source, place in ((home / ".config/pip", "root/.config/pip"), (pathlib.Path("/etc/xdg/pip"), "etc/xdg/pip")):
        if source.is_dir():
            shutil.copytree(source, root / place)
    if any(CERTIFICATES.glob("*.crt")):
        shutil.copytree(CERTIFICATES, root / CERTIFICATES.relative_to("/"), dirs_exist_ok=True)
        subprocess.run(["chroot", root, "update-ca-certificates"], check=True, capture_output=True)
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", checkout, root / "root/kedr.lab"], check=True)


def environment() -> list[str]:
    """Return the variables of a user who has just logged in, with the settings of pip and proxies of this one."""
    kept = re.compile(r"PIP_\w+\Z|(https?|ftp|all|no)_proxy\Z|TERM\Z", re.IGNORECASE)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return [f"{name}={value}" for name, value in os.environ.items() if kept.match(name)] + [
        f"PATH={path}", "HOME=/root", "LANG=C.UTF-8",
    ]  # fmt: skip


# -- runs


def enter(part: str, root: pathlib.Path, places: Iterable[str]) -> list[str | pathlib.Path]:
    """Return the command that runs a part in a root; verify in the plainest chroot, where / is not a mount point.

    Stand-ins and simulated hosts have mounts of their own, which need one.
    """
    kind = "plain" if part == "verify" else "mounted"
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", HERE / "enter.sh", kind, root,
            "\n".join(places), "env", "-i", *environment(), "make", "-C", "/root/kedr.lab", target(part)]  # fmt: skip


def target(part: str) -> str:
    return part if part == "verify" else f"test-{part}"


Result = tuple[str, bool, float]


def run_parts(system: str, parts: list[str], root: pathlib.Path, places: list[str]) -> Iterator[Result]:
    """Run parts in a tree, one after another; yield each with whether it passed and its seconds."""
    for part in parts:
        say(f"{system}: make {target(part)}")
        begun = time.monotonic()
        done = subprocess.run(enter(part, root, places), stdin=subprocess.DEVNULL, check=False)
        yield part, done.returncode == 0, time.monotonic() - begun


def try_system(system: str, parts: list[str], options: argparse.Namespace) -> bool:
    """Run parts on one system in a fresh copy of its tree; say what was run, return whether all passed."""
    pristine = base(system, options.cache, options.ubuntu)
    root = options.cache / "fresh" / f"{system}.{os.getpid()}"
    try:
        subprocess.run(["cp", "-a", pristine, root], check=True)
        settle(root, options.checkout)
        named = pip_places(output(sys.executable, "-m", "pip", "config", "list"))
        places = [place for place in named if not (root / place[1:]).exists()]
        results = list(run_parts(system, parts, root, places))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        remove(root)
        catch_signals()
    told = [f"{part} {'ok' if passed else 'FAILED'} ({seconds:.0f} s)" for part, passed, seconds in results]
    note(f"fresh {system}: {', '.join(told)}")
    return all(passed for _part, passed, _seconds in results)


def say(text: str) -> None:
    print(f"kedr.lab: {text}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    say(text)
    with open(os.environ.get("KEDR_NOTES", os.devnull), "a", encoding="utf-8") as notes:
        notes.write(text + "\n")


def chosen(text: str, known: Iterable[str], what: str) -> list[str]:
    """Return the words of `text`, by default all that are known; ends the program at one that is not known."""
    words = text.split() or list(known)
    wrong = [word for word in words if word not in known]
    if wrong:
        sys.exit(f"fresh.py: error: there is no {what} {wrong[0]}; there are: {' '.join(known)}")
    return words


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=pathlib.Path)
    parser.add_argument("--checkout", type=pathlib.Path)
    for name in ("--systems", "--parts", "--ubuntu"):
        parser.add_argument(name, default="")
    options = parser.parse_args()
    systems = chosen(options.systems, SYSTEMS, "system")
    parts = chosen(options.parts, ALL.split(), "part")
    left = [part for part in ALL.split() if part not in parts]
    if left:
        note(f"fresh: not run: {' '.join(left)}; FRESH_PARTS chooses what is run")
    passed = True
    for system in systems:
        try:
            passed = try_system(system, parts, options) and passed
        except UnusableError as error:
            note(f"fresh {system}: not run: {error}")
    return 0 if passed else 1


def catch_signals() -> None:
    """Let an interruption end what runs in a tree, and then remove the tree."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))


if __name__ == "__main__":
    catch_signals()
    sys.exit(main())
