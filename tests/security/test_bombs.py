# SPDX-License-Identifier: GPL-3.0-or-later
"""What is small on its way, or has no end: the control node says so in plain words and takes less than 300 MB."""

from __future__ import annotations

import json
import os
import pathlib
import re

import pytest
from bombs import MOST, by_ssh, hostile, task

ANSWERS = {
    "nothing but talk": ("exec yes", "the host answered more than 8 MiB"),
    "one line of talk": ("tr '\\0' x </dev/zero", "the host answered more than 8 MiB"),
    "lines without end": ("begin; echo 'text version'; exec yes '|y'", "the host answered more than 8 MiB"),
    "a line without end": ("begin; exec tr '\\0' x </dev/zero", "the host answered more than 8 MiB"),
    "zeros without end": ("begin; exec cat /dev/zero", "the host answered more than 8 MiB"),
    "values without end": ("begin; exec yes 'v a 1'", "the host answered more than 8 MiB"),
    "errors without end": ("begin; exec yes >&2", "the host answered more than "),
    "a wrong length": ("begin; echo 'file x 999999999999'; exec cat /dev/zero", "the host answered more than 8 MiB"),
    "a million values": ("begin; yes 'v a 1' | head -n 1000000; end", "the host answered more than 100000 values"),
    "a million keys": ("begin; seq -f 'v a%.0f 1' 500000; end", "the host answered more than 100000 values"),
    "a large text": ("begin; echo 'text os_release'; yes '|y' | head -c 7999998; printf '.\\n'; end",
                     "bytes of 'os_release'; at most 4194304 are taken"),
}


def result(said: str) -> dict:
    """The result that Ansible shows of a task."""
    return json.loads(said[said.index("=> {") + 3:])


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_without_end_or_measure_ends_at_once_and_fits_into_memory(
    name: str, tmp_path: pathlib.Path
) -> None:
    program, reason = ANSWERS[name]
    path = hostile(tmp_path, program)
    done = task("kernel_facts", "-c", "local", PATH=f"{path.parent}:{os.environ['PATH']}")
    assert reason in result(done.said)["msg"], done.said[-2000:]
    assert result(done.said)["kind"] == "INFRA"
    assert done.peak < MOST


@pytest.mark.parametrize("name", ["nothing but talk", "lines without end", "a line without end", "errors without end"])
def test_an_endless_answer_over_ssh_ends_at_once_and_fits_into_memory(name: str, tmp_path: pathlib.Path) -> None:
    program, reason = {**ANSWERS, "nothing but talk": ("exec yes", "something else for 64 KiB: y")}[name]
    done = task("kernel_facts", *by_ssh(tmp_path, str(hostile(tmp_path, program))))
    assert reason in result(done.said)["msg"], done.said[-2000:]
    assert done.peak < MOST


@pytest.mark.parametrize("program", ["exec yes", "exec yes >&2", "tr '\\0' x </dev/zero"])
def test_a_host_that_talks_before_it_lets_become_root_ends_at_once(program: str, tmp_path: pathlib.Path) -> None:
    words = ["-b", "--become-method", "su", "--become-user", "nobody"]
    path = tmp_path / "talk"
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    done = task("kernel_facts", *by_ssh(tmp_path, str(path)), *words)
    assert re.search(r"the host answered (something else for 64 KiB|more than 1 MiB)", done.said), done.said[-2000:]
    assert done.peak < MOST


BECOMING = {"ANSIBLE_BECOME_ALLOW_SAME_USER": "1"}


@pytest.mark.parametrize("way", ["local", "ssh"])
def test_an_honest_host_is_still_asked_also_as_another_user(way: str, tmp_path: pathlib.Path) -> None:
    words = ["-c", "local"] if way == "local" else by_ssh(tmp_path)
    done = task("kernel_facts", *words, "-b", "--become-method", "su", **BECOMING)
    assert (done.status, done.peak < MOST) == (0, True), done.said[-2000:]
    assert '"release"' in done.said


LARGEST = {
    "dmesg": """begin
for name in trace witness dmesg; do echo "text $name"; yes '|ab' | head -c 20971520; printf '.\\n'; done
end
""",
    "stats": "begin; echo 'file stats 66000000'; head -c 66000000 /dev/zero; echo; end",
}


@pytest.mark.parametrize(("name", "size"), [("dmesg", 15728640), ("stats", 66000000)])
@pytest.mark.parametrize("way", ["local", "ssh"])
def test_the_largest_evidence_that_is_taken_fits_into_memory(
    way: str, name: str, size: int, tmp_path: pathlib.Path
) -> None:
    path = hostile(tmp_path, LARGEST[name])
    words = ["-c", "local"] if way == "local" else by_ssh(tmp_path, str(path))
    done = task("trace_collect", *words, "-a", f"run_dir={tmp_path}/run", PATH=f"{path.parent}:{os.environ['PATH']}")
    assert done.peak < MOST
    assert (tmp_path / "run" / "one" / f"{name}.txt").stat().st_size == size, done.said[-2000:]
