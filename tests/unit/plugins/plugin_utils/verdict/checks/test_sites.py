# SPDX-License-Identifier: GPL-3.0-or-later
"""Each call that the relocations of the target name leads to its replacement, and no other."""

from __future__ import annotations

import pathlib
import subprocess

from ...run_dir import SITES, TARGET, RunDir, said


def test_a_function_that_no_payload_of_the_run_names_must_not_be_patched(run: RunDir) -> None:
    line = "function down_killable call 0 jmp 0\n"
    run.replace("sites.txt", line, line + "function up_read call 0 jmp 0\n")
    row = run.row()
    assert row["verdict"] == "FAIL"
    assert "up_read: the controller looked for it, and no payload of the run names it" in row["reason"]


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
