# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that answers something else than it was asked for harms itself only."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import Any

import pytest
from playing import play

FACTS = {
    "release": "6.12.1", "machine": "x86_64", "build": "#1", "compiler": "gcc 14", "config_sum": "1-2",
    "kernel_tree": "{{ tree }}", "os_id": "debian", "tools": {"make": True, "gcc": True, "ld": True},
}  # fmt: skip
BUILD = """\
mkdir -p generated/kedr symvers one/user
cp "$1/compiled" one/one.ko; cp "$1/compiled" one/user/tool; : >symvers/one.symvers; : >generated/kedr/config.h
echo 'begin one'; echo 'built one 1'
"""


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    """Sources of a module, and the kernel trees of two hosts: what one gives is not what was asked for."""
    for name in ("kernel/one", "kernel/include", "kernel/probes", "honest", "forged"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "kernel/build.sh").write_text(BUILD)
    (tmp_path / "kernel/one/Kbuild").write_text("obj-m := one.o\n")
    for name in ("honest", "forged"):
        (tmp_path / name / "Makefile").write_text("")
        (tmp_path / name / "compiled").write_text(name)
    return tmp_path


def hosts(place: pathlib.Path) -> dict[str, Any]:
    """Two hosts that say the same of themselves. The first one lies."""
    return {"liar": {"tree": str(place / "forged")}, "other": {"tree": str(place / "honest")}}


def build(place: pathlib.Path, **more: Any) -> dict[str, Any]:
    options = {
        "facts": FACTS, "kernel_dir": str(place / "kernel"), "cache_dir": str(place / "cache"),
        "modules": [{"name": "one", "source": str(place / "kernel/one")}], "run_dir": str(place / "run"),
    }  # fmt: skip
    return {"kedr.lab.kmod_build": options, "register": "built", **more}


def modules(place: pathlib.Path) -> dict[str, str]:
    return {name: (place / "run" / name / "modules/one.ko").read_text().strip() for name in ("liar", "other")}


def manifests(place: pathlib.Path) -> list[dict[str, Any]]:
    made = [json.loads(path.read_text()) for path in (place / "cache/modules").glob("*/manifest.json")]
    return [one["made"] for one in made if one["name"] == "one"]


def test_what_a_host_built_is_used_on_that_host_only(place: pathlib.Path) -> None:
    for _run in range(2):
        done = play(place, hosts(place), [build(place)])
        assert done.returncode == 0, done.stdout + done.stderr
        assert modules(place) == {"liar": "forged", "other": "honest"}
    tools = {path.read_text().strip() for path in (place / "cache/modules").glob("*/user/tool")}
    assert tools == {"forged", "honest"}


def delegated(place: pathlib.Path, **builder: Any) -> subprocess.CompletedProcess[str]:
    """Build for both hosts on a third one, where /lib/modules holds the kernel tree."""
    (place / "modules/6.12.1").mkdir(parents=True)
    (place / "modules/6.12.1/build").symlink_to(place / "honest")
    there = {**hosts(place), "builder": builder}
    task = build(place, delegate_to="builder")
    return play(place, there, [task], {place / "modules": "/lib/modules"}, only="liar:other")


def test_what_a_marked_build_host_built_is_shared_and_its_manifest_says_who_built_it(place: pathlib.Path) -> None:
    done = delegated(place, kedr_builder=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert modules(place) == {"liar": "honest", "other": "honest"}
    (made,) = manifests(place)
    assert (made["by"]["kind"], made["by"]["name"], made["by"]["trusted"]) == ("host", "builder", True)
    assert made["compiler"].startswith("gcc")
    assert made["at"].endswith("Z")


@pytest.mark.parametrize("mark", [{}, {"kedr_builder": "true"}, {"kedr_test_host": True}])
def test_a_host_that_is_not_marked_as_a_builder_builds_for_no_other(place: pathlib.Path, mark: dict[str, Any]) -> None:
    done = delegated(place, **mark)
    assert done.returncode != 0
    assert "set kedr_builder: true" in done.stdout
    assert not (place / "cache/modules").exists()


def test_nothing_is_signed_that_an_unmarked_host_built(place: pathlib.Path) -> None:
    key, certificate = place / "key.pem", place / "cert.pem"
    subprocess.run(["openssl", "req", "-new", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=x",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    load = {"kedr.lab.kmod": {"modules": "{{ built.load }}", "signing_key": str(key), "signing_cert": str(certificate)}}
    done = play(place, {"liar": hosts(place)["liar"]}, [build(place), load])
    assert done.returncode != 0
    assert "one was built on liar, which the inventory does not mark as a builder, so it is not signed" in done.stdout


@pytest.mark.parametrize("damage", [
    lambda cache: os.chown(cache, 65534, 65534),
    lambda cache: cache.chmod(0o777),
])
def test_a_cache_that_somebody_else_could_change_is_not_used(place: pathlib.Path, damage: Any) -> None:
    (place / "cache").mkdir()
    damage(place / "cache")
    done = play(place, {"other": hosts(place)["other"]}, [build(place)])
    assert done.returncode != 0
    assert f"the cache {place}/cache" in done.stdout
    assert not list((place / "cache").iterdir())
