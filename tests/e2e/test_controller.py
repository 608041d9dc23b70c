# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules between controller, payloads and target, asked of a real kernel by hand."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.patched import parse_report
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.relocations import expected_sites
from guests import DATA, OURS, ROOT, Lab, Verify, loaded_modules, playbook

FILES = pathlib.Path(__file__).parent / "files"
HOST = "two"
REFUSED = ("veto", "undecodable")
TARGETS = ("jcc", "corners", "leaver")
PAYLOADS = ("lingerer", "thousands")
REPORT = "/sys/kernel/kedr/report"
TRACING = "/sys/kernel/tracing"
PARAMETER = "/sys/module/cp_controller/parameters/target_name"


@pytest.fixture(scope="module")
def modules(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Our modules, built for the guest; those of the folder files; my_rival, which replaces kfree as my_payload1 does;
    careless, the controller as it is built for a kernel that does not heed errors of module notifiers.
    """
    directory = tmp_path_factory.mktemp("controller")
    run = Verify(directory / "runs")(lab, limit=HOST)
    assert run.status == 0, run.output
    built = {path.stem: path for path in (run.directory / HOST / "modules").glob("*.ko")}
    return {**built, **build_more(lab, directory, run.directory)}


def build_more(lab: Lab, directory: pathlib.Path, run_dir: pathlib.Path) -> dict[str, pathlib.Path]:
    text = (DATA / "my_payload1.data").read_text()
    rival = directory / "my_rival.data"
    rival.write_text(text.replace("module.name = my_payload1", "module.name = my_rival"))
    kernel = str(ROOT / "kernel")
    careless = directory / "careless"
    shutil.copytree(kernel, careless)
    (careless / "probes" / "notifier_veto.c").write_text("#error no\n")
    needed = [
        {"name": "cp_controller", "source": f"{kernel}/controller"},
        {"name": "my_rival", "source": "{{ rendered.sources.my_rival }}", "needs": ["cp_controller"]},
        *({"name": name, "source": str(FILES / name)} for name in (*REFUSED, *TARGETS)),
        *({"name": name, "source": str(FILES / name), "needs": ["cp_controller"]} for name in PAYLOADS),
    ]
    build = {"facts": "{{ read.facts }}", "kernel_dir": kernel, "cache_dir": str(directory / "cache")}
    build["build_root"] = "{{ kedr_build_root }}"
    without_veto = {**build, "kernel_dir": str(careless), "run_dir": str(careless)}
    render = {"payloads": [str(rival)], "facts": "{{ read.facts }}", "dest": str(directory / "sources")}
    tasks = [
        {"kedr.lab.kernel_facts": {"payloads": [str(rival)]}, "register": "read"},
        {"kedr.lab.payload_render": render, "register": "rendered"},
        {"kedr.lab.kmod_build": {**build, "modules": needed, "run_dir": str(run_dir)}},
        {"kedr.lab.kmod_build": {**without_veto, "modules": needed[:1]}},
    ]
    path = directory / "rival.yml"
    path.write_text(yaml.safe_dump([{"hosts": HOST, "gather_facts": False, "tasks": tasks}]))
    done = playbook("-i", str(lab.inventory), str(path), lab=lab.directory)
    assert done.returncode == 0, done.stdout + done.stderr
    more = {name: run_dir / HOST / "modules" / f"{name}.ko" for name in ("my_rival", *REFUSED, *TARGETS, *PAYLOADS)}
    return {**more, "careless": careless / HOST / "modules" / "cp_controller.ko"}


@pytest.fixture
def insmod(lab: Lab, modules: dict[str, pathlib.Path]) -> Iterator:
    """Load one of the modules; returns what insmod and the kernel said, and unloads all after the test."""

    def load(name: str, parameters: str = "") -> str:
        before = len(lab.ssh(HOST, "dmesg").splitlines())
        command = f"cat >/tmp/{name}.ko && insmod /tmp/{name}.ko {parameters} 2>&1; rm /tmp/{name}.ko"
        said = lab.ssh(HOST, command, stdin=modules[name].read_bytes())
        return said + "\n".join(lab.ssh(HOST, "dmesg").splitlines()[before:])

    yield load
    ours = {*OURS, *REFUSED, *TARGETS, *PAYLOADS, "my_rival"}
    names = " ".join(["cp_target", *REFUSED, *TARGETS, *PAYLOADS, "my_rival", *OURS[1:]])
    lab.ssh(HOST, f"for m in {names}; do rmmod $m 2>/dev/null; done; true")
    assert not loaded_modules(lab, HOST).intersection(ours)


def rmmod(lab: Lab, name: str) -> str:
    return lab.ssh(HOST, f"rmmod {name} 2>&1; true")


def test_two_payloads_cannot_replace_one_function_and_both_are_named(lab, insmod) -> None:
    insmod("cp_controller", "target_name=cp_target")
    insmod("my_payload1")
    said = insmod("my_rival")
    assert "my_rival" not in loaded_modules(lab, HOST)
    assert "my_rival: not registered: " in said
    assert "is replaced by my_payload1 already" in said


def test_no_payload_registers_while_a_target_is_loaded(lab, insmod) -> None:
    insmod("cp_controller", "target_name=cp_target")
    insmod("cp_target")
    said = insmod("my_payload1")
    assert "my_payload1" not in loaded_modules(lab, HOST)
    assert "a target module is loaded" in said


def test_a_payload_stays_while_its_target_is_loaded_and_goes_afterwards(lab, insmod) -> None:
    insmod("cp_controller", "target_name=cp-target")
    insmod("my_payload1")
    insmod("cp_target")
    assert "in use" in rmmod(lab, "my_payload1") or "busy" in rmmod(lab, "my_payload1")
    assert "my_payload1" in loaded_modules(lab, HOST)
    rmmod(lab, "cp_target")
    rmmod(lab, "my_payload1")
    assert "my_payload1" not in loaded_modules(lab, HOST)


def test_a_target_whose_init_fails_releases_the_payloads(lab, insmod) -> None:
    insmod("cp_controller", "target_name=cp_target")
    insmod("my_payload1")
    insmod("cp_target", "cfake_block_size=0")
    assert "cp_target" not in loaded_modules(lab, HOST)
    rmmod(lab, "my_payload1")
    assert "my_payload1" not in loaded_modules(lab, HOST)


def test_a_target_that_cannot_be_patched_wholly_is_not_loaded_and_the_reason_is_logged(lab, insmod) -> None:
    insmod("cp_controller", "target_name=veto")
    insmod("my_payload1")
    said = insmod("veto")
    assert "veto" not in loaded_modules(lab, HOST)
    assert "cp_controller: veto: refused: init text, a breakpoint at offset 0x" in said
    assert "was a kprobe set on it?" in said
    rmmod(lab, "my_payload1")
    assert "my_payload1" not in loaded_modules(lab, HOST)


def place_in(ko: pathlib.Path, function: str, report: str, symbol: str) -> str:
    """The call site of `symbol` in a function of the core text, as FUNCTION+OFFSET."""
    listed = subprocess.run(["nm", "-n", ko], capture_output=True, text=True, check=True).stdout
    start = next(int(line.split()[0], 16) for line in listed.splitlines() if line.endswith(f" t {function}"))
    found = parse_report(report)["cp_target"]
    offset = min(site.offset for site in found.sites if site.symbol == symbol and site.offset >= start)
    return f"{function}+{offset - start}"


def test_a_kprobe_that_waits_for_the_target_is_set_on_patched_text_and_both_see_each_call(lab, insmod, modules) -> None:
    insmod("cp_controller", "target_name=cp_target")
    insmod("my_payload3")
    insmod("cp_target")
    place = place_in(modules["cp_target"], "cfake_open", lab.ssh(HOST, f"cat {REPORT}"), "down_interruptible")
    rmmod(lab, "cp_target")
    probe = f"echo p:kedr_test/site cp_target:{place} >kprobe_events; echo 1 >events/kedr_test/enable"
    lab.ssh(HOST, f"cd {TRACING} && {probe}")
    try:
        said = insmod("cp_target")
        assert "cp_target" in loaded_modules(lab, HOST), said
        before = calls(lab, "my_payload3", "called_down_interruptible")
        lab.ssh(HOST, "for one in 1 2 3; do : </dev/cfake0; done")
        assert calls(lab, "my_payload3", "called_down_interruptible") - before == 3
        assert lab.ssh(HOST, f"cat {TRACING}/kprobe_profile").split() == ["site", "3", "0"]
        rmmod(lab, "cp_target")
    finally:
        lab.ssh(HOST, f"cd {TRACING} && echo 0 >events/kedr_test/enable; echo >kprobe_events")


def test_a_target_with_a_byte_that_is_no_instruction_is_not_loaded_and_the_bytes_are_shown(lab, insmod) -> None:
    insmod("cp_controller", "target_name=undecodable")
    insmod("my_payload1")
    said = insmod("undecodable")
    assert "undecodable" not in loaded_modules(lab, HOST)
    assert re.search(
        r"cp_controller: undecodable: refused: core text, offset 0x[0-9a-f]+ is not an instruction; bytes 06\b", said
    ), said
    rmmod(lab, "my_payload1")
    insmod("undecodable")
    assert "undecodable" not in loaded_modules(lab, HOST), "the text is decoded whoever is registered"


def test_a_kernel_that_heeds_no_refusal_gets_an_init_that_fails(lab, insmod) -> None:
    insmod("careless", "target_name=veto")
    insmod("my_payload1")
    said = insmod("veto")
    assert "veto" not in loaded_modules(lab, HOST)
    assert "cp_controller: veto: refused: init text, a breakpoint at offset 0x" in said
    assert "was loaded without being patched" not in said
    rmmod(lab, "my_payload1")
    rmmod(lab, "cp_controller")
    assert not loaded_modules(lab, HOST).intersection(OURS)


def calls(lab: Lab, payload: str, event: str) -> int:
    return int(lab.ssh(HOST, f"cat /sys/module/{payload}/parameters/{event}"))


def test_a_conditional_tail_call_is_intercepted(lab, insmod) -> None:
    insmod("cp_controller", "target_name=jcc")
    insmod("my_payload1")
    insmod("jcc")
    report = parse_report(lab.ssh(HOST, f"cat {REPORT}"))["jcc"]
    (site,) = [one for one in report.sites if one.symbol == "kfree"]
    assert (site.kind, site.area) == ("jcc", "core")
    assert (site.to, site.to_offset, site.to_module) == ("kedr_repl_kfree", 0, "my_payload1")
    assert calls(lab, "my_payload1", "called_kfree") == 3


def test_static_calls_are_told_and_not_patched_and_code_without_instrumentation_is_named(lab, insmod, modules) -> None:
    insmod("cp_controller", "target_name=corners")
    insmod("my_payload1")
    insmod("corners")
    report = parse_report(lab.ssh(HOST, f"cat {REPORT}"))["corners"]
    with modules["corners"].open("rb") as file:
        expected = expected_sites(file, ["kfree"])
    assert report.static_calls == {"kfree": 1} == expected.trampolines
    assert report.noinstr == {"kfree": 1}
    assert report.functions["kfree"]["call"] + report.functions["kfree"]["jmp"] == 2 == expected.total("kfree")
    assert calls(lab, "my_payload1", "called_kfree") == 2, "five more went through the static call"


def test_a_payload_is_not_freed_under_a_thread_that_the_target_has_sent_there(lab, insmod) -> None:
    insmod("cp_controller", "target_name=leaver")
    insmod("lingerer")
    insmod("leaver")
    report = parse_report(lab.ssh(HOST, f"cat {REPORT}"))["leaver"]
    assert report.functions["complete"] == {"call": 0, "jmp": 1, "jcc": 0}
    before = len(lab.ssh(HOST, "dmesg").splitlines())
    lab.ssh(HOST, "rmmod leaver && rmmod lingerer")
    said = "\n".join(lab.ssh(HOST, "dmesg").splitlines()[before:])
    places = [said.index(text) for text in ("leaver: gone", "lingerer: left", "lingerer: gone")]
    assert places == sorted(places), said
    assert not re.search(r"Oops|BUG:|WARNING:", said), said


def test_a_payload_may_have_thousands_of_functions(lab, insmod) -> None:
    insmod("cp_controller")
    said = insmod("thousands")
    assert "thousands" in loaded_modules(lab, HOST), said
    assert lab.ssh(HOST, "ls /sys/module/thousands/parameters | wc -l").strip() == "2000"
    found = [calls(lab, "thousands", f"called_{number}") for number in ("0000", "0001", "1999")]
    assert found == [1, 0, 1999]


def test_a_target_that_is_there_already_is_told_instead_of_watched_in_vain(lab, insmod) -> None:
    insmod("cp_target")
    said = insmod("cp_controller", "target_name=other,cp-target")
    assert "cp_controller" not in loaded_modules(lab, HOST)
    assert "cp_target is loaded already, so it cannot be patched; unload it first" in said
    insmod("cp_controller", "target_name=other")
    assert lab.ssh(HOST, f"echo cp_target 2>/dev/null >{PARAMETER} || echo refused").strip() == "refused"
    assert lab.ssh(HOST, f"cat {PARAMETER}").strip() == "other"
    rmmod(lab, "cp_target")
    assert lab.ssh(HOST, f"echo cp_target >{PARAMETER} && cat {PARAMETER}").strip() == "cp_target"


def test_what_is_built_into_the_kernel_cannot_be_watched(lab, insmod) -> None:
    said = insmod("cp_controller", "target_name=printk")
    assert "cp_controller" not in loaded_modules(lab, HOST)
    assert "printk is built into the kernel" in said


def test_the_controller_stays_while_a_payload_is_registered(lab, insmod) -> None:
    insmod("cp_controller")
    insmod("my_payload1")
    rmmod(lab, "cp_controller")
    assert "cp_controller" in loaded_modules(lab, HOST)


def test_target_names_can_be_read_and_change_only_while_no_target_is_loaded(lab, insmod) -> None:
    insmod("cp_controller", "target_name=cp-target,other")
    assert lab.ssh(HOST, f"cat {PARAMETER}").strip() == "cp_target,other"
    assert lab.ssh(HOST, f"echo ../evil 2>&1 >{PARAMETER} || echo refused").strip().endswith("refused")
    insmod("cp_target")
    assert lab.ssh(HOST, f"echo other 2>/dev/null >{PARAMETER} || echo refused").strip() == "refused"
    rmmod(lab, "cp_target")
    lab.ssh(HOST, f"echo other >{PARAMETER}")
    assert lab.ssh(HOST, f"cat {PARAMETER}").strip() == "other"


def test_an_empty_target_name_matches_nothing(lab, insmod) -> None:
    insmod("cp_controller")
    insmod("my_payload1")
    insmod("cp_target")
    assert lab.ssh(HOST, "cat /sys/kernel/kedr/report") == ""
    rmmod(lab, "my_payload1")
    assert "my_payload1" not in loaded_modules(lab, HOST)


def test_the_report_and_the_counters_can_be_read_by_root_and_written_by_nobody(lab, insmod) -> None:
    insmod("cp_controller")
    insmod("my_payload1")
    files = "/sys/kernel/kedr/report /sys/module/my_payload1/parameters/called_*"
    assert set(lab.ssh(HOST, f"stat -c %a {files}").split()) == {"400"}
    rmmod(lab, "my_payload1")


def test_the_target_checks_its_parameters_and_says_what_is_allowed(lab, insmod) -> None:
    for parameter in ("cfake_ndevices=0", "cfake_buffer_size=0", "cfake_block_size=-1", "cfake_major=-5"):
        said = insmod("cp_target", parameter)
        assert "cp_target" not in loaded_modules(lab, HOST), parameter
        assert parameter.partition("=")[0] in said
