# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate that tells a kernel's complaint from its usual talk, tried on its own cases and on whole logs."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils import splat
from ansible_collections.kedr.lab.plugins.plugin_utils.datafile import DataFileError

ROOT = pathlib.Path(splat.__file__).resolve().parents[2]
POLICY = splat.load_policy(str(ROOT / "data" / "splats.yml"))
MARKER = "kedr: run 1 begins"

DENIED = [(rule, case) for rule in (*POLICY.deny, *POLICY.panic) for case in rule.cases]
ALLOWED = [(rule, case) for rule in POLICY.allow for case in rule.cases]
NOT_OURS = {"module taint"}
"""Rules that only exist for what the allow list lets through."""


@pytest.mark.parametrize(("rule", "case"), DENIED, ids=lambda value: getattr(value, "name", None))
def test_every_case_of_a_rule_is_matched_by_that_rule(rule: splat.Rule, case: str) -> None:
    assert rule.pattern.search(case)


@pytest.mark.parametrize(
    "case", [case for rule, case in DENIED if rule.name not in NOT_OURS], ids=lambda case: case[:40]
)
@pytest.mark.parametrize("prefix", ["", "[    9.123456] ", "<4>[12345.678901] ", "[    9.123456][  T412] "])
def test_every_denied_case_is_a_splat_in_a_log(case: str, prefix: str) -> None:
    found = splat.scan([f"{MARKER}\n", f"{prefix}{case}\r\n"], POLICY, MARKER)
    assert [one.text for one in found.splats] == [case]
    assert found.splats[0].line == 2


@pytest.mark.parametrize(("rule", "case"), ALLOWED, ids=lambda value: getattr(value, "name", None))
def test_every_allowed_case_would_be_a_splat_without_its_rule(rule: splat.Rule, case: str) -> None:
    assert splat.judge(case, POLICY) is None
    others = tuple(one for one in POLICY.allow if one is not rule)
    assert splat.judge(case, splat.Policy(POLICY.deny, POLICY.panic, others)) is not None


@pytest.mark.parametrize(("rule", "case"), ALLOWED, ids=lambda value: getattr(value, "name", None))
def test_an_allowed_message_with_more_in_it_is_a_splat(rule: splat.Rule, case: str) -> None:
    assert splat.judge(f"BUG: {case}", POLICY) is not None
    assert splat.judge(f"{case} BUG: really", POLICY) is not None


def test_every_rule_has_cases_and_says_what_it_means() -> None:
    for rule in (*POLICY.deny, *POLICY.panic, *POLICY.allow):
        assert rule.cases, rule.name
        assert rule.means.endswith("."), rule.name


RULES = ("controller", "not patched")
PARAMETER = "target_name: "
"""Answers to who writes a bad value into the parameter; the load or the write fails with it."""


def complaints() -> list[str]:
    """What the controller's sources say with pr_err, with something in place of every conversion."""
    text = "".join(path.read_text() for path in sorted((ROOT / "kernel" / "controller").glob("*.c")))
    found = re.findall(r'pr_err\(\s*"((?:[^"\\]|\\.)*)\\n"', text)
    return [re.sub(r"%[*]?[a-z]+", "7", one) for one in found if not one.startswith(PARAMETER)]


def test_every_complaint_of_the_controller_is_a_splat() -> None:
    said = [f"cp_controller: {one}" for one in complaints()]
    assert len(said) >= 10
    judged = {one: splat.judge(one, POLICY) for one in said}
    assert [one for one, found in judged.items() if found is None or found.rule not in RULES] == []


@pytest.mark.parametrize(
    "usual",
    [
        "cp_controller: cp_target: 9 call sites replaced",
        "cp_controller: target_name: a value is missing",
        "cp_controller: loaded",
    ],
)
def test_what_else_the_controller_says_is_no_splat(usual: str) -> None:
    assert splat.judge(usual, POLICY) is None


USUAL = """[    0.000000] Linux version 6.12.107+deb13-amd64 (debian-kernel@lists.debian.org) (x86_64-linux-gnu-gcc-14)
[    0.000000] Command line: console=ttyS0 oops=panic panic=-1 panic_on_warn=0
[    0.000000] BIOS-provided physical RAM map:
[    0.000000] printk: debug: skip boot console de-registration.
[    0.010000] Spectre V1 : Mitigation: usercopy/swapgs barriers and __user pointer sanitization
[    0.010000] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2!
[    0.010000] MMIO Stale Data: Unknown: No mitigations
[    0.050000] [Firmware Bug]: TSC doesn't count with P0 frequency!
[    0.100000] rcu: Hierarchical RCU implementation.
[    0.100000] rcu: \tRCU restricting CPUs from NR_CPUS=8192 to nr_cpu_ids=1.
[    0.200000] kfence: initialized - using 2097152 bytes for 255 objects at 0x(____ptrval____)-0x(____ptrval____)
[    0.300000] NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
[    0.400000] ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0], AE_NOT_FOUND (20240827/psargs-332)
[    0.500000] Loading compiled-in X.509 certificates
[    0.600000] integrity: Loaded X.509 cert 'Debian Secure Boot CA: 6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1'
[    0.700000] EXT4-fs (vda): mounted filesystem 0b8a1f1e r/w with ordered data mode. Quota mode: none.
[    0.800000] systemd[1]: systemd-oomd.service - Userspace Out-Of-Memory (OOM) Killer
[    0.900000] lockdep is not here, kmemleak neither
[    1.000000] cp_controller: loading out-of-tree module taints kernel.
[    1.000001] cp_controller: module verification failed: signature and/or required key missing - tainting kernel
[    1.100000] cp_controller: 9 call sites of cp_target replaced
"""

