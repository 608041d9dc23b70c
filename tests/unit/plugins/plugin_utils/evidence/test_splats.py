# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate that tells a kernel's complaint from its usual talk, tried on its own cases and on whole logs."""

from __future__ import annotations

import pathlib
import re
import re._parser as sre_parser
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import policy, splats
from hypothesis import given
from hypothesis import strategies as st

ROOT = pathlib.Path(paths.ROOT)
POLICY = policy.load_policy(str(ROOT / "data" / "splats.yml"))
MARKER = "kedr: run 1 begins"
END = "kedr: run 1 ends"

DENIED = [(rule, case) for rule in (*POLICY.deny, *POLICY.panic) for case in rule.cases]
ALLOWED = [(rule, case) for rule in POLICY.allow for case in rule.cases]
HOLES = [case for rule in POLICY.holes for case in rule.cases]
USERS = [(rule, case) for rule in POLICY.users for case in rule.cases]
NOT_OURS = {"module taint"}
"""Rules that only exist for what the allow list lets through."""

EVERY_RULE = (*POLICY.deny, *POLICY.panic, *POLICY.allow, *POLICY.holes, *POLICY.users)


def test_every_case_of_a_rule_is_matched_by_that_rule() -> None:
    assert [case for rule, case in DENIED if not any(one.search(case) for one in rule.patterns)] == []


def test_every_pattern_has_a_case_of_its_own() -> None:
    assert [
        one.pattern for rule in EVERY_RULE for one in rule.patterns if not any(one.search(case) for case in rule.cases)
    ] == []


def test_no_case_stands_twice_in_a_rule_and_no_rule_has_the_name_of_another() -> None:
    assert [rule.name for rule in EVERY_RULE if len(set(rule.cases)) != len(rule.cases)] == []
    assert len({rule.name for rule in EVERY_RULE}) == len(EVERY_RULE)


@pytest.mark.parametrize("prefix", ["", "[    9.123456] ", "<4>[12345.678901] ", "[    9.123456][  T412] ", "<12>"])
def test_every_denied_case_is_a_splat_in_a_log(prefix: str) -> None:
    cases = [case for rule, case in DENIED if rule.name not in NOT_OURS]
    for case in cases:
        found = splats.scan([f"{MARKER}\n", f"{prefix}{case}\r\n"], POLICY, MARKER)
        assert [(one.text, one.line) for one in found.splats] == [(case, 2)]


def test_what_is_denied_is_not_taken_for_a_hole() -> None:
    assert [case for _rule, case in DENIED if POLICY.is_hole(case)] == []


@pytest.mark.parametrize(("rule", "case"), ALLOWED, ids=lambda value: getattr(value, "name", None))
def test_every_allowed_case_would_be_a_splat_without_its_rule(rule: policy.LogRule, case: str) -> None:
    assert splats.judge(case, POLICY) is None
    others = tuple(one for one in POLICY.allow if one is not rule)
    assert splats.judge(case, policy.Policy(POLICY.deny, POLICY.panic, others)) is not None


@pytest.mark.parametrize(("rule", "case"), ALLOWED, ids=lambda value: getattr(value, "name", None))
def test_an_allowed_message_with_more_in_it_is_a_splat(rule: policy.LogRule, case: str) -> None:
    assert splats.judge(f"BUG: {case}", POLICY) is not None
    assert splats.judge(f"{case} BUG: really", POLICY) is not None


# -- what programs of users did ----------------------------------------------------------------------


def seen(*lines: str, whole: bool = False) -> splats.Scan:
    return splats.scan([f"{MARKER}\n", *(f"{line}\n" for line in lines)], POLICY, MARKER, whole=whole)


@pytest.mark.parametrize("prefix", ["", "[    9.123456] ", "<4>[12345.678901] ", "[    9.123456][  T412] ", "<12>"])
def test_every_case_about_a_program_of_a_user_is_noted_and_is_no_splat(prefix: str) -> None:
    for case in (case for rule, case in USERS if rule.report != "begins"):
        found = seen(f"{prefix}{case}")
        assert (found.total, found.holes, [one.text for one in found.users]) == (0, 0, [case])
        assert splats.judge(case, POLICY) is not None or POLICY.is_hole(case)


