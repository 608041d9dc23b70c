# SPDX-License-Identifier: GPL-3.0-or-later
"""Role host on stand-ins with real package managers. The tests stand in the order of a host's life: fresh, prepared,
its kernel gone from the repositories, upgraded."""

from __future__ import annotations

import pytest
from standins import FEDORA_OLD, Ansible, Result, Standin, python36

HEADERS = {"fedora": "kernel-devel 6.8.5-301.fc40", "fedora-dnf5": "kernel-devel 6.8.5-301.fc40",
           "leap": "kernel-default-devel 6.4.0-150600.21.3", "debian": "linux-headers-6.1.0-18-amd64 6.1.76-1",
           "ubuntu": "linux-headers-6.8.0-45-generic 6.8.0-45.45~22.04.1"}
GONE = {"fedora": "6.8.1-300.fc40.x86_64", "fedora-dnf5": "6.8.1-300.fc40.x86_64", "leap": "6.4.0-150600.22-default",
        "debian": "6.1.0-20-amd64", "ubuntu": "6.8.0-40-generic"}
NEWEST = {"fedora": "6.8.9-300.fc40.x86_64", "fedora-dnf5": "6.8.9-300.fc40.x86_64",
          "leap": "6.4.0-150600.23.25-default", "debian": "6.1.0-25-amd64", "ubuntu": "6.8.0-49-generic"}
PAIR = {"fedora": {"kernel 6.8.9-300.fc40", "kernel-devel 6.8.9-300.fc40"},
        "leap": {"kernel-default 6.4.0-150600.23.25.1", "kernel-default-devel 6.4.0-150600.23.25.1",
                 "kernel-devel 6.4.0-150600.23.25.2"},
        "debian": {"linux-image-6.1.0-25-amd64 6.1.106-3", "linux-headers-6.1.0-25-amd64 6.1.106-3"},
        "ubuntu": {"linux-image-6.8.0-49-generic 6.8.0-49.49~22.04.1",
                   "linux-headers-6.8.0-49-generic 6.8.0-49.49~22.04.1",
                   "linux-modules-extra-6.8.0-49-generic 6.8.0-49.49~22.04.1"}}
PAIR["fedora-dnf5"] = PAIR["fedora"]
KEPT = {"fedora": {one.removesuffix(".x86_64").replace("devel-", "devel ") for one in FEDORA_OLD},
        "leap": {"kernel-default-devel 6.4.0-150600.10.5", "kernel-devel 6.4.0-150600.10.6"}}
KEPT["fedora-dnf5"] = KEPT["fedora"]


FLAVOURS = {"ubuntu": ("6.8.0-1018-aws", "6.8.0-1019-aws"),
            "debian": ("6.1.0-27-cloud-amd64", "6.1.0-28-cloud-amd64"),
            "fedora": ("6.8.5-301.fc40.x86_64+debug", ""),
            "leap": ("6.4.0-150600.8.5-azure", "")}
"""Running kernel of another flavour -> the newest of that flavour, where the running one's headers are gone."""


@pytest.fixture(scope="module")
def unmarked(ansible: Ansible) -> Result:
    return ansible("packages", unmarked=True)


@pytest.fixture(scope="module")
def foretold(ansible: Ansible, unmarked: Result) -> Result:
    return ansible("packages", options=("--check", "-v"))


@pytest.fixture(scope="module")
def fresh(ansible: Ansible, foretold: Result) -> Result:
    return ansible("role", host_install_packages=True)


@pytest.fixture(scope="module")
def prepared(ansible: Ansible, fresh: Result) -> Result:
    return ansible("role", host_install_packages=True)


@pytest.fixture(scope="module")
def looked(ansible: Ansible, prepared: Result) -> Result:
    return ansible("packages")


@pytest.fixture(scope="module")
def gone(ansible: Ansible, standins: dict[str, Standin], looked: Result) -> Result:
    for name, one in standins.items():
        one.run_kernel(GONE[name])
    return ansible("role", host_install_packages=True)


@pytest.fixture(scope="module")
def upgraded(ansible: Ansible, gone: Result) -> Result:
    return ansible("role", kedr_upgrade_kernel=True, host_reboot_timeout=300)


@pytest.fixture(scope="module")
def flavoured(ansible: Ansible, standins: dict[str, Standin], upgraded: Result) -> Result:
    for name, (release, _newest) in FLAVOURS.items():
        standins[name].run_kernel(release)
    return ansible("packages", *FLAVOURS)


def test_a_host_without_the_mark_gets_no_package(name: str, unmarked: Result, standins: dict[str, Standin]) -> None:
    step = unmarked.step(name, "packages")
    assert (step["status"], step["kind"], step["round_trips"]) == ("refused", "SKIP", 0)


def test_a_check_says_what_would_be_installed_and_installs_nothing(
    name: str, foretold: Result, standins: dict[str, Standin]
) -> None:
    assert foretold.status == 0, foretold.output
    assert foretold.changed(name) == 1
    assert "make " not in {line.split()[0] + " " for line in standins[name].installed()}


def test_a_fresh_host_gets_what_building_for_the_running_kernel_needs(
    name: str, fresh: Result, standins: dict[str, Standin]
) -> None:
    assert fresh.status == 0, fresh.output
    facts = fresh.facts(name)
    assert (facts["lacks"], facts["release"]) == ([], standins[name].system.release)
    assert facts["kernel_tree"]
    assert HEADERS[name] in standins[name].installed()
    assert fresh.step(name, "packages")["round_trips"] == 1
    assert fresh.step(name, "packages")["data"]["gone"] == []


