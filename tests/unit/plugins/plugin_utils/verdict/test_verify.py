# SPDX-License-Identifier: GPL-3.0-or-later
"""Every verdict has its evidence, and no evidence can go missing or be altered without the verdict saying so."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths, rundir
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.steps import append_step
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.expect import load_expect
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import load_policy
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import about_shipped
from ansible_collections.kedr.lab.plugins.plugin_utils.report import rows
from ansible_collections.kedr.lab.plugins.plugin_utils.report import text as report
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import verify

ROOT = pathlib.Path(paths.ROOT)
EXPECT = load_expect(str(ROOT / "tests" / "unit" / "data" / "expect.yml"))
POLICY = load_policy(str(ROOT / "data" / "splats.yml"))
SCHEMA = json.loads((ROOT / "schemas" / "results.schema.json").read_text())
RUN_ID = "20260131T120000Z-1"
HOST = "debian13"

PLANS: dict[str, dict[str, tuple[str, list[tuple[str, str]], str]]] = {
    # payload -> function -> (symbol, [(field, C type)], format)
    "my_payload1": {
        "__kmalloc": (
            "__kmalloc_noprof",
            [("size", "size_t"), ("flags", "gfp_t"), ("in_init", "int"), ("returnValue", "const void *")],
            "__kmalloc(%zu, %x), in init: %d, result: %p",
        ),
        "kfree": ("kfree", [("p", "const void *")], "kfree(%p)"),
        "kmem_cache_alloc": (
            "kmem_cache_alloc_noprof",
            [("cache", "const void *"), ("returnValue", "const void *")],
            "kmem_cache_alloc(%p), result: %p",
        ),
        "kmem_cache_free": (
            "kmem_cache_free",
            [("cache", "const void *"), ("p", "const void *")],
            "kmem_cache_free(%p, %p)",
        ),
    },
    "my_payload2": {
        name: (
            f"_{name}",
            [("to", "void *"), ("from", "void *"), ("n", "unsigned long"), ("returnValue", "unsigned long")],
            f"{name}(%p, %p, %lu), result: %lu",
        )
        for name in ("copy_from_user", "copy_to_user")
    },
    "my_payload3": {
        "down": ("down", [("sem", "const void *")], "down(%p)"),
        **{
            name: (name, [("sem", "const void *"), ("returnValue", "int")], f"{name}(%p), result: %d")
            for name in ("down_interruptible", "down_killable", "down_trylock", "down_timeout")
        },
        "up": ("up", [("sem", "const void *")], "up(%p)"),
    },
}

TARGET = """
    .text
    call __kmalloc_noprof
    call kfree
    jmp kfree
    call _copy_from_user
    call _copy_to_user
    call down_interruptible
    call up
    jmp up
    .section .init.text,"ax"
    call __kmalloc_noprof
"""

SITES = """target cp_target
text core 0x28 scanned 40
text init 0x5 scanned 5
nanoseconds 1234
site __kmalloc_noprof call core 0x0 to kedr_repl___kmalloc+0x0 my_payload1
site kfree call core 0x5 to kedr_repl_kfree+0x0 my_payload1
site kfree jmp core 0xa to kedr_repl_kfree+0x0 my_payload1
site _copy_from_user call core 0xf to kedr_repl_copy_from_user+0x0 my_payload2
site _copy_to_user call core 0x14 to kedr_repl_copy_to_user+0x0 my_payload2
site down_interruptible call core 0x19 to kedr_repl_down_interruptible+0x0 my_payload3
site up call core 0x1e to kedr_repl_up+0x0 my_payload3
site up jmp core 0x23 to kedr_repl_up+0x0 my_payload3
site __kmalloc_noprof call init 0x0 to kedr_repl___kmalloc+0x0 my_payload1
function __kmalloc_noprof call 2 jmp 0
function kfree call 1 jmp 1
function kmem_cache_alloc_noprof call 0 jmp 0
function kmem_cache_free call 0 jmp 0
function _copy_from_user call 1 jmp 0
function _copy_to_user call 1 jmp 0
function down call 0 jmp 0
function down_interruptible call 1 jmp 0
function down_killable call 0 jmp 0
function down_trylock call 0 jmp 0
function down_timeout call 0 jmp 0
function up call 1 jmp 1
"""
KFREE_JMP = "site kfree jmp core 0xa to kedr_repl_kfree+0x0 my_payload1\n"
DOWN_CALL = "site down call core 0x27 to kedr_repl_down+0x0 my_payload3\n"

SEM = "ffff888003a1c0d0"
ARRAY, BUFFER = "ffff888003a1c000", "ffff888004b1e000"
CALLS = [
    f"called___kmalloc: __kmalloc(184, dc0), in init: 1, result: {ARRAY}",
    f"called_down_interruptible: down_interruptible({SEM}), result: 0",
    f"called___kmalloc: __kmalloc(4000, dc0), in init: 0, result: {BUFFER}",
    f"called_up: up({SEM})",
    f"called_down_interruptible: down_interruptible({SEM}), result: 0",
    f"called_copy_from_user: copy_from_user({BUFFER}, 00007ffc00000000, 13), result: 0",
    f"called_up: up({SEM})",
    f"called_down_interruptible: down_interruptible({SEM}), result: -4",
    f"called_down_interruptible: down_interruptible({SEM}), result: 0",
    f"called_copy_to_user: copy_to_user(00007ffc00000000, {BUFFER}, 20), result: 0",
    f"called_up: up({SEM})",
    "called_kfree: kfree(0000000000000000)",
    f"called_kfree: kfree({BUFFER})",
    f"called_kfree: kfree({ARRAY})",
]

DMESG = f"""<5>[    0.000000] Linux version 6.12.107+deb13-amd64
<1>[    9.100000] kedr: run {RUN_ID} begins
<4>[    9.200000] cp_controller: loading out-of-tree module taints kernel.
<5>[    9.200001] cp_controller: module verification failed: signature and/or required key missing - tainting kernel
<6>[    9.900000] cp_target: cfake: 2 devices
<1>[   12.000000] kedr: run {RUN_ID} ends
"""

CONSOLE = f"[    0.000000] booting\n[    9.100000] kedr: run {RUN_ID} begins\n"
BOOT = "a1f3f4d6-7c42-4a1e-9d0a-000000000001"

FACTS = {
    "release": "6.12.107+deb13-amd64",
    "machine": "x86_64",
    "system": "Debian GNU/Linux 13 (trixie)",
    "compiler": "gcc (Debian 14.2.0-19) 14.2.0",
    "taint": 0,
    "cpus": 1,
    "modules": ["ext4"],
    "boot_id": BOOT,
}
MODULES = ["my_payload3", "my_payload2", "my_payload1", "cp_controller"]
BITS = {"int": (4, 1), "gfp_t": (4, 0)}


def formats() -> str:
    parts = []
    for system, functions in PLANS.items():
        for function, (_symbol, fields, text) in functions.items():
            lines = [f"== {system}/called_{function}", f"name: called_{function}", "ID: 1", "format:"]
            for name, ctype in fields:
                size, signed = BITS.get(ctype, (8, 0))
                lines.append(f"\tfield:{ctype} {name};\toffset:8;\tsize:{size};\tsigned:{signed};")
            printed = "".join(f", REC->{name}" for name, _ctype in fields)
            parts += [*lines, "", f'print fmt: "{text}"{printed}', ""]
    return "\n".join(parts)


def trace_text(calls: list[str]) -> str:
    head = f"# tracer: nop\n#\n# entries-in-buffer/entries-written: {len(calls)}/{len(calls)}   #P:1\n#\n"
    return head + "".join(
        f"{'insmod':>16}-{500:<7d} [000] ..... {10 + number / 1000:12.6f}: {call}\n"
        for number, call in enumerate(calls)
    )


def stats(entries: int) -> str:
    return (
        f"== cpu0\nentries: {entries}\noverrun: 0\ncommit overrun: 0\nbytes: 900\n"
        "oldest event ts:    10.000000\nnow ts:    20.000000\ndropped events: 0\nread events: 0\n"
    )


KMEM = {
    "kmalloc": ("call_site=%pS ptr=%p bytes_req=%zu", ["call_site", "ptr", "bytes_req"]),
    "kfree": ("call_site=%pS ptr=%p", ["call_site", "ptr"]),
}
"""The kernel's own events: how they are printed, and their fields."""