def test_what_is_about_users_has_a_text_to_look_for() -> None:
    assert [one.pattern for rule in POLICY.users for one in rule.patterns if not policy.literal(one.pattern)] == []


@pytest.mark.parametrize(("rule", "case"), DENIED, ids=lambda value: getattr(value, "name", None))
def test_no_complaint_of_the_kernel_is_taken_for_one_about_a_user(rule: policy.LogRule, case: str) -> None:
    about = f"[    1.000000] {IN_FILE}"
    for line in (case, f"x: {case}", f"{case} in a[1,2+3]"):
        found = seen(about, f"[    2.000000] {line}", about)
        assert found.total == seen(f"[    2.000000] {line}").total, rule.name
        assert found.users_total == 0


IN_FILE = "x[7]: segfault at 0 ip 401667 sp 7ffd error 6 in a[1,2+3]"
SEGFAULT = "[7]: segfault at 0 ip 0000000000401667 sp 00007ffd6b318910 error 6"
NAMES = ["BUG: he\nllo", "x\nBUG: hello", "\n<0>[1.0]BUG: x", "BUG: x\n", "\nOops\n", "BUG: a\\x0ab\\x1bc"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["console", "dmesg", "escaped"])
def test_a_name_with_line_feeds_is_no_message_of_its_own(name: str, form: str) -> None:
    """A console puts the stamp before each line, dmesg of util-linux blanks, and /dev/kmsg spells them out."""
    between = {"console": "\n[    9.123456] ", "dmesg": f"\n{' ' * 15}", "escaped": "\\x0a"}[form]
    for message in (f"{name}{SEGFAULT} in a[1,2+3]", f"x{SEGFAULT} in {name}[1,2+3]"):
        found = seen(*f"[    9.123456] {message.replace(chr(10), between)}".split("\n"))
        assert (found.total, found.holes) == (0, 0)


@pytest.mark.parametrize("text", [
    f"x'\nBUG: kernel NULL pointer dereference\nOops: 0000 [#1]\n{END}\nCall Trace:",
    f"{MARKER}\nKernel panic - not syncing", "12 callbacks suppressed", "\n" * 900 + "BUG: x",
])  # fmt: skip
def test_an_option_of_a_mount_forges_nothing(text: str) -> None:
    lines = f"tmpfs: Unknown parameter '{text}'"[:1000].split("\n")
    found = splats.scan([f"[1.0] {MARKER}", *(f"<3>[    9.123456] {line}" for line in lines)], POLICY, MARKER, end=END)
    assert (found.total, found.holes, found.ended, found.marker) == (0, 0, 0, 1)


@pytest.mark.parametrize("lines", [
    ["[    9.123456] x[7]: segfault at 0 ip 401667 sp 7ffd error 6<0>BUG: unable to handle kernel paging"],
    ["[    9.123456] x[7]: segfault at 0 ip 401667 sp 7ffd error 6 in a[1,2+3]BUG: unable to handle"],
    ["[    9.123456] x[7]: segfault at 0 ip 401667 sp 7ffd error 6 in a", "[    9.123457] BUG: b[1,2+3]"],
    ["[    9.123456] BUG: hello is no name that long[7]: segfault at 0 ip 401667 sp 7ffd error 6 in a[1,2+3]"],
    ["BUG: hello", "llo[7]: segfault at 0 ip 401667 sp 7ffd error 6 in a[1,2+3]"],
    ["[    9.123456] BUG: unable to handle page fault", f"[    9.123456] {IN_FILE}"],
    [f"[    9.123456] {IN_FILE}", "[    9.123456] BUG: unable to handle page fault"],
])  # fmt: skip
def test_what_only_stands_near_a_program_of_a_user_is_a_splat(lines: list[str]) -> None:
    assert seen(*lines).total == 1


STACK = ["CPU: 0 UID: 65534 PID: 201 Comm: NAME Not tainted 6.12.48 #1", "Hardware name: QEMU", "Call Trace:",
         " <TASK>", " dump_stack_lvl+0x5d/0x80", " </TASK>"]  # fmt: skip
BEGINS = "NAME invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"
TABLE = ["Memory cgroup stats for /u/BUG: x:", "[    201] 65534   201     4052     2400    69632        0   0 NAME",
         "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/u,task=NAME,pid=201,uid=65534"]  # fmt: skip
