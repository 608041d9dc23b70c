# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in hosts: roots with the real package managers, made-up kernels, and an sshd on a port of this machine.

They stand for Fedora, openSUSE, Debian and Ubuntu as far as the handling of packages goes, and no further.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field

import stubs as p

FILES = pathlib.Path(__file__).parent / "files"
ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 900
"""Seconds that a playbook on the stand-ins may take before the test is given up."""

FEDORA = '[stand-in]\nname=stand-in\nbaseurl=file:///standin/repo\ngpgcheck=0\nenabled=1\n'
NO_PYTHON = "rm -f /usr/bin/python3* /usr/local/bin/python*\n"


@dataclass
class System:
    """What a stand-in is: tree, os-release, running kernel and its compiler, repository, files, preparation."""

    tree: str
    os_release: str
    release: str
    compiler: str
    packages: list[p.Package]
    files: dict[str, str] = field(default_factory=dict)
    prepare: str = ""


def fedora_devel(version: str, name: str = "kernel-devel", flavour: str = "", **more: bool) -> p.Package:
    release = f"{version}.x86_64{flavour}"
    return p.headers(name, version, release, f"/usr/src/kernels/{release}",
                     provides=[f"kernel-devel-uname-r = {release}"], **more)


def fedora_kernel(version: str) -> p.Package:
    return p.kernel("kernel", version, f"{version}.x86_64")


FEDORA_PACKAGES = [
    *(fedora_devel(old) for old in ("6.5.6-300.fc39", "6.6.9-200.fc39", "6.7.9-200.fc39")),
    fedora_devel("6.8.5-301.fc40", objtool=True),
    fedora_devel("6.8.5-301.fc40", "kernel-debug-devel", "+debug"),
    fedora_devel("6.8.9-300.fc40"), fedora_devel("6.9.1-200.fc40"),
    fedora_kernel("6.8.5-301.fc40"), fedora_kernel("6.8.9-300.fc40"),
    p.gcc("gcc", "14.0.1", "gcc"), *p.tools("glibc-devel", "elfutils-libelf-devel"),
]
FEDORA_OLD = [f"kernel-devel-{old}.x86_64" for old in ("6.5.6-300.fc39", "6.6.9-200.fc39", "6.7.9-200.fc39")]


def suse_devel(version: str, rebuild: str, flavour: str = "default", sources: str = "kernel-devel") -> list[p.Package]:
    """kernel-FLAVOUR-devel and the sources it needs: the packages count rebuilds, what they provide does not."""
    tree = f"/usr/src/linux-{version}{sources.removeprefix('kernel-devel')}"
    both = ["multiversion(kernel)"]
    return [
        p.headers(f"kernel-{flavour}-devel", f"{version}.{rebuild}", f"{version}-{flavour}",
                  f"{tree}-obj/x86_64/{flavour}", provides=[f"kernel-{flavour}-devel = {version}"],
                  requires=[f"{sources} = {version}"]),
        p.Package(sources, f"{version}.{int(rebuild) + 1}", {f"{tree}/Makefile": "\n"}, arch="noarch",
                  provides=[f"{sources} = {version}", *both]),
    ]


def suse_kernel(version: str, rebuild: str) -> p.Package:
    return p.kernel("kernel-default", f"{version}.{rebuild}", f"{version}-default",
                    provides=[f"kernel-default = {version}"])


SUSE_PACKAGES = [
    *suse_devel("6.4.0-150600.10", "5"), *suse_devel("6.4.0-150600.21", "3"), *suse_devel("6.4.0-150600.23.25", "1"),
    *suse_devel("6.4.0-150600.23.30", "2"),
    *(one for version, rebuild in (("6.4.0-150600.8.5", "2"), ("6.4.0-150600.8.14", "1"))
      for one in suse_devel(version, rebuild, "azure", "kernel-devel-azure")),
    suse_kernel("6.4.0-150600.21", "3"), suse_kernel("6.4.0-150600.23.25", "1"),
    p.gcc("gcc", "7.5.0", "gcc"), p.gcc("gcc13", "13.2.1", "gcc-13"),
    *p.tools("glibc-devel", "libelf-devel"),
]


def apt_headers(release: str, version: str) -> p.Package:
    return p.headers(f"linux-headers-{release}", version, release, f"/usr/src/linux-headers-{release}", )


def apt_kernel(release: str, version: str) -> p.Package:
    return p.kernel(f"linux-image-{release}", version, release)


