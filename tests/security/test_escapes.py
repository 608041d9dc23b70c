# SPDX-License-Identifier: GPL-3.0-or-later
"""What steers a terminal, turns a line round or is a formula, on every way from a host or a file to who reads it."""

from __future__ import annotations

import csv
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError, KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.protocol import Parser
from ansible_collections.kedr.lab.plugins.plugin_utils.export.formats import FORMATS
from ansible_collections.kedr.lab.plugins.plugin_utils.lab import action as lab_action
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.boot import Boot
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import explain
from ansible_collections.kedr.lab.plugins.plugin_utils.report import junit
from ansible_collections.kedr.lab.plugins.plugin_utils.report.rows import Line
from bombs import ROOT, by_ssh, hostile, task

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202ecod\u061c\u2066\u200b\ufeff\r\x08"
STEERS = set(EVIL) - set("]0;owned[2J31mcod")
VERBS = ["judge", "export", "lint", "mist", "new", "report", "page", "trace", EVIL]


def steering(text: str) -> set[str]:
    """The characters of a text that steer a terminal."""
    return STEERS & set(text)


def shell(text: str) -> str:
    """A text as printf of a shell takes it."""
    return "".join(f"\\{byte:03o}" for byte in text.encode())


SAYS = {
    "a reason": f"begin; printf 'v failed INFRA\\ntext reason\\n|{shell(EVIL)}\\n.\\n'; end",
    "a line": f"begin; printf '{shell(EVIL)}\\n'; end",
    "a value": f"begin; printf 'v release {shell(EVIL)}\\n'; end",
    "talk": f"printf '{shell(EVIL)}\\n'",
    "errors": f"printf '{shell(EVIL)}\\n' >&2; exit 7",
    "facts": "begin; printf 'v release 6.1\\nv machine x86_64\\n"
             + "".join(f"v {key} {shell(EVIL)}\\n" for key in ("build", "compiler", "tracefs", "lockdown"))
             + f"text os_release\\n|PRETTY_NAME=\"{shell(EVIL)}\"\\n|ID=\"{shell(EVIL)}\"\\n.\\n"
             + f"text version\\n|Linux version 6 (gcc {shell(EVIL)})\\n.\\ntext keys\\n|{shell(EVIL)}\\n.\\n"
             + f"text clocks\\n|{shell(EVIL)}\\n.\\n'; end",
}


@pytest.mark.parametrize("name", SAYS)
def test_nothing_that_a_host_says_steers_the_terminal_of_ansible(name: str, tmp_path: pathlib.Path) -> None:
    path = hostile(tmp_path, SAYS[name])
    done = task("kernel_facts", "-c", "local", PATH=f"{path.parent}:{os.environ['PATH']}")
    assert steering(done.said) == set()
    assert "owned" in done.said


def test_nothing_that_ssh_of_a_host_says_steers_the_terminal_of_ansible(tmp_path: pathlib.Path) -> None:
    done = task("kernel_facts", *by_ssh(tmp_path, str(hostile(tmp_path, SAYS["errors"]))))
    assert steering(done.said) == set()
    assert "owned" in done.said


class Display:
    """Keeps what would be shown."""

    def __init__(self) -> None:
        self.shown = ""

    def display(self, text: str) -> None:
        self.shown += f"{text}\n"


class Work(lab_action.LabAction):
    """Fails as a guest, or a tool that makes images, would have it."""

    def __init__(self, problem: Exception) -> None:
        self.problem, self._display = problem, Display()
        self._task = SimpleNamespace(check_mode=True)

    def step(self, options: dict) -> str:
        return ""

    def work(self, options: dict) -> dict:
        self.progress(EVIL)
        raise self.problem


@pytest.mark.parametrize("problem", [KedrError(EVIL), OSError(2, EVIL, EVIL)])
def test_nothing_of_a_guest_or_of_a_tool_steers_the_terminal(problem: Exception) -> None:
    action = Work(problem)
    result = action.perform({"run_dir": ""}, {})
    assert steering(f"{result['msg']}{action._display.shown}") == set()
    assert "owned" in action._display.shown


def test_the_console_of_a_guest_and_the_log_of_a_tool_are_told_in_words(tmp_path: pathlib.Path) -> None:
    console = tmp_path / "console.log"
    console.write_text(f"Kernel panic - {EVIL}\n{EVIL}\n")
    boot = Boot.__new__(Boot)
    boot.files = SimpleNamespace(console=str(console), log=str(console))
    boot.spec, boot.problem, boot.refused = SimpleNamespace(name="g"), "panicked", ""
    for told in (boot.report(), boot.news(), explain(f"E: {EVIL}\n")):
        action = Work(KedrError(told))
        assert steering(action.perform({"run_dir": ""}, {})["msg"]) == set()
        assert "owned" in told