ITSELF = "cfake_init+0x10/0x200 [cp_target]"
OTHER = "ext4_mb_init+0x1a/0x500 [ext4]"


def kmem_formats(text: str = "") -> str:
    parts = []
    for event, (fmt, names) in KMEM.items():
        fields = [f"\tfield:unsigned long {name};\toffset:8;\tsize:8;\tsigned:0;" for name in names]
        printed = "".join(f", (void *)REC->{name}" for name in names)
        parts += [f"== kmem/{event}", "format:", *fields, "", f'print fmt: "{text or fmt}"{printed}', ""]
    return "\n".join(parts)


def kmem(event: str, site: str) -> str:
    return f"{event}: call_site={site} ptr={BUFFER}" + (" bytes_req=184" if event == "kmalloc" else "")


def replaced(function: str) -> str:
    return f"kedr_repl_{function}+0x1f/0x70 [my_payload1]"


WITNESS = [
    kmem("kmalloc", OTHER),
    *[kmem("kmalloc", replaced("__kmalloc"))] * 2,
    *[kmem("kfree", replaced("kfree"))] * 3,
    kmem("kfree", replaced("kvfree")),
]
"""What the kernel itself records while CALLS are recorded, and what other modules cause meanwhile."""


def counted(calls: list[str]) -> dict[str, int]:
    """What the payloads' counters say when every call made a record."""
    made = Counter(call.partition(":")[0] for call in calls)
    names = [(module, f"called_{name}") for module, functions in PLANS.items() for name in functions]
    return {f"{module}/{event}": made[event] for module, event in names}