KILLED = "Memory cgroup out of memory: Killed process 201 (NAME) total-vm:16kB, anon-rss:7kB, UID:65534 pgtables:68kB"


def report(*lines: str, name: str = "tail") -> list[str]:
    """The lines of a console with these messages."""
    named = [line.replace("NAME", name) for line in lines]
    return [f"[    9.{number:06}] {line}" for number, message in enumerate(named) for line in message.split("\n")]


@pytest.mark.parametrize("name", ["tail", "BUG: hello", "Oops\nBUG: x", "coredump: 1(x):", "x\nnew callbacks"])
def test_a_group_of_a_users_programs_that_used_up_its_memory_is_noted(name: str) -> None:
    lines = report(BEGINS, *STACK, *TABLE, KILLED, name=name)
    found = seen(*lines, *lines)
    assert (found.splats, found.total, found.holes) == ([], 0, 0)
    assert "Call Trace:" in [one.text for one in found.users]


@pytest.mark.parametrize("lines", [
    report(BEGINS, *STACK),
    report(BEGINS, *STACK, *TABLE, KILLED.replace("UID:65534", "UID:0")),
    report(BEGINS, *STACK, *TABLE, KILLED.partition(" UID")[0]),
    report(BEGINS, *STACK, KILLED.replace("Memory cgroup out", "Out")),
    report(BEGINS, *STACK, BEGINS, *STACK, KILLED),
    report(BEGINS, *STACK) + report(BEGINS, *STACK, KILLED, name="x\nOops"),
])  # fmt: skip
def test_a_system_without_memory_is_a_splat_whoever_asked_for_it(lines: list[str]) -> None:
    found = seen(*lines)
    assert "invoked oom-killer" in found.splats[0].text
    assert "Call Trace:" in [one.text for one in found.splats]


def test_a_user_whose_program_is_killed_does_not_hide_where_the_kernel_was_stopped() -> None:
    found = seen(*report("BUG: unable to handle page fault", KILLED, "RIP: 0010:cfake_read+0x8c/0x1c0 [cp_target]"))
    assert found.cause == "BUG: unable to handle page fault; RIP: cfake_read+0x8c/0x1c0 [cp_target]"


@pytest.mark.parametrize("fault", ["BUG: unable to handle page fault", "WARNING: CPU: 0 PID: 7 at mm/slub.c:12"])
@pytest.mark.parametrize("place", range(10))
def test_a_fault_in_the_midst_of_a_users_report_is_a_splat(fault: str, place: int) -> None:
    lines = [BEGINS, *STACK, *TABLE, KILLED]
    found = seen(*report(*lines[:place], fault, *STACK, *lines[place:]))
    assert [one.text for one in found.splats if fault in one.text] == [fault]
    assert found.total == len(found.splats)


def test_every_rule_has_cases_and_says_what_it_means() -> None:
    for rule in EVERY_RULE:
        assert rule.cases, rule.name
        assert rule.means.endswith("."), rule.name


def repeats(parsed: Any, inside: bool = False) -> Iterator[bool]:
    """For each repetition without a bound in a parsed regular expression: does it stand in another one?"""
    for code, value in parsed:
        endless = str(code) in ("MAX_REPEAT", "MIN_REPEAT") and str(value[1]) == "MAXREPEAT"
        if endless:
            yield inside
        stretches = value if isinstance(value, (tuple, list)) else [value]
        for one in stretches:
            for part in one if isinstance(one, list) else [one]:
                if type(part).__name__ == "SubPattern":
                    yield from repeats(part, inside or endless)


def test_no_pattern_repeats_a_repetition_without_a_bound() -> None:
    assert list(repeats(sre_parser.parse("(a+b)+"))) == [False, True]
    patterns = [one.pattern for rule in EVERY_RULE for one in rule.patterns]
    assert [one for one in patterns if any(repeats(sre_parser.parse(one)))] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("Oops", "Oops"),
        (r"\bBUG: ", "BUG: "),
        (r"(?:soft|hard) lockup", " lockup"),
        (r"ab?c+de", "de"),
        (r"a\[b", "a[b"),
        (r"[]abc]xy[^\]z]", "xy"),
        (r"xx{2,3}yy.zzz", "zzz"),
        (r"one|another", ""),
        (r"(?i)panic", ""),
        (r"\x41bc", ""),
        (r"a(?P<x>b)(?P=x)cd", "cd"),
        (r"$", ""),
    ],
)
def test_a_pattern_is_not_tried_on_what_lacks_its_text(pattern: str, text: str) -> None:
    assert policy.literal(pattern) == text


