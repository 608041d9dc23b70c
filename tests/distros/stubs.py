# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages made for the stand-in hosts: names, versions and promises as of the real ones, next to nothing inside."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
from dataclasses import dataclass, field

GCC = '#!/bin/sh\necho "gcc (stand-in) {version}"\n'
OBJTOOL = {"tools/objtool/Makefile": "all:\n", ".config": "CONFIG_UNWINDER_ORC=y\nCONFIG_OBJTOOL=y\n"}


@dataclass
class Package:
    """One package: ``version`` as VERSION-RELEASE, ``files`` (path -> text, or "-> target" for a link)."""

    name: str
    version: str = "1.0-1"
    files: dict[str, str] = field(default_factory=dict)
    provides: list[str] = field(default_factory=list)
    requires: list[str] = field(default_factory=list)
    arch: str = "x86_64"


def gcc(name: str, version: str, command: str, *requires: str) -> Package:
    """A compiler that can only say its version."""
    files = {f"/usr/bin/{command}": GCC.format(version=version)}
    return Package(name, f"{version}-1", files, requires=list(requires))


def tools(libc: str, elf: str) -> list[Package]:
    """The rest of what a build needs."""
    return [
        Package("make", "4.4-1", {"/usr/bin/make": "#!/bin/sh\n"}),
        Package("kmod", "32-1", {"/usr/sbin/modprobe": "#!/bin/sh\n"}),
        Package(libc, "2.99-1", {"/usr/include/stdio.h": "\n"}),
        Package(elf, "0.19-1", {"/usr/include/libelf.h": "\n"}),
    ]


def headers(name: str, version: str, release: str, tree: str, objtool: bool = False, **more: list[str]) -> Package:
    """The headers of kernel `release` at `tree`; with `objtool` they want it built."""
    files = {f"{tree}/Makefile": "\n", f"/usr/lib/modules/{release}/build": f"-> {tree}"}
    if objtool:
        files.update({f"{tree}/{path}": text for path, text in OBJTOOL.items()})
    return Package(name, version, files, **more)


def kernel(name: str, version: str, release: str, **more: list[str]) -> Package:
    """The kernel itself."""
    return Package(name, version, {f"/usr/lib/modules/{release}/vmlinuz": "\n"}, **more)


def write_files(package: Package, directory: pathlib.Path) -> None:
    """Write the files of a package below `directory`; programs may be run."""
    for path, text in package.files.items():
        target = directory / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            target.symlink_to(text[3:])
        else:
            target.write_text(text)
            target.chmod(0o755 if text.startswith("#!") else 0o644)


def spec(package: Package, stage: str) -> str:
    """Return the spec of an RPM whose files lie in `stage`."""
    version, _dash, release = package.version.rpartition("-")
    head = [f"Name: {package.name}", f"Version: {version}", f"Release: {release}", "Summary: stand-in", "License: GPL",
            "AutoReqProv: no", f"BuildArch: {package.arch}"]
    head += [f"Provides: {one}" for one in package.provides] + [f"Requires: {one}" for one in package.requires]
    return "\n".join([*head, "%description", "stand-in", "%install", f"cp -a {stage}/. %{{buildroot}}/", "%files",
                      *package.files, ""])


def rpm_script(packages: list[Package], place: pathlib.Path) -> str:
    """Stage `packages` in `place`, which is /standin inside; return the program that makes a repository there."""
    lines = ["set -e", "mkdir -p /standin/repo"]
    for number, package in enumerate(packages):
        stage = place / "stage" / str(number)
        write_files(package, stage)
        (place / f"{number}.spec").write_text(spec(package, f"/standin/stage/{number}"))
        lines.append(f"rpmbuild --quiet -bb --target {package.arch} --define '_topdir /tmp/b' --define '_rpmdir "
                     "/standin/repo' --define '__os_install_post %nil' --define 'debug_package %nil' "
                     f"/standin/{number}.spec")
    return "\n".join([*lines, "createrepo_c -q /standin/repo", ""])


def make_debs(packages: list[Package], repo: pathlib.Path) -> None:
    """Make a flat apt repository of `packages`."""
    repo.mkdir(parents=True)
    listed = []
    for package in packages:
        stage = repo / "stage"
        write_files(package, stage)
        arch = {"x86_64": "amd64", "noarch": "all"}[package.arch]
        control = (f"Package: {package.name}\nVersion: {package.version}\nArchitecture: {arch}\n"
                   "Maintainer: stand-in <root@localhost>\n"
                   + (f"Depends: {', '.join(package.requires)}\n" if package.requires else "")
                   + "Description: stand-in\n")
        (stage / "DEBIAN").mkdir(parents=True)
        (stage / "DEBIAN" / "control").write_text(control)
        file = repo / f"{package.name}_{package.version}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", stage, file], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(stage)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        listed.append(f"{control}Filename: ./{file.name}\nSize: {os.path.getsize(file)}\nSHA256: {digest}\n")
    (repo / "Packages").write_text("\n".join(listed))