def test_a_prepared_host_is_left_alone_in_one_round_trip(name: str, prepared: Result) -> None:
    assert prepared.status == 0, prepared.output
    (step,) = prepared.steps(name)
    assert (step["step"], step["status"], step["round_trips"]) == ("facts", "ok", 1)
    assert prepared.changed(name) == 0


def test_asking_for_packages_on_a_prepared_host_changes_nothing(name: str, looked: Result) -> None:
    step = looked.step(name, "packages")
    assert (step["status"], step["round_trips"], step["data"]["lacking"]) == ("ok", 1, [])
    assert looked.changed(name) == 0


def test_headers_of_other_kernels_stay(name: str, looked: Result, standins: dict[str, Standin]) -> None:
    assert KEPT.get(name, set()) <= standins[name].installed()


@pytest.mark.parametrize(("host", "package"), [("ubuntu", "gcc-12 12.3.0-1"), ("leap", "gcc13 13.2.1-1")])
def test_gcc_comes_in_the_version_that_built_the_kernel(
    host: str, package: str, looked: Result, standins: dict[str, Standin]
) -> None:
    assert package in standins[host].installed()


def test_libelf_headers_come_where_objtool_is_not_built(looked: Result, standins: dict[str, Standin]) -> None:
    assert "elfutils-libelf-devel 0.19-1" in standins["fedora"].installed()
    assert not {one for one in standins["leap"].installed() if "libelf" in one}


def test_a_kernel_that_left_the_repositories_is_told_with_the_newest_pair(
    name: str, gone: Result, standins: dict[str, Standin]
) -> None:
    step = gone.step(name, "packages")
    assert (step["status"], step["kind"]) == ("failed", "INFRA")
    assert GONE[name] in step["reason"]
    assert f"the newest kernel there with its headers is {NEWEST[name]}" in step["reason"]
    assert "kedr_upgrade_kernel: true" in step["reason"]
    assert step["data"]["installed"] == []


def test_an_upgrade_installs_kernel_and_headers_and_survives_the_reboot(
    name: str, upgraded: Result, standins: dict[str, Standin]
) -> None:
    assert upgraded.status == 0, upgraded.output
    assert [step["step"] for step in upgraded.steps(name)] == ["facts", "packages", "reboot", "facts"]
    assert standins[name].installed() >= PAIR[name]
    assert upgraded.step(name, "reboot")["data"] == {"before": GONE[name], "release": NEWEST[name]}
    facts = upgraded.facts(name)
    assert (facts["release"], facts["lacks"]) == (NEWEST[name], [])


def test_an_upgrade_keeps_the_headers_of_every_other_kernel(
    name: str, upgraded: Result, standins: dict[str, Standin]
) -> None:
    assert {*KEPT.get(name, set()), HEADERS[name]} <= standins[name].installed()


@pytest.mark.parametrize("host", ["ubuntu", "debian"])
def test_the_newest_kernel_that_is_told_is_of_the_running_ones_flavour(host: str, flavoured: Result) -> None:
    step = flavoured.step(host, "packages")
    assert (step["status"], step["kind"], step["data"]["newest"]) == ("failed", "INFRA", FLAVOURS[host][1])


@pytest.mark.parametrize(("host", "packages"), [
    ("fedora", {"kernel-debug-devel 6.8.5-301.fc40"}),
    ("leap", {"kernel-azure-devel 6.4.0-150600.8.5.2", "kernel-devel-azure 6.4.0-150600.8.5.3"})])
def test_headers_are_of_the_running_kernels_flavour(
    host: str, packages: set[str], flavoured: Result, standins: dict[str, Standin]
) -> None:
    assert flavoured.step(host, "packages")["status"] == "ok"
    assert {*packages, *KEPT[host], HEADERS[host]} <= standins[host].installed()


def test_nothing_asked_for_python(upgraded: Result, standins: dict[str, Standin]) -> None:
    for name in ("leap", "debian", "ubuntu", "fedora-dnf5"):
        if name in standins:
            found = standins[name].sh("ls /usr/bin/python* /usr/local/bin/python* 2>/dev/null; true").split()
            assert found == (["/usr/bin/python3"] if name == "leap" else []), name
    assert standins["leap"].sh("python3 --version").startswith("Python 3.6.")
    assert (standins["leap"].inside / "python-called").read_text() == "--version\n"


def test_a_host_with_python_takes_the_same_round_trips_as_one_without(
    fresh: Result, prepared: Result, upgraded: Result, standins: dict[str, Standin]
) -> None:
    """But for how often one asks during a reboot: that depends on how long the reboot takes."""
    assert standins["fedora"].sh("python3 --version").startswith("Python 3.")
    for run in (fresh, prepared, upgraded):
        trips = {name: [(step["step"], step["step"] == "reboot" or step["round_trips"]) for step in run.steps(name)]
                 for name in standins}
        assert all(each == trips["fedora"] for each in trips.values()), trips


def test_ansibles_own_modules_do_not_run_with_python_3_6(ansible: Ansible, upgraded: Result) -> None:
    """What the roles are spared."""
    said = ansible("ping", "leap")
    assert said.status != 0
    assert not python36() or "SyntaxError" in said.output, said.output