DEBIAN_PACKAGES = [
    apt_headers("6.1.0-18-amd64", "6.1.76-1"), apt_kernel("6.1.0-18-amd64", "6.1.76-1"),
    apt_headers("6.1.0-25-amd64", "6.1.106-3"), apt_kernel("6.1.0-25-amd64", "6.1.106-3"),
    apt_headers("6.1.0-28-cloud-amd64", "6.1.119-1"), apt_kernel("6.1.0-28-cloud-amd64", "6.1.119-1"),
    apt_headers("6.1.0-30-amd64", "6.1.124-1"),
    p.gcc("gcc", "12.2.0", "gcc"), *p.tools("libc6-dev", "libelf-dev"),
]
UBUNTU_PACKAGES = [
    apt_headers("6.8.0-45-generic", "6.8.0-45.45~22.04.1"), apt_kernel("6.8.0-45-generic", "6.8.0-45.45~22.04.1"),
    apt_headers("6.8.0-49-generic", "6.8.0-49.49~22.04.1"), apt_kernel("6.8.0-49-generic", "6.8.0-49.49~22.04.1"),
    p.Package("linux-modules-extra-6.8.0-49-generic", "6.8.0-49.49~22.04.1"),
    apt_headers("6.8.0-1019-aws", "6.8.0-1019.21~22.04.1"), apt_kernel("6.8.0-1019-aws", "6.8.0-1019.21~22.04.1"),
    p.gcc("gcc", "11.4.0", "gcc"), p.gcc("gcc-12", "12.3.0", "gcc-12"), p.gcc("gcc-13", "13.1.0", "gcc-13"),
    *p.tools("libc6-dev", "libelf-dev"),
]
APT = {"/etc/apt/sources.list": "deb [trusted=yes] file:/standin/repo ./\n"}
NO_APT_SOURCES = "rm -f /etc/apt/sources.list.d/*\n"

SYSTEMS = {
    "fedora": System(
        "rpm", 'ID=fedora\nVERSION_ID=40\nPRETTY_NAME="Fedora Linux 40 (stand-in)"\n', "6.8.5-301.fc40.x86_64",
        "gcc (GCC) 14.0.1 20240411 (Red Hat 14.0.1-0), GNU ld version 2.41-34.fc40", FEDORA_PACKAGES,
        {"/etc/yum.repos.d/stand-in.repo": FEDORA},
        f"cd /standin/repo/x86_64; rpm -i {' '.join(f'{one}.rpm' for one in FEDORA_OLD)}\n"),
    "fedora-dnf5": System(
        "dnf5", 'ID=fedora\nVERSION_ID=42\nPRETTY_NAME="Fedora Linux 42 (stand-in)"\n', "6.8.5-301.fc40.x86_64",
        "gcc (GCC) 14.0.1 20240411 (Red Hat 14.0.1-0), GNU ld version 2.41-34.fc40", FEDORA_PACKAGES,
        {"/etc/yum.repos.d/stand-in.repo": FEDORA},
        f"cd /standin/repo/x86_64; rpm -i {' '.join(f'{one}.rpm' for one in FEDORA_OLD)}\n{NO_PYTHON}"),
    "leap": System(
        "rpm", 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\nPRETTY_NAME="openSUSE Leap 15.6 '
        '(stand-in)"\n', "6.4.0-150600.21-default",
        "gcc-13 (SUSE Linux) 13.2.1 20240206 [revision x], GNU ld (GNU Binutils; SUSE Linux Enterprise 15) 2.41",
        SUSE_PACKAGES, {"/etc/zypp/repos.d/stand-in.repo": FEDORA, "/etc/zypp/zypp.conf": "[main]\n"},
        "cd /standin/repo; rpm -i x86_64/kernel-default-devel-6.4.0-150600.10.5.x86_64.rpm "
        f"noarch/kernel-devel-6.4.0-150600.10.6.noarch.rpm\n{NO_PYTHON}"
        "install -m 755 /standin/python.sh /usr/bin/python3\n"),
    "debian": System(
        "rpm", 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (stand-in)"\n', "6.1.0-18-amd64",
        "gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40", DEBIAN_PACKAGES, APT,
        NO_APT_SOURCES + NO_PYTHON),
    "ubuntu": System(
        "rpm", 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu 22.04 (stand-in)"\n',
        "6.8.0-45-generic", "x86_64-linux-gnu-gcc-12 (Ubuntu 12.3.0-1ubuntu1~22.04) 12.3.0, GNU ld (GNU Binutils) 2.38",
        UBUNTU_PACKAGES, APT, NO_APT_SOURCES + NO_PYTHON),
}


def python36() -> pathlib.Path | None:
    """Return the folder of a Python 3.6 that pyenv has on this machine, or None."""
    versions = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv") / "versions"
    return next((path for path in versions.glob("3.6.*") if (path / "bin/python3.6").exists()), None)


