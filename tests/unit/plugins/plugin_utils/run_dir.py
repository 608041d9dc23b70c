# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of a run of one host that is OK, to be spoiled by a test."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import jsonschema
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.expect import load_expect
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import load_policy
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import about_shipped
from ansible_collections.kedr.lab.plugins.plugin_utils.report import rows
from ansible_collections.kedr.lab.plugins.plugin_utils.report import text as report
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import case, verify

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
            if path.is_file() and path.name not in case.OWN_FILES
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


def said(row: dict[str, Any], outcome: str) -> list[str]:
    return [f"{one['source']}: {one['text']}" for one in row["evidence"] if one["outcome"] == outcome]


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
