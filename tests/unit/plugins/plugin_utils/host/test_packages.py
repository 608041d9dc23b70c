# SPDX-License-Identifier: GPL-3.0-or-later
"""Package names: the table of the collection is sound, mistakes in one are named by line, hosts and people are told
the same names."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.host import packages
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell as hostshell

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]
GOOD = """families:
  - name: One
    ids: [one]
    manager: apt
    command: apt install
    headers: "headers-{release}"
    kernel: "kernel-{release}"
    compiler: gcc
    make: make
    libc: libc
    elf: elf
    kmod: kmod
    tar: tar
"""


@pytest.fixture(params=SHELLS)
def words(request: pytest.FixtureRequest):
    """Runs words of host_packages.sh, cut off before it does anything, in one of the shells; returns what is said."""
    shell = {"busybox": "busybox sh", "bash": "bash --posix"}.get(request.param, request.param)
    program = hostshell.load_script("prepared", "host_packages").partition("\nk_release=$(uname -r)\n")[0]

    def do(code: str, **values: str) -> list[str]:
        call = hostshell.frame(f"{program}\n{code}\n", {
            "k_data": packages.lines(packages.load()), "k_upgrade": "no", "k_check": "yes", **values})
        done = subprocess.run(call.command.replace("sh -c", f"{shell} -c", 1), shell=True, input=call.stdin,
                              capture_output=True, check=False, timeout=60)
        answer = hostshell.parse(done.stdout, call.nonce)
        return answer.all("said") + answer.text("reason").splitlines()

    return do


def test_the_table_of_the_collection_is_sound() -> None:
    families = packages.load()
    assert {family.manager for family in families} == set(packages.MANAGERS)
    assert all(set(packages.NEEDED) <= set(family.packages) for family in families)


@pytest.mark.parametrize(("old", "new", "line", "words_of_it"), [
    ("manager: apt", "manager: apk", 4, "no manager 'apk'"), ("{release}", "{relese}", 6, "unknown placeholder"),
    ("make: make", "make: 'make; reboot'", 9, "name of a package"), ("make: make", "make: -y", 9, "name of a package"),
    ("    tar: tar\n", "", 2, "'tar' is missing"), ("compiler: gcc", "compiler: [a, b]", 8, "one package"),
    ("ids: [one]", "ids: [One]", 3, "word of os-release"), ("headers-{release}", "headers-{release", 6, "partner"),
    ("    kernel: \"kernel-{release}\"\n", "", 2, "'kernel' is missing"),
    ("kmod: kmod", "komd: kmod", 12, "unknown key"),
    ("command: apt install", "command: $(x)", 5, "command"),
])
def test_a_mistake_is_named_with_its_line(tmp_path: pathlib.Path, old: str, new: str, line: int,
                                          words_of_it: str) -> None:
    path = tmp_path / "packages.yml"
    path.write_text(GOOD)
    assert len(packages.load(str(path))) == 1
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        packages.load(str(path))
    assert f"{path}:{line}: " in str(error.value)
    assert words_of_it in str(error.value)


def test_a_word_that_two_families_claim_is_a_mistake(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "packages.yml"
    path.write_text(GOOD + GOOD.split("\n", 1)[1].replace("name: One", "name: Two"))
    with pytest.raises(InputError, match="'one' is in the ids of One and of Two"):
        packages.load(str(path))


@pytest.mark.parametrize(("os_id", "release", "told"), [
    ("ubuntu", "6.8.0-45-generic", "apt install linux-headers-6.8.0-45-generic"),
    ("fedora", "6.8.5-301.fc40.x86_64", "dnf install kernel-devel-6.8.5-301.fc40.x86_64"),
    ("fedora", "6.8.5-301.fc40.x86_64+debug", "dnf install kernel-debug-devel-6.8.5-301.fc40.x86_64"),
    ("opensuse", "6.4.0-150600.21-rt", "zypper install 'kernel-rt-devel = 6.4.0-150600.21'"), ("plan9", "4", ""),
])
def test_people_are_told_what_hosts_are_told(os_id: str, release: str, told: str) -> None:
    assert packages.advice(packages.load(), {"os_id": os_id, "release": release}, ["headers"]) == told


@pytest.mark.parametrize(("text", "version"), [
    ("Linux version 6.1.0-18-amd64 (x@y) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils) 2.40) #1 SMP", "12"),
    ("Linux version 6.8.0-45-generic (b@l) (x86_64-linux-gnu-gcc-13 (Ubuntu 13.2.0-23) 13.2.0, GNU ld) #45", "13"),
    ("Linux version 6.11.4-301.fc41.x86_64 (m@b) (gcc (GCC) 14.2.1 20240912 (Red Hat 14.2.1-3), GNU ld 2.43) #1", "14"),
    ("Linux version 2.6.31.5-127.fc12.x86_64 (m@x) (gcc version 4.4.2 20091018 (Red Hat 4.4.2-7) (GCC) ) #1", "4.4"),
    ("Linux version 6.4.0 (g@b) (gcc (SUSE Linux) 7.5.0, GNU ld (GNU Binutils; SUSE Linux) 2.41) #1", "7"),
    ("Linux version 6.9.1 (x@y) (Debian clang version 16.0.6 (15), LLD 16.0.6) #1", ""),
    ("gcc (Debian 14.2.0-19) 14.2.0", "14"), ("gcc (GCC) 14.2.1 20240912 (Red Hat 14.2.1-3)", "14"), ("", ""),
])
def test_the_version_of_gcc_is_read_as_packages_are_called(words, text: str, version: str) -> None:
    assert words('gcc_of "$k_text"; value said "$k_gcc"', k_text=text) == [version]


@pytest.mark.parametrize(("manager", "release", "version", "flavour"), [
    ("apt", "6.12.107+deb13-amd64", "6.12.107+deb13-amd64", "amd64"),
    ("apt", "6.12.107+deb13-cloud-amd64", "6.12.107+deb13-cloud-amd64", "cloud-amd64"),
    ("apt", "6.12.107+deb13-686-pae", "6.12.107+deb13-686-pae", "686-pae"),
    ("apt", "5.10.0-32-cloud-amd64", "5.10.0-32-cloud-amd64", "cloud-amd64"),
    ("apt", "2.6.32-5-686-bigmem", "2.6.32-5-686-bigmem", "686-bigmem"),
    ("apt", "6.1.0-0.deb11.21-amd64", "6.1.0-0.deb11.21-amd64", "amd64"),
    ("apt", "6.8.0-1015-aws", "6.8.0-1015-aws", "aws"), ("apt", "6.8.0-45-generic", "6.8.0-45-generic", "generic"),
    ("dnf", "6.11.4-301.fc41.x86_64", "6.11.4-301.fc41.x86_64", ""),
    ("dnf", "6.11.4-301.fc41.x86_64+debug", "6.11.4-301.fc41.x86_64", "debug"),
    ("zypper", "6.4.0-150600.21-default", "6.4.0-150600.21", "default"), ("zypper", "6.11.5-1-rt", "6.11.5-1", "rt"),
    ("zypper", "4.12.14-azure", "4.12.14", "azure"),
])
def test_the_flavour_of_a_kernel_is_told_from_its_version(words, manager: str, release: str, version: str,
                                                          flavour: str) -> None:
    code = 'k_manager=$k_m; split "$k_of"; value said "$k_version"; value said "$k_flavour"'
    said = words(code, k_m=manager, k_of=release)
    assert said == [version, flavour]
    if manager != "apt":
        assert packages.split_release(release, manager) == (version, flavour)


@pytest.mark.parametrize(("manager", "template", "gcc", "name"), [
    ("dnf", "kernel{-flavour}-devel-{version}", "", "kernel-debug-devel-6.8.5-301.fc40.x86_64"),
    ("zypper", "gcc{gcc}", "4.5", "gcc45"), ("zypper", "gcc{gcc}", "13", "gcc13"),
    ("apt", "gcc-{gcc}", "4.5", "gcc-4.5"),
    ("apt", "a-{release}-{release}", "", "a-6.8.5-301.fc40.x86_64+debug-6.8.5-301.fc40.x86_64+debug"),
])
def test_names_are_filled_in(words, manager: str, template: str, gcc: str, name: str) -> None:
    code = 'k_manager=$k_m; k_gcc=$k_g; fill "$k_t" "6.8.5-301.fc40.x86_64+debug"; value said "$k_filled"'
    assert words(code, k_m=manager, k_t=template, k_g=gcc) == [name]


GONE = """
find_newest() { k_newest=6.2; }
want() { [ "$1" = "$k_missing" ] && k_absent="$k_absent$1 $1-$2$k_newline" || k_wanted="$k_wanted$1-$2 "; }
want_if_there() { :; }
k_release=6.1
k_absent="headers a-6.1, b-6.1${k_newline}$k_more"
headers_gone
value said "$k_wanted$k_next"
[ -z "$k_absent" ] || absent
"""


def test_headers_that_are_gone_are_told_by_their_own_names(words) -> None:
    (reason,) = words(GONE, k_more="make make\n", k_missing="")
    assert reason.startswith("the headers of the running kernel 6.1 are not in the host's repositories (a-6.1, b-6.1)")
    assert "the newest kernel that is there together with its headers is 6.2: set kedr_upgrade_kernel" in reason


def test_an_upgrade_wants_headers_and_kernel_of_the_newest_pair(words) -> None:
    assert words(GONE, k_more="", k_missing="", k_upgrade="yes") == ["headers-6.2 kernel-6.2 6.2"]


def test_an_upgrade_still_tells_what_else_cannot_be_had(words) -> None:
    said = words(GONE, k_more="make make\n", k_missing="", k_upgrade="yes")
    assert said[1:] == ["the host's repositories have no package for make (make)"]


def test_an_upgrade_without_its_kernel_is_not_begun(words) -> None:
    (reason,) = words(GONE, k_more="", k_missing="kernel", k_upgrade="yes")
    assert "6.2, but it cannot be chosen: no kernel kernel-6.2" in reason