OOPS = """[   12.100000] BUG: kernel NULL pointer dereference, address: 0000000000000008
[   12.100001] #PF: supervisor read access in kernel mode
[   12.100002] Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI
[   12.100003] CPU: 0 UID: 0 PID: 533 Comm: dd Tainted: G           OE      6.12.107+deb13-amd64 #1
[   12.100004] RIP: 0010:cfake_read+0x8c/0x1c0 [cp_target]
[   12.100005] Call Trace:
[   12.100006]  <TASK>
[   12.100007] ---[ end trace 0000000000000000 ]---
[   12.100008] Kernel panic - not syncing: Fatal exception
"""


def test_a_usual_boot_has_no_splat() -> None:
    found = splat.scan(USUAL.splitlines(keepends=True), POLICY, MARKER, whole=True)
    assert found.splats == []
    assert found.allowed == 2


def test_an_oops_is_named_by_its_first_line_and_a_panic_is_fatal() -> None:
    found = splat.scan((USUAL + OOPS).splitlines(keepends=True), POLICY, MARKER, whole=True)
    assert found.splats[0].text == "BUG: kernel NULL pointer dereference, address: 0000000000000008"
    assert found.splats[0].line == len(USUAL.splitlines()) + 1
    assert [one.text for one in found.splats if one.fatal] == ["Kernel panic - not syncing: Fatal exception"]


def test_only_what_follows_the_marker_is_of_this_run() -> None:
    found = splat.scan([*OOPS.splitlines(), f"[  20.0] {MARKER}", "all is well"], POLICY, MARKER, whole=True)
    assert (found.splats, found.before, found.marker) == ([], 5, 10)


def test_a_log_without_the_marker_has_no_line_of_this_run() -> None:
    found = splat.scan(OOPS.splitlines(), POLICY, MARKER)
    assert (found.marker, found.splats, found.before, found.lines) == (0, [], 5, 9)


def test_a_marker_inside_of_another_message_is_none() -> None:
    assert splat.scan([f"[ 1.0] user: {MARKER}", f"{MARKER} again"], POLICY, MARKER).marker == 0


def test_colours_of_a_console_hide_nothing() -> None:
    assert splat.message("\x1b[0;31m[    1.000000] BUG: x\x1b[0m\r\n") == "BUG: x"


def test_an_endless_line_is_looked_at_in_part() -> None:
    assert len(splat.message("A" * 1_000_000)) == splat.MAX_LINE


RULE = "  - {name: a, pattern: x, means: m., cases: [x]}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "splats.yml:1: the file is empty"),
        ("deny: []\npanic: []\n", "splats.yml:1: 'allow' is missing"),
        ("deny: []\npanic: []\nallow: []\n", "at least one rule each"),
        (f"deny:\n{RULE}panic: x\nallow: []\n", "splats.yml:3: 'panic' must be a list"),
        (f"deny:\n{RULE}panic:\n{RULE}allow:\n  - {{name: a}}\n", "splats.yml:6: 'pattern' is missing"),
        (
            f"deny:\n{RULE.replace('pattern: x', 'pattern: (')}panic: []\nallow: []\n",
            "splats.yml:2: 'pattern' is no regular expression",
        ),
        (f"deny:\n{RULE.replace('name: a', 'nme: a')}panic: []\nallow: []\n", "splats.yml:2: unknown key 'nme'"),
        (f"deny:\n{RULE.replace('[x]', '[1]')}panic: []\nallow: []\n", "splats.yml:2: each of 'cases' must be"),
        ("deny: [\n", "splats.yml:2: is no YAML"),
    ],
)
def test_a_mistake_in_the_policy_is_named_by_file_and_line(tmp_path: pathlib.Path, text: str, said: str) -> None:
    path = tmp_path / "splats.yml"
    path.write_text(text)
    with pytest.raises(DataFileError) as caught:
        splat.load_policy(str(path))
    assert said in str(caught.value)
