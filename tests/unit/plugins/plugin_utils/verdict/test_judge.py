# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides where several things are wrong: a crash, the target, the first step that failed, what is missing."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import verify, watch
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict.judge import RunKind

from ..run_dir import (
    ARRAY,
    BUFFER,
    CALLS,
    DOWN_CALL,
    FACTS,
    HOST,
    KFREE_JMP,
    MODULES,
    RUN_ID,
    SEM,
    SITES,
    RunDir,
    said,
    stats,
    step,
)

CHECKS = sorted(pathlib.Path(paths.ROOT, "plugins", "plugin_utils", "verdict", "checks").glob("*.py"))


@pytest.mark.parametrize("name", [path.stem for path in CHECKS])
def test_every_file_of_checks_has_a_check_that_some_kind_of_run_makes(name: str) -> None:
    made = {check.__module__.rpartition(".")[2] for kind in (verify.KIND, watch.KIND) for check in kind.checks}
    assert name in made


@pytest.mark.parametrize("kind", [verify.KIND, watch.KIND])
def test_no_kind_of_run_makes_a_check_twice(kind: RunKind) -> None:
    assert len(set(kind.checks)) == len(kind.checks)


def test_a_host_without_a_directory_is_no_result(run: RunDir) -> None:
    results = run.judge((HOST, "other"))
    assert [row["verdict"] for row in results] == ["OK", "NO-RESULT"]
    assert "no directory" in results[1]["reason"]


@pytest.mark.parametrize("name", ["../debian13", ".", "..", ".hidden", "a/b", "a\x1b[2Jb", "x" * 300])
def test_a_name_that_is_no_directory_is_no_result(run: RunDir, name: str) -> None:
    (row,) = run.judge((name,))
    assert row["verdict"] == "NO-RESULT"


BROKEN = [
    step("facts"),
    step("load"),
    step("target", "failed", kind="INFRA", reason="first\n\n  of two lines"),
    step("collect", "failed", kind="FAIL", reason="second"),
]


def test_the_first_failure_decides_and_the_rest_is_listed(run: RunDir) -> None:
    run.steps(BROKEN)
    run.calls(CALLS[:-1])
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("INFRA", "target: first; of two lines")
    assert any("second" in text for text in said(row, "fail"))
    assert any("freed: 1 of 2 values" in text for text in said(row, "fail"))


@pytest.mark.parametrize("kind", ["INFRA", "FAIL"])
@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("cfake: 2 devices", "BUG: KASAN: use-after-free in cfake_read", "BUG: KASAN: use-after-free in cfake_read"),
        ("cp_target: cfake: 2 devices", "WARNING: CPU: 0 PID: 1 at lib/x.c:1", "WARNING: CPU: 0 PID: 1 at lib/x.c:1"),
    ],
)
def test_what_is_found_of_the_target_outweighs_a_step_that_failed(
    run: RunDir, kind: str, old: str, new: str, shown: str
) -> None:
    run.ended("exercise", "failed", kind=kind, reason="no space left")
    run.replace("dmesg.txt", old, new)
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert row["reason"].startswith("dmesg.txt: ") and shown in row["reason"]
    assert row["reason"].endswith("exercise: no space left")


def test_an_unpatched_site_outweighs_a_step_that_failed(run: RunDir) -> None:
    run.steps(BROKEN)
    FAILURES["an unpatched site"][0](run)
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert row["reason"].startswith("sites.txt: kfree: 0 jmp sites patched")


def test_the_reason_is_the_cause_and_not_what_came_of_it(run: RunDir) -> None:
    run.calls([call for call in CALLS if "called_up" not in call])
    run.write("sites.txt", SITES.replace("to kedr_repl_up+0x0 my_payload3", "to up+0x0 -"))
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert row["reason"] == "sites.txt: up: the call at core 0x1e leads to up, not to its replacement"
    assert any("semaphores released" in text for text in said(row, "fail"))


