# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of the distribution as targets: by name, unmodified, each host with its own."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess

import jsonschema
import pytest
import yaml
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.relocations import expected_sites
from guests import DATA, OURS, ROOT, Lab, Run, Verify, loaded_modules

TARGETS = {
    "one": {"kedr_target": "zram", "kedr_target_params": {"num_devices": "1"}},
    "two": {"kedr_target": "loop", "kedr_target_params": {"max_loop": "2"}},
}


def inventory(lab: Lab, directory: pathlib.Path, variables: dict[str, dict]) -> Lab:
    """The same guests with variables of their own."""
    hosts = {host: {**known, **variables.get(host, {})} for host, known in lab.hosts.items()}
    (directory / "inventory.yml").write_text(yaml.safe_dump({"kedr_guests": {"hosts": hosts}}))
    return Lab(directory, hosts)


@pytest.fixture(scope="module")
def run(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("targets")
    return Verify(place / "runs")(inventory(lab, place, TARGETS))


@pytest.fixture(params=TARGETS)
def host(request: pytest.FixtureRequest) -> str:
    return request.param


def said(run: Run, host: str, outcome: str) -> list[str]:
    return [f"{one['source']}: {one['text']}" for one in run.results[host]["evidence"] if one["outcome"] == outcome]


def test_each_host_watches_its_own_target_and_is_judged_by_its_own_expectations(run: Run) -> None:
    assert {host: row["verdict"] for host, row in run.results.items()} == {"one": "OK", "two": "OK"}, run.output
    assert run.status == 0
    assert {host: row["target"] for host, row in run.results.items()} == {"one": "zram", "two": "loop"}
    jsonschema.validate(list(run.results.values()), json.loads((ROOT / "schemas/results.schema.json").read_text()))


def test_every_call_site_that_the_relocations_name_is_patched(run: Run, host: str) -> None:
    sites = run.results[host]["sites"]
    assert all(one["call"] + one["jmp"] == one["expected"] for one in sites.values())
    assert sum(one["expected"] for one in sites.values()) > 80
    assert sites["kfree"]["expected"] > 0


def test_the_kernels_own_events_count_the_same_calls(run: Run, host: str) -> None:
    (line,) = [text for text in said(run, host, "ok") if text.startswith("witness.txt: ")]
    counts = dict(re.findall(r"(\w+) (\d+)", line.partition("calls: ")[2]))
    assert int(counts["kmalloc"]) > 0
    for function, count in counts.items():
        assert int(count) <= run.results[host]["events"][f"called_{function}"]


def test_the_file_of_the_target_comes_home_in_no_round_trip_of_its_own(run: Run, host: str) -> None:
    target = run.results[host]["target"]
    assert (run.directory / host / "modules" / f"{target}.ko").read_bytes().startswith(b"\x7fELF")
    (step,) = [one for one in run.steps(host) if one["step"] == "target"]
    assert (step["round_trips"], step["data"]["no_file"]) == (1, {})
    assert sum(one["round_trips"] for one in run.steps(host)) <= 12


def test_the_target_goes_with_what_came_with_it(run: Run, lab: Lab, host: str) -> None:
    assert not loaded_modules(lab, host).intersection({*OURS, "zram", "loop", "kedr_memory", "kedr_locks"})
    assert "kedr" not in lab.ssh(host, "ls /sys/kernel/tracing/instances")


def test_what_cannot_be_intercepted_is_told(run: Run) -> None:
    counts = run.results["one"]["unreached"]
    assert counts["kmem_cache_alloc"]["unreferenced"] is True
    assert "kfree" not in counts
    notes = said(run, "one", "note")
    assert any("calls through thunks" in text for text in notes)
    assert any("no reference, so not called or compiled in: " in text and "kmem_cache_alloc" in text for text in notes)


@pytest.mark.parametrize(("function", "kind"), [("cond_resched", "static_calls"), ("kfree", "sites")])
def test_calls_in_a_real_module_are_counted_as_readelf_counts_them(run: Run, function: str, kind: str) -> None:
    path = run.directory / "two" / "modules" / "loop.ko"
    done = subprocess.run(["readelf", "-rW", path], check=True, capture_output=True, text=True)
    in_text, listed = False, 0
    name = f"__SCT__{function}" if kind == "static_calls" else function
    for line in done.stdout.splitlines():
        if line.startswith("Relocation section"):
            in_text = re.search(r"'\.rela?(\.init|\.exit)?\.text", line) is not None
        elif in_text and re.search(rf" {name} - 4$", line):
            listed += 1
    with path.open("rb") as stream:
        expected = expected_sites(stream, [function])
    assert listed > 0
    found = expected.total(function) if kind == "sites" else expected.static_calls[function]
    assert found == listed


def test_a_target_in_use_is_named_and_stays_loaded(lab: Lab, verify: Verify) -> None:
    run = verify(lab, limit="one", kedr_target="ext4")
    row = run.results["one"]
    assert (run.status == 0, row["verdict"]) == (False, "FAIL")
    assert "ext4 is loaded already" in row["reason"]
    assert "ext4" in loaded_modules(lab, "one")
    assert not loaded_modules(lab, "one").intersection({"cp_controller", "kedr_memory", "kedr_locks"})


def test_a_target_without_expectations_ends_the_run_before_it_begins(lab: Lab, verify: Verify) -> None:
    done = verify(lab, limit="one", kedr_target="virtio_rng")
    assert done.status != 0
    assert "the target virtio_rng needs a file of expectations: name it with kedr_expect" in " ".join(
        done.output.split()
    )
    assert not (verify.runs / "latest").exists()
    assert not (DATA / "expect" / "virtio_rng.yml").exists()