@given(st.sampled_from(DENIED), st.text(max_size=20), st.text(max_size=20))
def test_looking_for_texts_first_loses_no_match(denied: tuple[policy.LogRule, str], left: str, right: str) -> None:
    text = left + denied[1] + right
    for one in (pattern for rule in (*POLICY.panic, *POLICY.deny) for pattern in rule.patterns):
        assert policy.literal(one.pattern) in text or not one.search(text)


RULES = ("controller", "not patched")
PARAMETER = "target_name: "
"""Answers to who writes a bad value into the parameter; the load or the write fails with it."""


def complaints() -> list[str]:
    """What the controller's sources say with pr_err, with something in place of every conversion."""
    text = "".join(path.read_text() for path in sorted((ROOT / "kernel" / "controller").rglob("*.c")))
    found = re.findall(r'pr_err\(\s*"((?:[^"\\]|\\.)*)\\n"', text)
    return [re.sub(r"%[*]?[a-z]+", "7", one) for one in found if not one.startswith(PARAMETER)]


def test_every_complaint_of_the_controller_is_a_splat() -> None:
    said = [f"cp_controller: {one}" for one in complaints()]
    assert len(said) >= 10
    judged = {one: splats.judge(one, POLICY) for one in said}
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
    assert splats.judge(usual, POLICY) is None


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
    found = splats.scan(USUAL.splitlines(keepends=True), POLICY, MARKER, whole=True)
    assert (found.splats, found.total, found.holes, found.cause) == ([], 0, 0, "")
    assert found.allowed == 2


@pytest.mark.parametrize(
    "log", sorted((pathlib.Path(__file__).parent / "boot_logs").iterdir()), ids=lambda path: path.name
)
def test_no_line_of_a_guest_that_boots_and_runs_well_is_a_splat_or_a_hole(log: pathlib.Path) -> None:
    lines = [line for line in log.read_text().splitlines() if not line.startswith("#")]
    found = splats.scan(lines, POLICY, MARKER, whole=True)
    assert (found.splats, found.holes, found.allowed) == ([], 0, 2)
    assert found.lines > 200


def test_an_oops_is_named_by_its_first_line_and_a_panic_is_fatal() -> None:
    found = splats.scan((USUAL + OOPS).splitlines(keepends=True), POLICY, MARKER, whole=True)
    assert found.splats[0].text == "BUG: kernel NULL pointer dereference, address: 0000000000000008"
    assert found.splats[0].line == len(USUAL.splitlines()) + 1
    assert [one.text for one in found.splats if one.fatal] == ["Kernel panic - not syncing: Fatal exception"]


# -- the run in the log ------------------------------------------------------------------------------


def test_only_what_follows_the_marker_is_of_this_run() -> None:
    found = splats.scan([*OOPS.splitlines(), f"[  20.0] {MARKER}", "all is well"], POLICY, MARKER, whole=True)
    assert (found.splats, found.before, found.marker) == ([], 5, 10)


def test_a_log_without_the_marker_has_no_line_of_this_run() -> None:
    found = splats.scan(OOPS.splitlines(), POLICY, MARKER)
    assert (found.marker, found.splats, found.before, found.lines) == (0, [], 5, 9)


def test_a_marker_inside_of_another_message_is_none() -> None:
    assert splats.scan([f"[ 1.0] user: {MARKER}", f"{MARKER} again"], POLICY, MARKER).marker == 0


def test_the_first_begin_counts_and_a_later_one_hides_nothing() -> None:
    found = splats.scan([MARKER, *OOPS.splitlines(), f"<9>[ 20.0] {MARKER}", "BUG: late"], POLICY, MARKER, end=END)
    assert (found.marker, found.ended, found.before) == (1, 0, 0)
    assert (found.total, found.splats[-1].text) == (6, "BUG: late")


