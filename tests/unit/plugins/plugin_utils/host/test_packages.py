# SPDX-License-Identifier: GPL-3.0-or-later
"""Package names: the table of the collection is sound, mistakes in one are named by line, hosts and people are told
the same names."""

from __future__ import annotations

import pathlib
import re
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
    program = hostshell.load_script(*packages.programs(packages.load())).partition("\nk_release=$(uname -r)\n")[0]

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


def test_every_package_manager_has_a_program_with_every_word_of_it() -> None:
    comment = (pathlib.Path(hostshell.SCRIPTS) / "packages_choose.sh").read_text()
    needed = re.findall(r"(?m)^#   MANAGER(_\w+) ", comment)
    assert len(needed) == 8
    for name in set(packages.MANAGERS) - {"none"}:
        program = hostshell.load_script(f"packages_{name}")
        assert [word for word in needed if f"\n{name}{word}() {{\n" not in f"\n{program}"] == []


def test_only_the_programs_of_package_managers_that_the_table_names_are_sent(tmp_path: pathlib.Path) -> None:
    (tmp_path / "packages.yml").write_text(GOOD)
    told = packages.programs(packages.load(str(tmp_path / "packages.yml")))
    assert told == ["prepared", "packages_choose", "packages_apt", "host_packages"]
    assert set(told) < set(packages.programs(packages.load()))


@pytest.mark.parametrize("manager", ["apt", "dnf", "zypper", ""])
def test_a_host_without_os_release_is_of_the_first_family_whose_package_manager_it_has(words, manager: str) -> None:
    code = 'have() { [ "${1%%-*}" = "${k_m:-none}" ] || [ "$1" = rpm ] || [ "$1" = dpkg-query ]; }\nos_words() { :; }\n'
    said = words(code + 'find_family; value said "$k_manager"; value said "${k_family:+$(names manager)}"', k_m=manager)
    assert said == [manager, manager]


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
def test_people_are_told_what_hosts_are_told(words, os_id: str, release: str, told: str) -> None:
    (flavour,) = words('split "$k_of"; value said "$k_flavour"', k_of=release)
    facts = {"os_id": os_id, "release": release, "flavour": flavour}
    assert packages.advice(packages.load(), facts, ["headers"]) == told


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


@pytest.mark.parametrize(("release", "flavour"), [
    ("6.12.107+deb13-amd64", "amd64"), ("6.12.107+deb13-cloud-amd64", "cloud-amd64"),
    ("6.12.107+deb13-686-pae", "686-pae"), ("5.10.0-32-cloud-amd64", "cloud-amd64"),
    ("2.6.32-5-686-bigmem", "686-bigmem"), ("6.1.0-0.deb11.21-amd64", "amd64"), ("6.16-rc7+deb14-amd64", "amd64"),
    ("6.10-rc7-amd64", "amd64"), ("6.8.0-1015-aws", "aws"), ("6.8.0-45-generic", "generic"),
    ("6.5.0-1008-nvidia-64k", "nvidia-64k"), ("6.6.31+rpt-rpi-v8", "rpi-v8"),
    ("6.11.4-301.fc41.x86_64", ""), ("6.11.4-301.fc41.x86_64+debug", "debug"), ("3.10.0-1160.el7.x86_64", ""),
    ("5.14.0-503.el9.aarch64+64k-debug", "64k-debug"), ("6.1.102-108.177.amzn2023.x86_64", ""),
    ("6.4.0-150600.21-default", "default"), ("6.11.5-1-rt", "rt"), ("4.12.14-azure", "azure"),
    ("6.10.0-rc7-1.g12ab345-default", "default"), ("5.14.21-150400.15.5-rt_debug", "rt_debug"),
    ("6.6.58-0-lts", "lts"), ("6.12.1", ""),
])
def test_the_flavour_of_a_kernel_is_told_from_its_version(words, release: str, flavour: str) -> None:
    version = release.removesuffix(flavour)[:-1] if flavour else release
    assert words('split "$k_of"; value said "$k_version"; value said "$k_flavour"', k_of=release) == [version, flavour]


@pytest.mark.parametrize("release", ["6.12.107+deb13-cloud-amd64", "6.11.4-301.fc41.x86_64", "6.8.0-45-generic",
                                     "6.11.4-301.fc41.x86_64+debug", "6.4.0-150600.21-default"])
@pytest.mark.parametrize("manager", ["apt", "dnf", "zypper"])
def test_hosts_and_people_fill_in_the_same_names(words, tmp_path: pathlib.Path, manager: str, release: str) -> None:
    template = "a-{version}-{flavour}b{-flavour}-{release}"
    path = tmp_path / "packages.yml"
    path.write_text(GOOD.replace("manager: apt", f"manager: {manager}").replace("headers-{release}", template))
    (flavour, name) = words('k_manager=$k_m; fill "$k_t" "$k_of"; value said "$k_flavour"; value said "$k_filled"',
                            k_m=manager, k_t=template, k_of=release)
    facts = {"os_id": "one", "release": release, "flavour": flavour}
    assert packages.advice(packages.load(str(path)), facts, ["headers"]) == f"apt install {name}"


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
    assert "the newest kernel there with its headers is 6.2: set kedr_upgrade_kernel" in reason


def test_an_upgrade_wants_headers_and_kernel_of_the_newest_pair(words) -> None:
    assert words(GONE, k_more="", k_missing="", k_upgrade="yes") == ["headers-6.2 kernel-6.2 6.2"]


def test_an_upgrade_still_tells_what_else_cannot_be_had(words) -> None:
    said = words(GONE, k_more="make make\n", k_missing="", k_upgrade="yes")
    assert said[1:] == ["the host's repositories have no package for make (make)"]


def test_an_upgrade_without_its_kernel_is_not_begun(words) -> None:
    (reason,) = words(GONE, k_more="", k_missing="kernel", k_upgrade="yes")
    assert "6.2, but it cannot be installed: no package for kernel kernel-6.2" in reason