def test_nothing_that_a_stream_says_steers_the_terminal() -> None:
    with pytest.raises(ForeignError) as caught:
        list(Parser("n", begun=True).feed(f"v {EVIL}\n".encode()))
    assert steering(str(caught.value)) == set()
    parser = Parser("n", begun=True, failure=" ")
    list(parser.feed(f"|{EVIL}\n".encode()))
    assert steering(parser.failure) == set()


def run(directory: pathlib.Path) -> None:
    """Write a run whose every text is evil."""
    host = directory / "one"
    host.mkdir(parents=True)
    (directory / "run.json").write_text(json.dumps({"run_id": EVIL, "hosts": {"one": {"console": EVIL}}}))
    (directory / "results.json").write_text(json.dumps({"run_id": EVIL, "hosts": [{"host": EVIL, EVIL: EVIL}]}))
    for name in ("facts.json", "stream.json", "end.json"):
        (host / name).write_text(json.dumps({"release": EVIL, "system": EVIL, "error": EVIL, EVIL: EVIL}))
    (host / "steps.jsonl").write_text(json.dumps({"step": EVIL, "status": "failed", "kind": EVIL, "reason": EVIL}))
    for name in ("trace.txt", "formats.txt", "stats.txt", "header.txt", "comms.txt", "console.log", "dmesg.txt"):
        (host / name).write_text(f"== {EVIL}\n{EVIL}\n")
    (directory / "evil.data").write_text(f"module.name = {EVIL}\n{EVIL}\n[group]\nfunction.name = {EVIL}\n")


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_sends_what_others_wrote_to_the_terminal(verb: str, tmp_path: pathlib.Path) -> None:
    evil = tmp_path / EVIL.replace("\r", "")
    run(evil)
    words = {
        "judge": [[evil]], "report": [[evil], [evil / "results.json"]], "page": [[evil]], EVIL: [[]],
        "export": [[kind, evil, "-o", tmp_path / "out"] for kind in FORMATS],
        "lint": [[evil / "evil.data"], [evil / "none.data"], [evil / "evil.data", f"--{EVIL}"]],
        "mist": [[evil, evil / "evil.data"], [evil / "none", evil / "one" / "facts.json"]],
        "new": [["--vmlinux", evil / "one" / "facts.json", EVIL], [evil / "evil.data"]],
        "trace": [["table", evil], ["sql", evil, "-q", f"select {EVIL}"], ["counts", evil]],
    }[verb]
    said = ""
    for line in words:
        done = subprocess.run([sys.executable, ROOT / "bin" / "kedr", verb, *line], capture_output=True, check=False)
        said += (done.stdout + done.stderr).decode(errors="replace")
        assert b"Traceback" not in done.stderr, said
    assert steering(said) == set()
    assert "owned" in said


def test_no_cell_is_a_formula_and_numbers_stay_numbers(tmp_path: pathlib.Path) -> None:
    question = """select '=1+1' as "=a", '@SUM(1)' as b, '+1' as c, '-1' as d, -1 as e, '-a' as f, {'=k': '=v'} as g"""
    rows = trace_rows(tmp_path, question)
    assert rows == [["'=a", "b", "c", "d", "e", "f", "g"], ["'=1+1", "'@SUM(1)", "+1", "-1", "-1", "'-a", "'=k==v"]]


def trace_rows(place: pathlib.Path, question: str) -> list[list[str]]:
    """What kedr trace answers as CSV, about records that are of no matter."""
    code = (
        "import sys\nfrom ansible_collections.kedr.lab.plugins.plugin_utils.ask import query\n"
        "import duckdb\nanswer = query.ask(duckdb.connect(), sys.argv[1])\n"
        "query.show(answer, 'csv', sys.stdout)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, question], capture_output=True, check=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")})  # fmt: skip
    return list(csv.reader(done.stdout.splitlines()))


def test_a_table_of_tests_is_xml_whatever_a_host_said() -> None:
    result = {"host": EVIL, "verdict": "FAIL", "reason": EVIL + "\x00\x0b\ufffe\ud800", "reproduce": EVIL, "steps": [],
              "evidence": [{"outcome": EVIL, "source": EVIL, "text": EVIL}], "console": [EVIL]}  # fmt: skip
    text = junit.junit([Line(None, result)])
    ET.fromstring(text.encode())
    assert steering(text) == set()