def test_what_comes_after_the_end_is_not_of_this_run() -> None:
    found = splats.scan([MARKER, "BUG: ours", f"<9>[ 1.0] {END}\n", "BUG: not ours"], POLICY, MARKER, end=END)
    assert [one.text for one in found.splats] == ["BUG: ours"]
    assert (found.ended, found.after, found.lines) == (3, 1, 4)


def test_a_run_that_says_twice_that_it_ended_ended_at_the_second() -> None:
    lines = [MARKER, END, "<3>cp_target: odd", "BUG: ours", END, "BUG: not ours"]
    found = splats.scan(lines, POLICY, MARKER, end=END, modules=["cp_target"])
    assert [(one.line, one.text) for one in found.splats] == [(4, "BUG: ours")]
    assert (found.ended, found.after, found.told_total, len(found.told)) == (5, 1, 1, 1)


def test_an_end_without_a_begin_is_none() -> None:
    found = splats.scan(["BUG: a", END, "BUG: b"], POLICY, MARKER, whole=True, end=END)
    assert (found.ended, found.after, found.total) == (0, 0, 2)


def test_an_empty_line_is_no_marker() -> None:
    found = splats.scan(["", "BUG: a", ""], POLICY, "", whole=True)
    assert (found.marker, found.ended, found.total) == (0, 0, 1)


def test_splats_beyond_what_is_kept_are_counted_and_a_panic_behind_them_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splats, "MAX_SPLATS", 100)
    found = splats.scan([MARKER, *["BUG: x"] * 500, "Kernel panic - not syncing: y", "BUG: z"], POLICY, MARKER)
    assert (found.total, len(found.splats)) == (502, 101)
    assert found.splats[-1].fatal


# -- what modules say, and what is missing -----------------------------------------------------------


def told(line: str, *modules: str) -> list[str]:
    found = splats.scan([MARKER, line], POLICY, MARKER, modules=modules or ["cp_target"])
    assert found.told_total == len(found.told)
    return [one.text for one in found.told]


@pytest.mark.parametrize(
    ("line", "modules"),
    [
        ("<3>[    1.000000] cp_target: could not read", ["cp_target"]),
        ("<3>cp-target cp-target.0: could not read", ["cp_target"]),
        ("<2>cp_target", ["cp_target"]),
        ("<0>[    1.000000][  T412] snd_hda_intel: gone", ["zram", "snd-hda-intel"]),
        ("<11>cp_target: said by a program", ["cp_target"]),
        ("<3>the device failed in cfake_read+0x1f/0x90 [cp_target]", ["cp_target"]),
        ("<3>odd: [cp-target] is odd", ["cp_target"]),
    ],
)
def test_an_error_of_a_module_under_test_is_told(line: str, modules: list[str]) -> None:
    assert told(line, *modules) == [splats.message(line)]


@pytest.mark.parametrize(
    "line",
    [
        "<4>cp_target: only a warning",
        "<14>cp_target: said by a program",
        "cp_target: no level",
        "<3>cp_target2: another module",
        "<3>this is about cp_target",
        "<3>[last unloaded: cp_target]",
        "<3> cfake_read+0x1f/0x90 [cp_target]",
        "<3> [<ffffffffa0001010>] ? cfake_read+0x1f/0x90 [cp_target]",
        "<3>RIP: 0010:cfake_read+0x1f/0x90 [cp_target]",
        f"<3>{MARKER}",
    ],
)
def test_what_is_no_error_of_a_module_under_test_is_not_told(line: str) -> None:
    assert told(line) == []


def test_what_a_rule_knows_is_not_told_once_more() -> None:
    found = splats.scan([MARKER, "<3>cp_target: BUG: x"], POLICY, MARKER, modules=["cp_target"])
    assert (found.total, found.told) == (1, [])


def test_errors_of_modules_are_told_up_to_a_number_and_all_counted() -> None:
    found = splats.scan([MARKER, *["<3>cp_target: odd"] * 50], POLICY, MARKER, modules=["cp_target"])
    assert (found.told_total, len(found.told)) == (50, splats.MAX_TOLD)
    assert (found.told[0].rule, found.told[0].line, found.told[0].fatal) == ("error", 2, False)