def test_a_failure_before_any_load_is_not_buried_under_evidence_that_cannot_be(run: RunDir) -> None:
    run.ended("build", "failed", kind="FAIL", reason="no semicolon")
    for name in ("trace.txt", "stats.txt", "formats.txt", "sites.txt", "end.json"):
        (run.host / name).unlink()
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("FAIL", "build: no semicolon")
    assert said(row, "missing") == []


Spoil = Callable[[RunDir], None]


def calls(old: str, new: str) -> Spoil:
    """Alter records consistently: the counts still fit."""
    assert any(old in call for call in CALLS)
    return lambda run: run.calls([changed for call in CALLS if (changed := call.replace(old, new))])


def text(name: str, old: str, new: str) -> Spoil:
    return lambda run: run.replace(name, old, new)


def without(number: int) -> Spoil:
    return lambda run: run.calls(CALLS[:number] + CALLS[number + 1 :])


FAILURES: dict[str, tuple[Spoil, str]] = {
    "output that was cut": (text("steps.jsonl", '"checks": [', '"cut": true, "checks": ['), "the exercise was cut"),
    "a check that was bad": (text("steps.jsonl", '"ok": true', '"ok": false'), "check write is not ok"),
    "a splat after the trace was collected": (
        text("dmesg.txt", "<1>[   12.000000]", "[   11.1] BUG: unable to handle page fault\n<1>[   12.000000]"),
        "1 lines of splats",
    ),
    "a target that was gone before it was unloaded": (
        lambda run: run.steps(
            [
                step(name, **({"data": {"unchanged_modules": ["cp_target"]}} if name == "unload_target" else {}))
                for name in verify.STEPS
            ]
        ),
        "loaded by this run, and gone before this run unloaded them: cp_target",
    ),
    "a site that leads to another replacement": (
        text("sites.txt", "to kedr_repl_down_interruptible+0x0", "to kedr_repl_down_killable+0x0"),
        "down_interruptible: the call at core 0x19 leads to kedr_repl_down_killable [my_payload3], not to its replac",
    ),
    "a site that leads into another payload": (
        text("sites.txt", "kedr_repl_up+0x0 my_payload3\nsite up jmp", "kedr_repl_up+0x0 my_payload9\nsite up jmp"),
        "up: the call at core 0x1e leads to kedr_repl_up [my_payload9], not to its replacement",
    ),
    "a site that leads into the middle of a replacement": (
        text("sites.txt", "kedr_repl_copy_to_user+0x0", "kedr_repl_copy_to_user+0x4"),
        "copy_to_user: the call at core 0x14 leads to kedr_repl_copy_to_user",
    ),
    "records of a function that the target does not call": (
        calls("called_down_interruptible: down_interruptible", "called_down_killable: down_killable"),
        "down_killable: 4 calls recorded or counted, and the target has no call of it",
    ),
    "no device array": (calls("in init: 1", "in init: 0"), "device array: 0 ×"),
    "two device arrays": (lambda run: run.calls([CALLS[0], CALLS[-1], *CALLS]), "device array: 2 ×"),
    "failed device array": (calls(ARRAY, "(null)"), "device array: 0 ×"),
    "another buffer size": (calls("4000", "4096"), "buffer: 0 ×"),
    "a short write": (calls("13), result: 0", "13), result: 5"), "write: 0 ×"),
    "another write": (calls("13), result: 0", "14), result: 0"), "write: 0 ×"),
    "a short read": (calls("20), result: 0", "20), result: 1"), "read: 0 ×"),
    "no free": (without(12), "freed: 1 of 2 values"),
    "free of another pointer": (calls(f"kfree({BUFFER})", "kfree(ffff888000000000)"), "freed: 1 of 2 values"),
    "free before the allocation": (lambda run: run.calls([CALLS[-1], *CALLS[:-1]]), "freed: 1 of 2 values"),
    "no up": (without(10), "semaphores released: 2 ×"),
    "up of another semaphore": (
        lambda run: run.calls([*CALLS[:10], "called_up: up(ffff888000000000)", *CALLS[11:]]),
        "semaphores released: 3 ×",
    ),
    "a lost record": (text("stats.txt", "\noverrun: 0", "\noverrun: 3"), "cpu0 lost 3 records: overrun 3"),
    "a commit overrun": (text("stats.txt", "commit overrun: 0", "commit overrun: 1"), "commit overrun 1"),
    "a dropped record": (text("stats.txt", "dropped events: 0", "dropped events: 2"), "dropped events 2"),
    "another reader": (text("stats.txt", "read events: 0", "read events: 2"), "taken out by another reader"),
    "a splat": (text("dmesg.txt", "cfake: 2 devices", "BUG: KASAN: use-after-free"), "(bug)"),
    "an unpatched site": (
        lambda run: run.write(
            "sites.txt",
            SITES.replace(KFREE_JMP, "").replace("kfree call 1 jmp 1", "kfree call 1 jmp 0"),
        ),
        "kfree: 0 jmp sites patched in the core text, the relocations name 1",
    ),
    "an invented site": (
        lambda run: run.write(
            "sites.txt",
            SITES.replace("function down call 0", DOWN_CALL + "function down call 1"),
        ),
        "down: 1 call sites patched in the core text, the relocations name 0",
    ),
    "an unknown function": (text("sites.txt", "function down call 0 jmp 0\n", ""), "down: the controller reports"),
    "a target still loaded": (text("end.json", '"ext4"', '"cp_target"'), "cp_target was still loaded"),
    "a new taint flag": (text("end.json", "12288", "12416"), "flags 128 are new"),
    "an absent taint flag": (text("end.json", "12288", "0"), "flags 4096 are expected"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_evidence_of_a_failure_is_fail_and_says_what(run: RunDir, name: str) -> None:
    spoil, expected = FAILURES[name]
    spoil(run)
    row = run.row()
    assert row["verdict"] == "FAIL", row
    assert expected in " ".join(said(row, "fail"))
    assert row["reason"]


HOLES: dict[str, tuple[Spoil, str]] = {
    "no end of the kernel log": (text("dmesg.txt", "ends", "goes on"), "the log of the last steps is not there"),
    "time that goes back": (
        text("trace.txt", "   10.009000: ", "    9.009000: "),
        "1 records are earlier than the one before them on the same CPU",
    ),
    "a check that was not made": (text("steps.jsonl", '"name": "read"', '"name": "reads"'), "did not check read"),
    "an unreadable line": (calls("kfree(0000000000000000)", "kfree(0000000000000000"), "cannot be read"),
    "an unknown event": (calls("called_kfree: kfree(0000000000000000)", "sched_switch: x"), "no format file"),
    "no record": (lambda run: run.calls([]), "no record at all"),
    "hidden pointers": (calls(f"result: {BUFFER}", "result: (____ptrval____)"), "not readable"),
    "hidden semaphores": (calls(f"up({SEM})", "up((____ptrval____))"), "3 records a value is not readable"),
    "a count that does not fit": (text("stats.txt", "entries: 14", "entries: 15"), "stats.txt counts 15"),
    "statistics of another CPU": (text("stats.txt", "== cpu0", "== cpu1"), "cpu0: 14 records; stats.txt counts 0"),
    "too few CPUs": (text("facts.json", '"cpus": 1', '"cpus": 2'), "counts of 1 CPUs, the host has 2"),
    "no marker": (text("dmesg.txt", RUN_ID, "another"), "no line 'kedr: run"),
    "a longer marker": (text("dmesg.txt", f"{RUN_ID} begins", f"{RUN_ID} begins not"), "no line 'kedr: run"),
    "no format of an event": (text("formats.txt", "/called_up\n", "/called_upp\n"), "no format of called_up"),
    "a field with another name": (text("formats.txt", "REC->in_init", "REC->init"), "has no field in_init"),
    "a report about another target": (text("sites.txt", "cp_target", "cp_other"), "no report about cp_target"),
    "a report that contradicts itself": (text("sites.txt", "up call 1", "up call 2"), "up counts call 2"),
    "no unloaded payload": (text("steps.jsonl", '"my_payload2", ', ""), "no record that these modules are gone"),
    "no unloaded target": (text("steps.jsonl", '"cp_target"', ""), "gone: cp_target"),
    "no taint": (text("end.json", "12288", '"12288"'), "no number 'taint'"),
    "no module list": (text("end.json", '"modules"', '"moduls"'), "no list 'modules'"),
    "no kernel release": (text("facts.json", '"6.12.107+deb13-amd64"', '""'), "no 'release'"),
    "no payload": (lambda run: run.write("payloads.json", []), "no payload has an event"),
    "a key that stands twice": (text("calls.json", "{", '{"a/b": 1, "a/b": 2, '), "a key stands twice in it"),
    "a number that is none": (text("facts.json", '"cpus": 1', '"cpus": NaN'), "NaN is not a number"),
    "an unknown number of CPUs": (text("facts.json", '"cpus": 1', '"cpus": "1"'), "no number 'cpus'"),
    "less taint than before": (text("facts.json", '"taint": 0', '"taint": 512'), "only a restart clears flags"),
    "a witness that was cut": (text("witness_stats.txt", "entries: ", "entries: 9"), "witness_stats.txt counts 9"),
    "steps in another order": (lambda run: run.change_steps(lambda steps: steps[::-1]), "not recorded in the order"),
    "steps twice": (lambda run: run.change_steps(lambda steps: steps * 2), "recorded more than once: load, trace"),
    "another target loaded": (
        text("steps.jsonl", '"changed_modules": ["cp_target"]', '"changed_modules": ["zram"]'),
        "no record that this run loaded cp_target",
    ),
    "a time of another run": (
        lambda run: (
            run.write("facts.json", {**FACTS, "uptime": 50.0}),
            run.write("end.json", {"taint": 12288, "modules": MODULES, "uptime": 2.5}),
        ),
        "up for 2.5 s, at the beginning 50.0 s: these are not of one run",
    ),
    "records from before the buffer": (
        lambda run: run.write("stats.txt", f"{stats(14)}oldest event ts:  5169.188503\n"),
        "records of a time at which stats.txt says there were none",
    ),
    "records from behind its end": (
        lambda run: run.write("stats.txt", f"{stats(14)}now ts:     1.188503\n"),
        "records of a time at which stats.txt says there were none",
    ),
    "one CPU twice": (lambda run: run.write("stats.txt", stats(14) * 2), "cpu0 stands twice"),
    "another instance": (
        lambda run: run.change_steps(
            lambda steps: [
                {**one, "data": {**one["data"], "instance": True, "tracing_dir": "/t/kedr-7"}}
                if one["step"] == "trace"
                else one
                for one in steps
            ]
        ),
        "the trace instance /t/kedr-7 is not one of this run",
    ),
    "something that was not there": (
        text("steps.jsonl", '"counters": 12', '"counters": 12, "missing": ["event a:b"]'),
        "collect: not there on the host: event a:b",
    ),
    "a step ok and failed": (
        lambda run: run.change_steps(lambda steps: [{**one, "kind": "FAIL"} for one in steps]),
        "facts is recorded as ok and as FAIL",
    ),
    "an event twice": (text("payloads.json", '"event": "called_up"', '"event": "called_down"'), "has the event"),
    "a function twice": (text("payloads.json", '"function": "up"', '"function": "down"'), "has the function down"),
    "no moment known": (text("payloads.json", '"moment": "after"', '"moment": "now"'), "not the plan of a payload"),
    "a site outside the text": (text("sites.txt", "core 0x14", "core 0xfff014"), "is behind the end of its text"),
    "a pipe": (lambda run: run.pipe("calls.json"), "calls.json: not a regular file"),
    "half a step": (lambda run: run.write("steps.jsonl", (run.host / "steps.jsonl").read_text() + '{"step'), "line 12"),
}


@pytest.mark.parametrize("name", HOLES)
def test_a_hole_in_the_evidence_is_no_result_and_is_named(run: RunDir, name: str) -> None:
    spoil, expected = HOLES[name]
    spoil(run)
    row = run.row()
    assert row["verdict"] == "NO-RESULT", row
    assert expected in " ".join(said(row, "missing"))


def test_a_failure_outweighs_missing_evidence(run: RunDir) -> None:
    (run.host / "trace.txt").unlink()
    FAILURES["a splat"][0](run)
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert row["reason"].startswith("dmesg.txt: ")