class Standin:
    """A running stand-in host."""

    def __init__(self, name: str, system: System, tree: pathlib.Path, repo: pathlib.Path, place: pathlib.Path,
                 key: pathlib.Path) -> None:
        self.name, self.system, self.tree, self.place, self.key = name, system, tree, place, key
        self.inside = place / "standin"
        self.log = place / "host.log"
        self.inside.mkdir(parents=True)
        shutil.copytree(repo, self.inside / "repo")
        if home := python36():
            (self.inside / "python").mkdir()
            (self.inside / "python-home").write_text(f"{home}\n")
        self._write_files()
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        (self.inside / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey /standin/hostkey\nPidFile /run/sshd.pid\nUsePAM no\n"
            "AuthorizedKeysFile /standin/authorized_keys\nStrictModes no\nPermitRootLogin prohibit-password\n"
            "SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", str(FILES / "enter.sh"), str(tree),
                 str(place), "sh", "/standin/init.sh"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _write_files(self) -> None:
        for name in ("init.sh", "python.sh"):
            shutil.copy(FILES / name, self.inside)
        files = self.inside / "files"
        for path, text in {**self.system.files, "/usr/lib/os-release": self.system.os_release}.items():
            target = files / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        local = files / "usr/local/bin"
        local.mkdir(parents=True)
        for name in ("uname", "reboot"):
            shutil.copy(FILES / f"{name}.sh", local / name)
            (local / name).chmod(0o755)
        (self.inside / "prepare").write_text(self.system.prepare)
        shutil.copy(self.key, self.inside / "hostkey")
        (self.inside / "hostkey").chmod(0o600)
        shutil.copy(f"{self.key}.pub", self.inside / "authorized_keys")
        self.run_kernel(self.system.release)
        (self.inside / "boot_id").write_text("not booted yet\n")

    def run_kernel(self, release: str) -> None:
        """Let the host say that it runs this kernel."""
        (self.inside / "release").write_text(f"{release}\n")
        (self.inside / "version").write_text(
            f"Linux version {release} (build@stand-in) ({self.system.compiler}) #1 SMP\n")

    def wait(self) -> None:
        """Wait until sshd answers."""
        end = time.monotonic() + 300
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                    if sock.recv(3) == b"SSH":
                        return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"{self.name} did not come up: {self.log.read_text()}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def sh(self, command: str) -> str:
        """Run one command on the host; return what it printed."""
        argv = ["ssh", "-p", str(self.port), "-i", str(self.key), *self.ssh_options().split(), "root@127.0.0.1"]
        argv.append(command)
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300).stdout

    def ssh_options(self) -> str:
        known = self.place / "known_hosts"
        if not known.exists():
            public = pathlib.Path(f"{self.key}.pub").read_text()
            known.write_text(f"[127.0.0.1]:{self.port} {public}")
        return f"-o UserKnownHostsFile={known} -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes"

    def variables(self) -> dict[str, object]:
        """Return the host's variables in an inventory."""
        return {"ansible_host": "127.0.0.1", "ansible_port": self.port, "ansible_user": "root",
                "ansible_ssh_private_key_file": str(self.key), "ansible_ssh_common_args": self.ssh_options(),
                "kedr_test_host": True}

    def installed(self) -> set[str]:
        """Return the installed packages as NAME VERSION."""
        if "/etc/apt/sources.list" in self.system.files:
            said = self.sh("dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n'")
            return {line.removeprefix("installed ") for line in said.splitlines() if line.startswith("installed ")}
        return set(self.sh("rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\\n'").splitlines())


def make_key(place: pathlib.Path) -> pathlib.Path:
    """Make the key of all stand-ins; host key and user key are the same."""
    key = place / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "stand-in", "-f", key], check=True)
    return key


def make_rpms(packages: list[p.Package], tree: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    """Make an RPM repository with the rpmbuild and createrepo_c of `tree`; return where it is."""
    inside = place / "standin"
    inside.mkdir(parents=True)
    (inside / "build").write_text(p.rpm_script(packages, inside))
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", FILES / "enter.sh", tree, place]
    done = subprocess.run([*argv, "sh", "/standin/build"], capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return inside / "repo"


class Ansible:
    """Runs a playbook of files/ on stand-ins."""

    def __init__(self, place: pathlib.Path, standins: list[Standin]) -> None:
        self.place, self.hosts, self.count = place, {one.name: one for one in standins}, 0

    def __call__(self, playbook: str, *hosts: str, options: tuple[str, ...] = (), unmarked: bool = False,
                 **variables: object) -> Result:
        self.count += 1
        run_dir = self.place / f"run{self.count}"
        chosen = {name: self.hosts[name].variables() for name in hosts or self.hosts}
        if unmarked:
            for each in chosen.values():
                del each["kedr_test_host"]
        inventory = self.place / f"inventory{self.count}.json"
        inventory.write_text(json.dumps({"all": {"hosts": chosen}}))
        argv = ["ansible-playbook", "-i", inventory, FILES / f"{playbook}.yml", *options,
                "-e", json.dumps({"run_dir": str(run_dir), **variables})]
        done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=LIMIT, env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"})
        return Result(done.returncode, done.stdout + done.stderr, run_dir)


@dataclass
class Result:
    """What a playbook left: exit status, output, run directory."""

    status: int
    output: str
    run_dir: pathlib.Path

    def steps(self, host: str) -> list[dict]:
        lines = (self.run_dir / host / "steps.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def step(self, host: str, name: str) -> dict:
        (found,) = [step for step in self.steps(host) if step["step"] == name]
        return found

    def facts(self, host: str) -> dict:
        return json.loads((self.run_dir / host / "facts.json").read_text())

    def changed(self, host: str) -> int:
        """Return how many tasks changed the host, as the recap says."""
        (line,) = [line for line in self.output.splitlines() if line.startswith(f"{host} ") and "changed=" in line]
        return int(line.split("changed=")[1].split()[0])