@pytest.mark.parametrize("case", HOLES)
def test_a_message_about_messages_that_are_missing_is_a_hole(case: str) -> None:
    found = splats.scan([case, MARKER, f"<4>[    1.000000] {case}", END, case], POLICY, MARKER, end=END)
    assert (found.holes, found.total) == (1, 0)


@pytest.mark.parametrize(
    "usual",
    [
        "kauditd_printk_skb: 12 callbacks suppressed",
        "audit_printk_skb: 12 callbacks suppressed",
        "printk: systemd: 42 output lines suppressed due to ratelimiting",
        "systemd-journald[212]: Missed 12 kernel messages",
        "cp_target: 12 packets dropped",
    ],
)
def test_what_is_missing_elsewhere_is_no_hole_of_this_log(usual: str) -> None:
    assert not POLICY.is_hole(usual)


# -- the first line that a person reads --------------------------------------------------------------


def cause(*lines: str) -> str:
    return splats.scan(lines, POLICY, MARKER, whole=True).cause


REPORTS = {
    "x86-64 of today": (
        [splats.message(line) for line in OOPS.splitlines()],
        "BUG: kernel NULL pointer dereference, address: 0000000000000008; RIP: cfake_read+0x8c/0x1c0 [cp_target]",
    ),
    "x86-64 of 2.6.31": (
        [
            "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008",
            "IP: [<ffffffffa0001010>] cfake_read+0x1f/0x90 [cp_target]",
            "PGD 1f3c067 PUD 1f3d067 PMD 0",
            "Oops: 0000 [#1] SMP",
            "RIP: 0010:[<ffffffffa0001010>]  [<ffffffffa0001010>] cfake_read+0x1f/0x90 [cp_target]",
            "Call Trace:",
            "---[ end trace a5e3b7efbef75421 ]---",
        ],
        "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008; "
        "IP: cfake_read+0x1f/0x90 [cp_target]",
    ),
    "i386 of 2.6.31": (
        [
            "general protection fault: 0000 [#1] SMP",
            "EIP: 0060:[<c0401010>] EFLAGS: 00010246 CPU: 0",
            "EIP is at cfake_read+0x1f/0x90 [cp_target]",
        ],
        "general protection fault: 0000 [#1] SMP; EIP: cfake_read+0x1f/0x90 [cp_target]",
    ),
    "arm64": (
        [
            "Unable to handle kernel paging request at virtual address dead000000000108",
            "Internal error: Oops: 96000044 [#1] SMP",
            "pc : cfake_read+0x1f/0x90 [cp_target]",
            "Call trace:",
        ],
        "Unable to handle kernel paging request at virtual address dead000000000108; "
        "pc: cfake_read+0x1f/0x90 [cp_target]",
    ),
    "a jump to nowhere": (
        ["BUG: kernel NULL pointer dereference, address: 0000000000000000", "RIP: 0010:0x0", "Call Trace:"],
        "BUG: kernel NULL pointer dereference, address: 0000000000000000; RIP: 0x0",
    ),
    "a kernel BUG": (
        [
            "------------[ cut here ]------------",
            "kernel BUG at mm/slub.c:448!",
            "Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
            "RIP: 0010:__slab_free+0x1f/0x90",
        ],
        "kernel BUG at mm/slub.c:448!; RIP: __slab_free+0x1f/0x90",
    ),
    "a warning that says where it is": (
        [
            "------------[ cut here ]------------",
            "WARNING: CPU: 0 PID: 512 at mm/vmalloc.c:2613 remove_vm_area+0x1d0/0x210",
            "Modules linked in: cp_target(OE)",
            "RIP: 0010:remove_vm_area+0x1d0/0x210",
            "Call Trace:",
            "---[ end trace 0000000000000000 ]---",
        ],
        "WARNING: CPU: 0 PID: 512 at mm/vmalloc.c:2613 remove_vm_area+0x1d0/0x210",
    ),
    "a warning about what no rule knows": (
        [
            "all is well",
            "------------[ cut here ]------------",
            "name 'cfake'",
            "WARNING: CPU: 0 PID: 512 at fs/proc/generic.c:712 remove_proc_entry+0x1d0/0x210",
            "RIP: 0010:remove_proc_entry+0x1d0/0x210",
        ],
        "name 'cfake'; WARNING: CPU: 0 PID: 512 at fs/proc/generic.c:712 remove_proc_entry+0x1d0/0x210",
    ),
    "KASAN, then a fault of the same access": (
        [
            "BUG: KASAN: slab-use-after-free in cfake_read+0x8c/0x1c0 [cp_target]",
            "Call Trace:",
            "RIP: 0033:0x7f1c2d3e4f50",
            "BUG: unable to handle page fault for address: ffffffffc0401000",
            "RIP: 0010:other+0x1/0x2",
        ],
        "BUG: KASAN: slab-use-after-free in cfake_read+0x8c/0x1c0 [cp_target]",
    ),
    "a small complaint before a BUG": (
        ["Trying to free nonexistent resource <0-7>", "BUG: scheduling while atomic: insmod/411/0x00000002"],
        "BUG: scheduling while atomic: insmod/411/0x00000002",
    ),
    "the first of two alike": (
        ["EXT4-fs error (device vda): a", "WARNING: CPU: 0 PID: 1 at b"],
        "EXT4-fs error (device vda): a",
    ),
    "a panic that follows a warning": (
        ["Kernel panic - not syncing: panic_on_warn set ...", "WARNING: CPU: 0 PID: 1 at b"],
        "WARNING: CPU: 0 PID: 1 at b",
    ),
    "a panic alone": (
        ["Kernel panic - not syncing: Attempted to kill init!", "---[ end Kernel panic - not syncing: x ]---"],
        "Kernel panic - not syncing: Attempted to kill init!",
    ),
    "a stack that follows words that no rule knows": (
        [
            "cfake: this must not happen",
            "CPU: 0 UID: 0 PID: 411 Comm: insmod Tainted: G           OE      6.12.118+deb13-amd64 #1",
            "Tainted: [O]=OOT_MODULE, [E]=UNSIGNED_MODULE",
            "Hardware name: QEMU Standard PC",
            "Call Trace:",
            " <TASK>",
        ],
        "cfake: this must not happen; Call Trace:",
    ),
    "only the end": (["---[ end trace 0000000000000000 ]---"], "---[ end trace 0000000000000000 ]---"),
}