def step(name: str, status: str = "ok", **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if name == "unload":
        data = {"changed_modules": MODULES, "unchanged_modules": []}
    elif name in ("target", "unload_target"):
        data = {"changed_modules": ["cp_target"], "unchanged_modules": []}
    elif name == "load":
        data = {"changed_modules": MODULES[::-1], "unchanged_modules": []}
    elif name == "exercise":
        data = {"checks": [{"name": check, "ok": True, "detail": ""} for check in ("write", "read")]}
    elif name == "trace":
        data = {"witness": ["kmem:kmalloc", "kmem:kfree"]}
    elif name == "collect":
        data = {"counters": 12}
    entry = {
        "step": name,
        "status": status,
        "kind": "",
        "reason": "",
        "started": 1.0,
        "seconds": 1.5,
        "round_trips": 1,
        "boot": BOOT if status == "ok" and name not in ("render", "build") else "",
        "data": data,
    }
    return {**entry, **more}


@pytest.fixture(scope="session")
def target_ko(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("target")
    (directory / "target.s").write_text(TARGET)
    subprocess.run(["gcc", "-c", "-o", directory / "target.o", directory / "target.s"], check=True)
    return (directory / "target.o").read_bytes()


class RunDir:
    """A run directory with one host that is OK, to be spoiled by a test."""

    def __init__(self, base: pathlib.Path, target: bytes) -> None:
        self.path = base / RUN_ID
        self.host = self.path / HOST
        (self.host / "modules").mkdir(parents=True)
        self.info: dict[str, Any] = {"embedded": False, "console": "", "pidfile": ""}
        (self.host / "modules" / "cp_target.ko").write_bytes(target)
        self.calls(CALLS)
        self.steps([step(name) for name in verify.STEPS])
        self.write("facts.json", FACTS)
        self.write("payloads.json", self.plans())
        self.write("formats.txt", formats() + kmem_formats())
        self.witness(WITNESS)
        self.write("sites.txt", SITES)
        self.write("dmesg.txt", DMESG)
        self.write("end.json", {"taint": 12288, "modules": ["ext4", *MODULES]})

    @staticmethod
    def plans() -> list[dict[str, Any]]:
        return [
            {
                "module": module,
                "events": [
                    {
                        "event": f"called_{name}",
                        "function": name,
                        "symbol": symbol,
                        "moment": "after",
                        "replacement": f"kedr_repl_{name}",
                    }
                    for name, (symbol, _fields, _text) in functions.items()
                ],
                "unresolved": [],
            }
            for module, functions in PLANS.items()
        ]

    def write(self, name: str, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (self.host / name).write_text(text, encoding="utf-8", errors="surrogateescape")

    def calls(self, calls: list[str]) -> None:
        self.write("trace.txt", trace_text(calls))
        self.write("stats.txt", stats(len(calls)))
        self.write("calls.json", counted(calls))

    def witness(self, lines: list[str]) -> None:
        self.write("witness.txt", trace_text(lines))
        self.write("witness_stats.txt", stats(len(lines)))

    def steps(self, steps: list[dict[str, Any]]) -> None:
        self.write("steps.jsonl", "".join(json.dumps(one) + "\n" for one in steps))
        self.received = False

    def change_steps(self, change: Callable[[list[Any]], list[Any]]) -> None:
        lines = (self.host / "steps.jsonl").read_text().splitlines()
        self.steps(change([json.loads(line) for line in lines]))

    def pipe(self, name: str) -> None:
        (self.host / name).unlink()
        os.mkfifo(self.host / name)

    def ended(self, name: str, status: str, **more: Any) -> None:
        """Every step up to `name` was ok, and `name` was not."""
        done = verify.STEPS[: verify.STEPS.index(name)]
        self.steps([*(step(one) for one in done), step(name, status, **more)])

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.host / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def embed(self, console: str, alive: bool) -> None:
        self.info["embedded"] = True
        self.write("console.log", console)
        self.write("guest.json", {"alive": alive})

    def receive(self) -> None:
        """Let the last step say that what is there now is what was brought home."""
        self.received = True
        files = {
            str(path.relative_to(self.host)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.host.rglob("*")
            if path.is_file() and path.name not in verify.OWN_FILES
        }
        lines = (self.host / "steps.jsonl").read_bytes().splitlines()
        for index in reversed(range(len(lines))):
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                lines[index] = json.dumps({**dict(json.loads(lines[index])), "files": files}).encode()
                break
        (self.host / "steps.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))

    def judge(self, hosts: tuple[str, ...] = (HOST,)) -> list[dict[str, Any]]:
        if not self.received and (self.host / "steps.jsonl").is_file():
            self.receive()
        about = {"command": ["ansible-playbook", "verify.yml"], "hosts": {HOST: self.info}}
        (self.path / "run.json").write_text(json.dumps(about))
        results = verify.judge_run(str(self.path), hosts, dict.fromkeys(hosts, EXPECT), POLICY)
        jsonschema.Draft202012Validator(SCHEMA).validate(results)
        table = rows.lines(results, about_shipped)
        assert report.terminal(table) and report.markdown(table)
        return results

    def row(self) -> dict[str, Any]:
        (row,) = self.judge()
        return row


@pytest.fixture
def run(tmp_path: pathlib.Path, target_ko: bytes) -> RunDir:
    return RunDir(tmp_path, target_ko)


def said(row: dict[str, Any], outcome: str) -> list[str]:
    return [f"{one['source']}: {one['text']}" for one in row["evidence"] if one["outcome"] == outcome]


# -- OK ----------------------------------------------------------------------------------------------


def test_a_run_with_all_evidence_is_ok(run: RunDir) -> None:
    row = run.row()
    assert row["verdict"] == "OK", row
    assert row["events"]["called___kmalloc"] == 2
    assert row["events"]["called_down"] == 0
    assert row["sites"]["kfree"] == {"call": 1, "jmp": 1, "expected": 2}
    assert row["sites"]["__kmalloc"] == {"call": 2, "jmp": 0, "expected": 2}
    assert (row["lost"], row["splats"], row["round_trips"]) == (0, [], 11)
    assert row["durations"]["load"] == 1.5
    assert (row["kernel"], row["arch"]) == ("6.12.107+deb13-amd64", "x86_64")
    assert row["reproduce"] == f"ansible-playbook verify.yml --limit {HOST}"
    assert not said(row, "fail") and not said(row, "missing")


def test_the_entry_tells_each_step_once_with_its_time_and_why_it_failed(run: RunDir) -> None:
    run.steps([step("facts"), step("build"), step("build", seconds=2.25), step("load", "failed", reason="no\nmemory")])
    row = run.row()
    assert row["steps"] == [
        {"step": "facts", "status": "ok", "seconds": 1.5, "reason": ""},
        {"step": "build", "status": "ok", "seconds": 3.75, "reason": ""},
        {"step": "load", "status": "failed", "seconds": 1.5, "reason": "no; memory"},
    ]


def test_a_step_that_failed_once_has_failed(run: RunDir) -> None:
    run.steps([step("build", "failed", reason="first"), step("build"), step("build", "failed", reason="second")])
    assert run.row()["steps"] == [{"step": "build", "status": "failed", "seconds": 4.5, "reason": "first"}]


@pytest.mark.parametrize(
    ("started", "finished"),
    [
        (1795415399.5, "2026-11-23T06:30:01Z"),
        (0, "1970-01-01T00:00:01Z"),
        *((wrong, "1970-01-01T00:00:01Z") for wrong in (-1, True, "now", None, [], 1e300, float("nan"))),
    ],
)
def test_the_entry_tells_when_the_last_step_ended(run: RunDir, started: Any, finished: str) -> None:
    run.steps([step("facts", started=0, seconds=1), step("load", started=started)])
    assert run.row()["finished"] == finished


def test_a_host_without_steps_has_no_end(run: RunDir) -> None:
    run.steps([])
    row = run.row()
    assert (row["steps"], row["finished"]) == ([], "")


def test_the_entry_names_the_target_and_the_row_of_the_matrix(run: RunDir) -> None:
    row = run.row()
    assert row["target"] == "cp_target"
    assert "row" not in row
    about = {"name": HOST, "system": "Debian 13", "kernel": "6.12", "arch": "x86_64", "group": "base", "why": "newest"}
    run.info["row"] = about
    assert run.row()["row"] == about
    run.info["row"] = {**about, "variant": "two\x1b CPUs", "password": "hush"}
    assert run.row()["row"] == {**about, "variant": "two\\x1b CPUs"}


@pytest.mark.parametrize("row", ["debian13", [], {}, {"name": ""}, None, 5])
def test_what_is_no_row_is_left_out(run: RunDir, row: Any) -> None:
    run.info["row"] = row
    assert "row" not in run.row()


def test_every_line_of_the_verdict_names_its_evidence(run: RunDir) -> None:
    sources = {one["source"] for one in run.row()["evidence"]}
    own = {"steps.jsonl", "dmesg.txt", "stats.txt", "trace.txt", "sites.txt", "end.json", "witness.txt", "calls.json"}
    assert sources == {*own, "modules/cp_target.ko"}


def test_judging_again_gives_the_same(run: RunDir) -> None:
    assert run.judge() == run.judge()


def test_optional_functions_that_are_not_there_are_listed(run: RunDir) -> None:
    plans = run.plans()
    plans[2]["events"] = [one for one in plans[2]["events"] if one["function"] != "down_killable"]
    plans[2]["unresolved"] = [{"function": "down_killable", "tried": ["down_killable"]}]
    run.write("payloads.json", plans)
    kept = [part for part in formats().split("== ") if "called_down_killable" not in part]
    run.write("formats.txt", "== ".join(kept))
    run.replace("sites.txt", "function down_killable call 0 jmp 0\n", "")
    row = run.row()
    assert row["verdict"] == "OK", row
    assert row["unresolved"] == [{"function": "down_killable", "tried": ["down_killable"]}]
    assert "down_killable" in report.terminal(rows.lines([row], about_shipped))


# -- the payloads' own counters ----------------------------------------------------------------------


def test_the_payloads_count_as_many_calls_as_there_are_records(run: RunDir) -> None:
    text = "calls.json: the payloads count as many calls as there are records: 14"
    assert text in said(run.row(), "ok")


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (2, "kfree: 2 calls counted, 3 records: the payload counts too few"),
        (4, "1 call of kfree had not returned when the counters were read, or never will, or its event was"),
        (5, "2 calls of kfree had not returned when the counters were read, or never will, or its event was"),
    ],
)
def test_a_count_of_calls_that_is_not_that_of_the_records_fails(run: RunDir, count: int, reason: str) -> None:
    run.write("calls.json", {**counted(CALLS), "my_payload1/called_kfree": count})
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert row["reason"].startswith(f"calls.json: {reason}")


def test_a_call_that_is_recorded_before_it_is_made_needs_not_return_to_be_recorded(run: RunDir) -> None:
    plans = run.plans()
    plans[0]["events"][1]["moment"] = "before"
    run.write("payloads.json", plans)
    assert run.row()["verdict"] == "OK"
    run.write("calls.json", {**counted(CALLS), "my_payload1/called_kfree": 4})
    run.received = False
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert "1 call of kfree made no record: its event was off (4 calls counted, 3 records)" in row["reason"]


def test_a_payload_of_other_templates_does_not_count(run: RunDir) -> None:
    counts = {name: n for name, n in counted(CALLS).items() if not name.startswith("my_payload3")}
    run.write("calls.json", counts)
    collect = {"data": {"counters": len(counts)}}
    run.steps([step(name, **(collect if name == "collect" else {})) for name in verify.STEPS])
    row = run.row()
    assert row["verdict"] == "OK"
    assert any("no payload counts the calls of called_down, " in text for text in said(row, "note"))


@pytest.mark.parametrize("old", [{}, {"counters": 0}])
def test_a_run_without_counters_is_judged_without(run: RunDir, old: dict[str, int]) -> None:
    run.steps([step(name, **({"data": old} if name == "collect" else {})) for name in verify.STEPS])
    (run.host / "calls.json").unlink()
    row = run.row()
    assert row["verdict"] == "OK"
    assert any("not compared" in text for text in said(row, "note"))


@pytest.mark.parametrize("count", [-1, 1.5, True, "3", None, 1 << 64])
def test_a_count_that_is_none_is_missed(run: RunDir, count: Any) -> None:
    run.write("calls.json", {**counted(CALLS), "my_payload1/called_kfree": count})
    assert run.row()["verdict"] == "NO-RESULT"


# -- the kernel's own events -------------------------------------------------------------------------


def test_the_kernel_counts_as_many_calls_as_the_payloads(run: RunDir) -> None:
    assert "witness.txt: the kernel's own events count as many calls: __kmalloc 2, kfree 3" in said(run.row(), "ok")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (WITNESS[:-2], "kfree: 3 calls recorded, the kernel's own events count 2"),
        ([*WITNESS, WITNESS[1]], "__kmalloc: 2 calls recorded, the kernel's own events count 3"),
        ([*WITNESS, kmem("kfree", replaced("kmem_cache_free"))], "kmem_cache_free: 0 calls recorded"),
        ([line.replace("my_payload1", "other") for line in WITNESS], "__kmalloc: 2 calls recorded"),
    ],
)
def test_a_call_that_only_one_side_counts_fails(run: RunDir, lines: list[str], reason: str) -> None:
    run.witness(lines)
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert row["reason"].startswith(f"witness.txt: {reason}")


def test_an_allocation_of_nothing_has_no_event_of_the_kernel(run: RunDir) -> None:
    nothing = "called___kmalloc: __kmalloc(0, dc0), in init: 0, result: 0000000000000010"
    run.calls([*CALLS[:-1], nothing, CALLS[-1], "called_kfree: kfree(0000000000000010)"])
    run.witness([*WITNESS, kmem("kfree", replaced("kfree"))])
    assert run.row()["verdict"] == "OK"


def test_memory_that_the_target_takes_by_other_ways_is_told(run: RunDir) -> None:
    run.witness([*WITNESS, kmem("kfree", ITSELF), kmem("kfree", ITSELF)])
    row = run.row()
    assert row["verdict"] == "OK"
    text = "witness.txt: 2 × kmem:kfree from cp_target itself, not seen by a payload"
    assert text in said(row, "note")


def test_events_of_the_kernel_that_were_lost_leave_nothing_to_compare_with(run: RunDir) -> None:
    run.witness(WITNESS[:-2])
    run.replace("witness_stats.txt", "overrun: 0\ncommit", "overrun: 7\ncommit")
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert "witness_stats.txt: 7 of the kernel's own events are lost: not compared" in said(row, "missing")


def test_a_function_that_no_payload_of_the_run_names_must_not_be_patched(run: RunDir) -> None:
    line = "function down_killable call 0 jmp 0\n"
    run.replace("sites.txt", line, line + "function up_read call 0 jmp 0\n")
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert "up_read: the controller looked for it, and no payload of the run names it" in row["reason"]


def test_a_kernel_without_such_events_has_no_witness(run: RunDir) -> None:
    run.steps([step(name, **({"data": {"witness": []}} if name == "trace" else {})) for name in verify.STEPS])
    for name in ("witness.txt", "witness_stats.txt"):
        (run.host / name).unlink()
    row = run.row()
    assert row["verdict"] == "OK"
    assert any("no events of the kernel's own" in text for text in said(row, "note"))


def test_a_kernel_that_prints_call_sites_as_numbers_is_no_witness(run: RunDir) -> None:
    run.write("formats.txt", formats() + kmem_formats("call_site=%lx ptr=%p").replace(", (void *)REC->bytes_req", ""))
    row = run.row()
    assert row["verdict"] == "OK"
    assert any("do not name where they come from" in text for text in said(row, "note"))


@pytest.mark.parametrize("name", ["witness.txt", "witness_stats.txt"])
def test_a_witness_that_did_not_come_home_is_missed(run: RunDir, name: str) -> None:
    (run.host / name).unlink()
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("NO-RESULT", f"{name}: the file is not there")


@pytest.mark.parametrize(
    ("old", "new"), [("kfree: call_site", "kfree: nonsense"), ("ptr=", "pt"), ("kmalloc:", "kmall:")]
)
def test_a_witness_that_cannot_be_read_is_missed(run: RunDir, old: str, new: str) -> None:
    run.replace("witness.txt", old, new)
    assert run.row()["verdict"] == "NO-RESULT"


# -- what is out of reach ----------------------------------------------------------------------------


def test_calls_that_cannot_be_intercepted_are_told_by_function_and_kind(run: RunDir) -> None:
    source = TARGET + "    call __SCT__up\n    .data\n    .quad kfree, kfree\n    .text\n    xbegin up\n"
    source += "    call __x86_indirect_thunk_rax\n"
    (run.host / "target.s").write_text(source)
    command = ["gcc", "-c", "-o", run.host / "modules" / "cp_target.ko", run.host / "target.s"]
    subprocess.run(command, check=True)
    row = run.row()
    assert row["verdict"] == "OK"
    counts = {"pointers": 0, "other": 0, "static_calls": 0, "unreferenced": False}
    assert row["unreached"]["kfree"] == {**counts, "pointers": 2}
    assert row["unreached"]["up"] == {**counts, "other": 1, "static_calls": 1}
    assert row["unreached"]["down"] == {**counts, "unreferenced": True}
    assert "__kmalloc" not in row["unreached"]
    notes = said(row, "note")
    assert "modules/cp_target.ko: kfree: calls that are not intercepted are possible: address taken 2" in notes
    assert any(text.endswith("possible: static calls 1, other references 1") for text in notes)
    assert any("no reference, so not called or compiled in: kmem_cache_alloc, " in text for text in notes)
    assert any("1 calls through thunks" in text for text in notes)


# -- the steps ---------------------------------------------------------------------------------------


def test_a_host_without_a_directory_is_no_result(run: RunDir) -> None:
    results = run.judge((HOST, "other"))
    assert [row["verdict"] for row in results] == ["OK", "NO-RESULT"]
    assert "no directory" in results[1]["reason"]


@pytest.mark.parametrize("name", ["../debian13", ".", "..", ".hidden", "a/b", "a\x1b[2Jb", "x" * 300])
def test_a_name_that_is_no_directory_is_no_result(run: RunDir, name: str) -> None:
    (row,) = run.judge((name,))
    assert row["verdict"] == "NO-RESULT"


def test_no_steps_at_all_is_no_result(run: RunDir) -> None:
    run.write("steps.jsonl", "")
    assert run.row()["verdict"] == "NO-RESULT"


@pytest.mark.parametrize("name", verify.STEPS)
def test_a_step_without_a_record_is_no_result(run: RunDir, name: str) -> None:
    run.steps([step(one) for one in verify.STEPS if one != name])
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert name in row["reason"]


@pytest.mark.parametrize(("kind", "expected"), [("FAIL", "FAIL"), ("INFRA", "INFRA"), ("SKIP", "SKIP"), ("", "FAIL")])
@pytest.mark.parametrize("name", verify.STEPS)
def test_a_failed_step_decides_with_its_kind_and_reason(run: RunDir, name: str, kind: str, expected: str) -> None:
    run.steps(
        [step(one) if one != name else step(one, "failed", kind=kind, reason="it broke") for one in verify.STEPS]
    )
    row = run.row()
    assert (row["verdict"], row["reason"]) == (expected, f"{name}: it broke")


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


def test_a_refused_host_is_skipped_with_the_reason(run: RunDir) -> None:
    run.ended("load", "refused", kind="SKIP", reason="not marked as a test host")
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("SKIP", "load: not marked as a test host")


def test_a_host_lost_before_any_load_is_infra(run: RunDir) -> None:
    run.ended("build", "unreachable", reason="Connection timed out")
    row = run.row()
    assert row["verdict"] == "INFRA"
    assert "Connection timed out" in row["reason"]


@pytest.mark.parametrize("name", ["load", "target", "exercise", "collect"])
def test_a_host_lost_after_a_load_is_a_crash(run: RunDir, name: str) -> None:
    run.ended(name, "unreachable", reason="Connection reset")
    row = run.row()
    assert row["verdict"] == "CRASH"
    assert f"lost contact at step {name}; no console" in row["reason"]


CUT = [
    *(step(name) for name in verify.STEPS[:6]),
    step("exercise", "unreachable", reason="Connection reset"),
    *(step(name) for name in verify.STEPS[7:]),
]


def test_a_host_that_answers_again_in_the_same_boot_was_only_cut_off(run: RunDir) -> None:
    run.steps(CUT)
    row = run.row()
    assert row["verdict"] == "INFRA"
    assert row["reason"] == "exercise: lost contact at step exercise, and the host lived on: Connection reset"


def test_a_host_that_answers_again_in_another_boot_has_crashed(run: RunDir) -> None:
    run.steps([{**one, "boot": "another"} if one["step"] in verify.STEPS[7:] else one for one in CUT])
    row = run.row()
    assert row["verdict"] == "CRASH"
    assert row["reason"] == "unload_target: the host was restarted after the step target"


@pytest.mark.parametrize("name", verify.STEPS[3:])
def test_a_host_that_was_restarted_between_two_steps_has_crashed(run: RunDir, name: str) -> None:
    since = verify.STEPS.index(name)
    run.steps([step(one, **({"boot": "b"} if at >= since else {})) for at, one in enumerate(verify.STEPS)])
    row = run.row()
    assert row["verdict"] == "CRASH"
    assert f"{name}: the host was restarted after the step" in row["reason"]


def test_a_restart_that_the_run_itself_made_before_it_read_the_facts_is_no_crash(run: RunDir) -> None:
    run.steps([step("facts", boot="older"), step("reboot", boot="older"), *(step(name) for name in verify.STEPS)])
    assert run.row()["verdict"] == "OK"


def test_without_a_boot_id_a_restart_would_not_be_noticed(run: RunDir) -> None:
    run.steps([step(name, boot="") for name in verify.STEPS])
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"] == "steps.jsonl: no step says which boot of the host it ran in"
    run.write("facts.json", {**FACTS, "boot_id": ""})
    run.received = False
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert "no 'boot_id': it is not known whether the host was restarted" in row["reason"]


def test_a_guest_whose_process_is_gone_is_a_crash_with_its_console(run: RunDir) -> None:
    run.ended("trace", "unreachable", reason="Connection reset")
    run.embed("".join(f"[    1.{number:06d}] line {number}\r\n" for number in range(40)), alive=False)
    row = run.row()
    assert row["verdict"] == "CRASH"
    assert "QEMU process has ended" in row["reason"]
    assert row["console"] == [f"line {number}" for number in range(25, 40)]
    assert "| line 39" in report.terminal(rows.lines([row], about_shipped))


def test_a_guest_that_was_never_reached_and_is_gone_is_a_crash(run: RunDir) -> None:
    run.ended("facts", "unreachable", reason="Connection refused")
    run.embed("booting\n", alive=False)
    assert run.row()["verdict"] == "CRASH"


def test_a_living_guest_that_was_never_reached_is_infra(run: RunDir) -> None:
    run.ended("facts", "unreachable", reason="Connection refused")
    run.embed("booting\n", alive=True)
    assert run.row()["verdict"] == "INFRA"


@pytest.mark.parametrize("status", ["unreachable", "failed"])
def test_a_panic_on_the_console_is_a_crash(run: RunDir, status: str) -> None:
    run.ended("exercise", status, kind="FAIL", reason="exercise said nothing")
    run.embed("[    5.0] sysrq: Trigger a crash\n[    5.1] Kernel panic - not syncing: sysrq triggered crash\n", True)
    row = run.row()
    assert row["verdict"] == "CRASH"
    assert "sysrq triggered crash" in row["reason"]
    assert row["console"][-1] == "Kernel panic - not syncing: sysrq triggered crash"


def test_a_panic_after_the_last_step_is_a_crash(run: RunDir) -> None:
    run.embed("[    5.1] Kernel panic - not syncing: Fatal exception\n", False)
    assert run.row()["verdict"] == "CRASH"


def test_a_guest_that_lives_to_the_end_is_ok(run: RunDir) -> None:
    run.embed(CONSOLE, alive=True)
    row = run.row()
    assert row["verdict"] == "OK", row
    assert "guest.json: the guest lived to the end of the run" in said(row, "ok")


def test_a_guest_that_died_after_the_last_step_is_a_crash(run: RunDir) -> None:
    run.embed("booting\nthe last words\n", alive=False)
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("CRASH", "the guest died after the last step")
    assert row["console"][-1] == "the last words"
    assert said(row, "fail") == ["guest.json: the guest's QEMU process has ended"]


def test_a_guest_that_died_after_a_step_that_failed_is_a_crash(run: RunDir) -> None:
    run.ended("exercise", "failed", kind="FAIL", reason="it broke")
    run.embed("booting\n", alive=False)
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("CRASH", "exercise: it broke; later the guest died")


@pytest.mark.parametrize("content", [None, "", "{}", '{"alive": null}', '{"alive": 1}', "[]"])
def test_a_guest_of_which_it_is_not_known_that_it_lives_is_no_result(run: RunDir, content: str | None) -> None:
    run.embed(CONSOLE, alive=True)
    (run.host / "guest.json").unlink()
    if content is not None:
        run.write("guest.json", content)
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"].startswith("guest.json: ")


@pytest.mark.parametrize("seen", [True, False])
def test_a_guest_that_was_not_running_when_the_run_began_is_infra(run: RunDir, seen: bool) -> None:
    run.info["alive"] = False
    run.steps([step("facts", "unreachable", reason="Connection refused")])
    run.embed("an earlier boot\n", alive=False)
    if not seen:
        run.host.rename(run.path / "gone")
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("INFRA", "the guest is not running; start it with make lab-up")
    assert said(row, "fail") == []


def test_a_guest_that_did_a_step_was_running_whatever_was_seen_when_the_run_began(run: RunDir) -> None:
    run.info["alive"] = False
    run.embed("booting\n", alive=False)
    assert run.row()["verdict"] == "CRASH"


def test_a_machine_that_is_no_guest_needs_no_process(run: RunDir) -> None:
    run.info["alive"] = False
    assert run.row()["verdict"] == "OK"


def test_a_panic_of_an_earlier_run_is_not_of_this_run(run: RunDir) -> None:
    run.embed(f"[    5.1] Kernel panic - not syncing: Fatal exception\n[    9.1] kedr: run {RUN_ID} begins\n", True)
    row = run.row()
    assert row["verdict"] == "OK", row
    assert any("before this run" in text for text in said(row, "note"))


def test_a_variant_that_the_console_confirms_is_ok(run: RunDir) -> None:
    run.info["console_shows"] = "Brought up 1 node, 2 CPUs"
    run.embed("[    0.6] smp: Brought up 1 node, 2 CPUs\r\n" + CONSOLE, True)
    row = run.row()
    assert row["verdict"] == "OK", row
    assert "console.log: the variant is in force: smp: Brought up 1 node, 2 CPUs" in said(row, "ok")


def test_a_variant_that_the_console_does_not_show_fails(run: RunDir) -> None:
    run.info["console_shows"] = "Brought up 1 node, 2 CPUs"
    run.embed("[    0.6] smp: Brought up 1 node, 1 CPU\n" + CONSOLE, True)
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert "no line shows 'Brought up 1 node, 2 CPUs'" in row["reason"]


def test_a_guest_without_a_console_is_no_result(run: RunDir) -> None:
    run.info["embedded"] = True
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"].startswith("console.log: ")


def test_a_console_that_ends_before_the_run_does_not_show_that_the_kernel_was_quiet(run: RunDir) -> None:
    run.embed("[    0.000000] booting\n", True)
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"] == f"console.log: no line 'kedr: run {RUN_ID} begins': what this run caused is not known"


def test_a_console_that_was_altered_after_it_was_kept_is_no_result(run: RunDir) -> None:
    run.embed(CONSOLE + "BUG: something\n", True)
    digest = hashlib.sha256((run.host / "console.log").read_bytes()).hexdigest()
    size = (run.host / "console.log").stat().st_size
    run.write("guest.json", {"alive": True, "console": {"bytes": size, "sha256": digest}})
    run.write("console.log", CONSOLE + "BAG: something\n")
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"].startswith("console.log: the file is not what was kept of the console")


def test_a_guest_may_go_on_writing_to_its_console_after_it_was_kept(run: RunDir) -> None:
    run.embed(CONSOLE + "reboot: Power down\n", True)
    digest = hashlib.sha256(CONSOLE.encode()).hexdigest()
    run.write("guest.json", {"alive": True, "console": {"bytes": len(CONSOLE), "sha256": digest}})
    assert run.row()["verdict"] == "OK"


# -- evidence that is missing, altered or unreadable ---------------------------------------------------

EVIDENCE = [
    "facts.json",
    "payloads.json",
    "formats.txt",
    "trace.txt",
    "stats.txt",
    "sites.txt",
    "dmesg.txt",
    "end.json",
    "calls.json",
    "steps.jsonl",
    "modules/cp_target.ko",
]


@pytest.mark.parametrize("name", EVIDENCE)
def test_missing_evidence_is_no_result_and_is_named(run: RunDir, name: str) -> None:
    (run.host / name).unlink()
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert any(text.startswith(f"{name}: ") for text in said(row, "missing"))


@pytest.mark.parametrize("name", EVIDENCE)
@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\x00\xff\xfe garbage \x1b[2J\n", b"[" * 100000, b"{}", b"[]", b"null"]
)
def test_spoiled_evidence_is_not_ok(run: RunDir, name: str, content: bytes) -> None:
    (run.host / name).write_bytes(content)
    assert run.row()["verdict"] in ("NO-RESULT", "FAIL")


@pytest.mark.parametrize("name", [name for name in EVIDENCE if name not in verify.OWN_FILES])
def test_a_bit_that_flips_after_evidence_was_received_is_noticed(run: RunDir, name: str) -> None:
    run.receive()
    data = bytearray((run.host / name).read_bytes())
    data[len(data) // 2] ^= 1
    (run.host / name).write_bytes(data)
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert f"{name}: the file is not what was received: its checksum differs" in said(row, "missing")


def test_a_file_that_no_step_brought_is_no_evidence(run: RunDir) -> None:
    (run.host / "calls.json").rename(run.host / "calls.away")
    run.receive()
    (run.host / "calls.away").rename(run.host / "calls.json")
    row = run.row()
    assert (row["verdict"], row["reason"]) == (
        "NO-RESULT",
        "calls.json: no step of this run says that it brought this file",
    )


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_that_is_a_directory_is_no_result(run: RunDir, name: str) -> None:
    (run.host / name).unlink()
    (run.host / name).mkdir()
    assert run.row()["verdict"] == "NO-RESULT"


@pytest.mark.parametrize(
    "name",
    [
        "facts.json",
        "payloads.json",
        "formats.txt",
        "trace.txt",
        "stats.txt",
        "sites.txt",
        "end.json",
        "steps.jsonl",
        "modules/cp_target.ko",
    ],
)
def test_evidence_that_is_cut_off_is_not_ok(run: RunDir, name: str) -> None:
    data = (run.host / name).read_bytes()
    for part in (1, 2, 3):
        (run.host / name).write_bytes(data[: len(data) * part // 4])
        assert run.row()["verdict"] != "OK", part


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_a_line_missing_from_the_trace_is_not_ok(run: RunDir, number: int) -> None:
    lines = trace_text(CALLS).splitlines(keepends=True)
    del lines[4 + number]
    run.write("trace.txt", "".join(lines))
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert "stats.txt counts 14" in " ".join(said(row, "missing"))


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
    "less taint than before": (text("facts.json", '"taint": 0', '"taint": 512'), "flags never go but by a restart"),
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


def test_a_target_that_calls_nothing_is_no_result(run: RunDir, tmp_path: pathlib.Path) -> None:
    (tmp_path / "e.s").write_text("\tnop\n")
    subprocess.run(["gcc", "-c", "-o", run.host / "modules" / "cp_target.ko", tmp_path / "e.s"], check=True)
    lines = [line for line in SITES.splitlines() if not line.startswith("site ")]
    run.write(
        "sites.txt",
        "\n".join(lines).replace("call 1", "call 0").replace("call 2", "call 0").replace("jmp 1", "jmp 0") + "\n",
    )
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert "calls recorded or counted, and the target has no call of it" in row["reason"]
    run.calls([])
    run.witness([])
    run.received = False
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert "calls none of the functions" in row["reason"]


@pytest.mark.parametrize(
    ("old", "new", "said_of_it"),
    [
        ("n: 13", 'n: "13"', "n is a number in the trace and 'n = 13' never holds; write the number without quotes"),
        ("in_init: 1", "in_init: yes", "in_init is a number in the trace and 'in_init = yes' never holds"),
    ],
)
def test_a_condition_of_the_wrong_type_is_no_result_with_its_place(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, old: str, new: str, said_of_it: str
) -> None:
    text = pathlib.Path(EXPECT.path).read_text()
    (tmp_path / "expect.yml").write_text(text.replace(old, new.replace("yes", "'yes'"), 1))
    monkeypatch.setattr(f"{__name__}.EXPECT", load_expect(str(tmp_path / "expect.yml")))
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert said_of_it in row["reason"]
    assert "[expect.yml:" in row["reason"]


@pytest.mark.parametrize(
    ("cpus", "moment", "in_doubt"), [(2, "after", True), (2, "before", False), (1, "after", False)]
)
def test_an_order_that_may_be_that_of_the_records_alone_is_told(
    run: RunDir, cpus: int, moment: str, in_doubt: bool
) -> None:
    plans = run.plans()
    plans[0]["events"][1]["moment"] = moment
    run.write("payloads.json", plans)
    run.write("facts.json", {**FACTS, "cpus": cpus})
    run.calls(CALLS[:-1])
    run.witness([line for line in WITNESS if line != WITNESS[-2]])
    each = (stats(0 if cpu else len(CALLS) - 1).replace("cpu0", f"cpu{cpu}") for cpu in range(cpus))
    run.write("stats.txt", "".join(each))
    row = run.row()
    assert row["verdict"] == "FAIL"
    (text,) = (text for text in said(row, "fail") if "freed: 1 of 2 values" in text)
    assert ("recorded after the call, when another CPU may have got the same already: kfree" in text) == in_doubt


def test_payloads_of_other_templates_may_name_their_replacements_as_they_like(run: RunDir) -> None:
    plans = run.plans()
    for plan in plans:
        for event in plan["events"]:
            del event["replacement"]
    run.write("payloads.json", plans)
    run.write("sites.txt", SITES.replace("to kedr_repl_", "to mine_"))
    assert run.row()["verdict"] == "OK"
    run.write("sites.txt", SITES.replace("to kedr_repl_copy_to_user", "to kedr_repl_copy_from_user"))
    run.received = False
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert "copy_to_user: the call at core 0x14 leads to kedr_repl_copy_from_user [my_payload2]" in row["reason"]


def test_a_failure_outweighs_missing_evidence(run: RunDir) -> None:
    (run.host / "trace.txt").unlink()
    FAILURES["a splat"][0](run)
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert row["reason"].startswith("dmesg.txt: ")


def test_splats_from_before_the_run_do_not_decide(run: RunDir) -> None:
    run.replace("dmesg.txt", "[    0.000000]", "[    0.000000] BUG: old\n[    0.000001]")
    row = run.row()
    assert row["verdict"] == "OK"
    assert "dmesg.txt: 1 lines of splats from before this run" in said(row, "note")


def test_a_log_is_looked_through_up_to_a_limit_and_the_verdict_says_so(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "MAX_LOG", 1 << 20)
    run.write("dmesg.txt", DMESG + "x" * (1 << 20) + "\n")
    assert run.row()["reason"] == "dmesg.txt: the log has 1 MiB, of which the first 1 were looked through"
    run.write("dmesg.txt", DMESG.replace("cfake: 2", "BUG: KASAN 2") + "x" * (1 << 20) + "\n")
    run.received = False
    assert run.row()["verdict"] == "FAIL"


def test_errors_of_the_modules_under_test_are_told_and_counted(run: RunDir) -> None:
    begin, rest = DMESG.split("cfake: 2 devices", 1)
    line = "cp_target: no such block\n<3>[   11.000000] "
    run.write("dmesg.txt", f"{begin}cfake: 2 devices\n<3>[   11.000000] {line * 14}{line[:24]}{rest}")
    row = run.row()
    assert row["verdict"] == "OK"
    notes = [text for text in said(row, "note") if "level error" in text]
    assert len(notes) == verify.MAX_NAMED + 1
    assert notes[-1] == "dmesg.txt: 15 lines of these modules at level error or worse in all"


def test_a_run_without_run_json_cannot_be_judged(run: RunDir) -> None:
    with pytest.raises(ForeignError, match=r"run.json: cannot be read: No such file"):
        verify.judge_run(str(run.path), [HOST], {HOST: EXPECT}, POLICY)


def sealed(run: RunDir) -> list[str]:
    """Write the steps of a run as the actions do, with checksums; returns the lines."""
    path = run.host / "steps.jsonl"
    run.receive()
    steps = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    for one in steps:
        append_step(str(run.host), one)
    return path.read_text().splitlines(keepends=True)


def test_records_of_steps_that_have_their_checksums_are_ok(run: RunDir) -> None:
    assert all('"sum": "' in line for line in sealed(run))
    assert run.row()["verdict"] == "OK"


@pytest.mark.parametrize("change", [
    lambda lines: [*lines[:3], lines[3].replace('"seconds": 1', '"seconds": 2'), *lines[4:]],
    lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    lambda lines: [*lines[:3], *lines[4:]],
    lambda lines: [*lines[:3], lines[3].replace('"sum"', '"sun"'), *lines[4:]],
])  # fmt: skip
def test_a_changed_record_of_a_step_is_no_result(run: RunDir, change: Callable[[list[str]], list[str]]) -> None:
    lines = sealed(run)
    changed = change(lines)
    assert changed != lines
    run.write("steps.jsonl", "".join(changed))
    row = run.row()
    assert row["verdict"] == "NO-RESULT"
    assert row["reason"].startswith("steps.jsonl: ")


def test_a_run_json_that_was_changed_is_refused(tmp_path: pathlib.Path) -> None:
    path = pathlib.Path(rundir.make_run(str(tmp_path), "r1", {"hosts": {HOST: {"embedded": True}}}))
    assert verify.read_run(str(path))["hosts"] == {HOST: {"embedded": True}}
    (path / "run.json").write_text((path / "run.json").read_text().replace("true", "false"))
    with pytest.raises(ForeignError, match="its checksum differs"):
        verify.read_run(str(path))


# -- hosts that mean harm ------------------------------------------------------------------------------

NASTY = "\x1b]0;owned\x07\x1b[2J | <b> \udcff\u202e " + "A" * 100000


def test_what_a_host_says_harms_no_report_and_no_other_host(run: RunDir, tmp_path: pathlib.Path) -> None:
    facts = dict.fromkeys(("release", "machine", "system", "compiler"), NASTY.replace("\udcff", "\ufffe"))
    run.write("facts.json", {**FACTS, **facts})
    run.steps([*(step(one) for one in verify.STEPS), step(NASTY, "failed", reason=NASTY, seconds=1e300)])
    (run.host / "dmesg.txt").write_bytes(b"\x1b[2JBUG: \xff\xfe" + b"B" * 1000000)
    (row,) = run.judge()
    table = rows.lines([row], about_shipped)
    shown = report.terminal(table) + report.markdown(table)
    assert row["verdict"] == "FAIL"
    assert shown.replace("\n", "").isprintable()
    assert len(shown) < 20000
    assert "<b>" not in report.markdown(rows.lines([row], about_shipped))


def test_deep_json_is_no_result(run: RunDir) -> None:
    run.write("end.json", '{"modules": ' + "[" * 200000)
    assert run.row()["verdict"] == "NO-RESULT"


PLAYBOOK = "ansible-playbook v.yml"


@pytest.mark.parametrize(
    ("words", "again"),
    [
        (["-l", "a"], ""),
        (["-la"], ""),
        (["-l=a"], ""),
        (["-vl", "a"], " -v"),
        (["--limit", "a b"], ""),
        (["--limit=a b"], ""),
        (["--lim=a"], ""),
        (["-l", "a", "-i", "hosts"], " -i hosts"),
        (["-e", "kedr_run_id=x", "-e", "a=b c"], " -e 'a=b c'"),
        (["-ekedr_run_id=x", "--extra-vars=a=b kedr_run_id=x c=d"], " --extra-vars 'a=b c=d'"),
        (["-e", "ansible_become_password=hush"], " -e 'ansible_become_password=…'"),
        (["--list-hosts", "--private-key=k", "-e", "@vars.yml"], " --list-hosts --private-key=k -e @vars.yml"),
    ],
)
def test_the_command_that_repeats_a_host_has_its_limit_alone(run: RunDir, words: list[str], again: str) -> None:
    (run.path / "run.json").write_text(json.dumps({"command": [*PLAYBOOK.split(), *words], "hosts": {}}))
    (row,) = verify.judge_run(str(run.path), [HOST], {HOST: EXPECT}, POLICY)
    assert row["reproduce"] == f"{PLAYBOOK}{again} --limit debian13"


def test_without_a_command_the_playbook_is_named(run: RunDir) -> None:
    (run.path / "run.json").write_text(json.dumps({"command": [], "hosts": {}}))
    (row,) = verify.judge_run(str(run.path), [HOST], {HOST: EXPECT}, POLICY)
    assert row["reproduce"] == "ansible-playbook playbooks/verify.yml --limit debian13"


def test_a_command_that_was_given_names_the_host_where_it_asks_for_it(run: RunDir) -> None:
    (run.path / "run.json").write_text(json.dumps({"command": PLAYBOOK.split(), "hosts": {}}))
    given = "make matrix ARGS='--limit {host}'"
    (row,) = verify.judge_run(str(run.path), [HOST], {HOST: EXPECT}, POLICY, given)
    assert row["reproduce"] == "make matrix ARGS='--limit debian13'"


def test_a_command_that_was_given_is_used_as_it_is(run: RunDir) -> None:
    (run.path / "run.json").write_text(json.dumps({"command": PLAYBOOK.split(), "hosts": {}}))
    (row,) = verify.judge_run(str(run.path), [HOST], {HOST: EXPECT}, POLICY, "cd /lab && make verify")
    assert row["reproduce"] == "cd /lab && make verify"


def test_modules_of_others_that_came_or_went_are_told_and_fail_nothing(run: RunDir) -> None:
    run.write("facts.json", {**FACTS, "modules": ["ext4", "usbhid"]})
    run.write("end.json", {"taint": 12288, "modules": ["ext4", "zsmalloc", *MODULES]})
    row = run.row()
    assert row["verdict"] == "OK"
    assert "end.json: modules that came during the run and stayed: zsmalloc" in said(row, "note")
    assert "end.json: modules that went during the run: usbhid" in said(row, "note")


def test_modules_of_the_run_are_none_of_others(run: RunDir) -> None:
    assert not [text for text in said(run.row(), "note") if "modules that" in text]


def test_a_kernel_that_takes_signed_modules_only_is_skipped(run: RunDir) -> None:
    reason = "module.sig_enforce is on: only signed modules are loaded"
    run.steps(
        [
            *(step(name) for name in ("facts", "render", "build")),
            step("load", status="failed", kind="SKIP", reason=reason),
        ]
    )
    row = run.row()
    assert (row["verdict"], row["reason"]) == ("SKIP", f"load: {reason}")