@pytest.mark.parametrize(("report", "said"), REPORTS.values(), ids=REPORTS)
def test_the_first_line_that_a_person_reads_is_the_cause(report: list[str], said: str) -> None:
    assert cause(*report) == said
    assert cause(*[f"<4>[   12.100000] {line}" for line in report]) == said


def test_a_place_belongs_to_the_report_that_it_stands_in() -> None:
    first = ["BUG: one", "RIP: 0010:one+0x1/0x2", "---[ end trace 0 ]---", "RIP: 0010:again+0x1/0x2"]
    second = ["BUG: two", "RIP: 0010:two+0x1/0x2", *["x"] * 200, "BUG: three", "all is well"]
    found = splats.scan([*first, *second], POLICY, MARKER, whole=True)
    places = {one.text: one.place for one in found.splats}
    assert places == {
        "BUG: one": "RIP: one+0x1/0x2",
        "---[ end trace 0 ]---": "RIP: one+0x1/0x2",
        "BUG: two": "RIP: two+0x1/0x2",
        "BUG: three": "",
    }


def test_a_place_far_below_a_splat_is_not_its_own() -> None:
    assert cause("BUG: one", *["x"] * 200, "RIP: 0010:two+0x1/0x2") == "BUG: one"


def test_a_place_beyond_what_is_kept_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splats, "MAX_SPLATS", 10)
    lines = ["BUG: x"] * 10 + ["x"] * 200 + ["BUG: y", "RIP: 0010:two+0x1/0x2"]
    found = splats.scan(lines, POLICY, MARKER, whole=True)
    assert {one.place for one in found.splats} == {""}


# -- any log at all ----------------------------------------------------------------------------------

MARKS = (MARKER, END, "<3>", "[    1.000000] ", "\x1b[0m", "\n", "\udcff", "[", "(")
WORDS = ("BUG: ", "Call Trace:", "---[ end trace ", "XFS (", " 12 callbacks suppressed", "cp_target", " [cp_target]")
PLACES = ("RIP: 0010:", "IP: [<c0>] ", "f+0x1/0x2")
PIECES = st.sampled_from((*MARKS, *WORDS, *PLACES))
ANY_LINE = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=8).map("".join)


@given(st.lists(ANY_LINE, max_size=30), st.booleans())
def test_any_log_is_read_to_its_end(lines: list[str], whole: bool) -> None:
    found = splats.scan(lines, POLICY, MARKER, whole, END, ["cp_target", "a-b", "x[("])
    assert found.lines == len(lines)
    assert len(found.splats) == found.total
    assert found.total + found.before + found.after <= len(lines)
    assert all(found.marker < one.line <= len(lines) for one in (*found.splats, *found.told))
    assert (found.cause == "") == (not found.splats)
    assert found.marker or not found.ended


@given(st.lists(ANY_LINE, max_size=30), st.integers(0, 30))
def test_whatever_stands_around_it_a_splat_of_the_run_is_found(lines: list[str], place: int) -> None:
    lines = [line for line in lines if splats.message(line) not in (MARKER, END)]
    found = splats.scan([MARKER, *lines[:place], "BUG: here", *lines[place:], END], POLICY, MARKER, end=END)
    assert "BUG: here" in [one.text for one in found.splats]


def test_colours_of_a_console_hide_nothing() -> None:
    assert splats.message("\x1b[0;31m[    1.000000] BUG: x\x1b[0m\r\n") == "BUG: x"


def test_an_endless_line_is_looked_at_in_part() -> None:
    assert len(splats.message("A" * 1_000_000)) == splats.MAX_LINE


RULE = "  - {name: a, pattern: x, means: m., cases: [x]}\n"
NAMELESS = "\n  - {name: a}"
REPORT = f"users:\n{RULE.replace('means', 'report: x, means')}"
REST = "allow: []\nholes: []\nusers: []\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "splats.yml:1: the file is empty"),
        ("deny: []\npanic: []\n", "splats.yml:1: 'allow' is missing"),
        ("deny: []\npanic: []\nallow: []\n", "splats.yml:1: 'holes' is missing"),
        (f"deny: []\npanic: []\n{REST}", "at least one rule each"),
        (f"deny:\n{RULE}panic: x\n{REST}", "splats.yml:3: 'panic' must be a list"),
        (f"deny:\n{RULE}panic:\n{RULE}{REST.replace('[]', NAMELESS, 1)}", "splats.yml:6: 'pattern' is missing"),
        (
            f"deny:\n{RULE.replace('pattern: x', 'pattern: (')}panic: []\n{REST}",
            "splats.yml:2: 'pattern' is not a regular expression",
        ),
        (
            f"deny:\n{RULE.replace('pattern: x', 'pattern: [x,' + chr(10) + '    (]')}panic: []\n{REST}",
            "splats.yml:3: 'pattern' is not a regular expression",
        ),
        (f"deny:\n{RULE.replace('pattern: x', 'pattern: []')}panic: []\n{REST}", "splats.yml:2: 'pattern' must be a"),
        (f"deny:\n{RULE.replace('pattern: x', 'pattern: 1')}panic: []\n{REST}", "splats.yml:2: 'pattern' must be a"),
        (f"deny:\n{RULE.replace('name: a', 'nme: a')}panic: []\n{REST}", "splats.yml:2: unknown key 'nme'"),
        (f"deny:\n{RULE.replace('means', 'report: ends, means')}panic: []\n{REST}", "2: unknown key 'report'"),
        (f"deny:\n{RULE}panic:\n{RULE}{REST.replace('users: []', REPORT)}", "8: 'report' must be 'begins' or 'ends'"),
        (f"deny:\n{RULE.replace('[x]', '[1]')}panic: []\n{REST}", "splats.yml:2: each of 'cases' must be"),
        ("deny: [\n", "splats.yml:2: is not valid YAML"),
    ],
)
def test_a_mistake_in_the_policy_is_named_by_file_and_line(tmp_path: pathlib.Path, text: str, said: str) -> None:
    path = tmp_path / "splats.yml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        policy.load_policy(str(path))
    assert said in str(caught.value)
