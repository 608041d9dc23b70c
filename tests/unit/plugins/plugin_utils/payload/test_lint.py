# SPDX-License-Identifier: GPL-3.0-or-later
"""kedr lint: every mistake of every file, as editors and programs read it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.lint import described
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import Problem
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.read import read_payload
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(paths.ROOT)
COMMAND = [ROOT / "bin" / "kedr", "lint"]
GLOBALS = "module.name = {}\nmodule.author = Some Author\nmodule.license = GPL\n"  # lines 1 to 3
FREE = "[group]\nfunction.name = {}\nreturnsVoid = yes\ntrace.formatString = free()\n"  # lines 4 to 7
GOOD = GLOBALS.format("a") + FREE.format("kfree")


def lint(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def messages(text: str | bytes) -> list[tuple[int, str]]:
    data = text if isinstance(text, bytes) else text.encode()
    return [(problem.line, problem.text.split(";")[0]) for problem in read_payload(data, "a.data").problems]


# the command


def test_files_without_a_mistake_print_nothing_and_exit_with_0() -> None:
    done = lint(*sorted((ROOT / "data").glob("*.data")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_mistakes_are_printed_in_the_format_of_gcc_and_exit_with_1(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text(GOOD + "epilog = x;\n")
    done = lint("a.data", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == ""
    assert done.stdout.startswith(
        "a.data:8: error: unknown parameter 'epilog' in a [group], did you mean 'epilogue'?; allowed here: "
    )
    assert done.stdout.count("\n") == 1


def test_json_has_every_part_of_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text(GOOD.replace("a\n", "a b\n", 1) + "epilog = x;\n")
    done = lint("--json", "a.data", cwd=tmp_path)
    first, second = json.loads(done.stdout)
    assert done.returncode == 1
    assert first == {
        "file": "a.data",
        "line": 1,
        "severity": "error",
        "message": "module.name 'a b' is not a valid name of a module",
        "allowed": "letters, digits, _ and - are allowed, not starting with a digit",
        "suggestion": None,
    }
    assert (second["line"], second["suggestion"]) == (8, "epilogue")


def test_json_of_files_without_a_mistake_is_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text(GOOD)
    assert lint("--json", tmp_path / "a.data").stdout == "[]\n"


def test_what_cannot_be_read_is_named_beside_the_mistakes_of_the_others_and_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text(GOOD.replace("GPL", "none"))
    done = lint("missing.data", ".", "a.data", cwd=tmp_path)
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "missing.data: error: cannot be read: No such file or directory",
        ".: error: cannot be read: Is a directory",
    ]
    assert lines[2].startswith("a.data:3: error: module.license 'none'")


def test_no_file_is_wrong_use() -> None:
    done = lint()
    assert done.returncode == 2
    assert done.stderr.startswith("usage: kedr lint")


def test_a_device_without_end_is_no_payload_description() -> None:
    done = lint("/dev/zero")
    assert (done.returncode, done.stdout) == (
        2,
        "/dev/zero: error: is not a payload description; at most 64 MiB are allowed\n",
    )


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text("x\n")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, tmp_path / "a.data"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr == b"kedr lint: error: cannot write the output: No space left on device\n"


def test_a_name_of_odd_bytes_is_printed_as_it_is(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.data"
    with open(name, "wb") as file:
        file.write(b"x\n")
    done = subprocess.run([*COMMAND, name], capture_output=True, check=False)
    assert done.stdout.startswith(name + b":1: error: ")
    assert done.returncode == 1
    assert json.loads(subprocess.run([*COMMAND, "--json", name], capture_output=True, check=False).stdout)


def test_it_needs_nothing_but_python() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'plugins')!r}); import plugin_utils.payload.lint; "
        "print([name for name in ('yaml', 'jinja2', 'ansible', 'elftools') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_page_on_payloads_shows_what_is_really_printed(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "writing-a-payload.md").read_text()
    shown = re.findall(r"^```lint (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    files = dict(re.findall(r"^```mistakes (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    assert sorted(files) == sorted(name for name, _text in shown) == ["my_mistakes.data", "swallowed.data"]
    for name, text in shown:
        (tmp_path / name).write_text(files[name])
        assert lint(name, cwd=tmp_path).stdout == text
    (example,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert json.loads(example) in json.loads(lint("--json", "swallowed.data", cwd=tmp_path).stdout)


# one pass


def test_a_function_that_is_described_badly_is_still_known_to_be_there() -> None:
    text = GOOD + "[group]\nfunction.name = kfree\ntrace.formatString = x\n"
    assert messages(text) == [
        (8, "neither 'returnType' nor 'returnsVoid' is given"),
        (9, "function 'kfree' is given again (first in line 5)"),
    ]


def test_after_a_value_without_end_the_rest_is_checked() -> None:
    text = GOOD + "prologue =>>\n\tint x;\nepilogue = x;\nmid = x;\n[group]\nfunction.name = 9\nreturnsVoid = yes\n"
    assert messages(text) == [
        (8, "the value of 'prologue' has no end, \"<<\" is missing"),
        (11, "unknown parameter 'mid' in a [group]"),
        (12, "'trace.formatString' is missing in a [group]"),
        (13, "function.name '9' is not a C identifier"),
    ]


def test_a_value_that_took_in_the_next_group_is_ended_before_it() -> None:
    text = GLOBALS.format("a") + "header =>>\n#include <a.h>\n" + FREE.format("kfree") + "prologue =>>\nf();\n<<\n"
    assert messages(text) == [(4, "the value of 'header' has no end, \"<<\" is missing")]
    assert messages(text.replace("<a.h>\n", "<a.h>\n<<\n")) == []


def test_a_malformed_line_that_continues_another_hides_nothing() -> None:
    assert messages("junk \\\nmore \\\nand more\n" + GOOD.replace("GPL", "x")) == [
        (3, "'=' is missing"),
        (6, "module.license 'x' may not use the kernel's GPL-only functions"),
    ]


@pytest.mark.parametrize(
    ("argument", "recorded", "shown"),
    [("void *", "unsigned long", "%lu"), ("size_t", "const char *", "%p"), ("int", "void *", "%p")],
)
@pytest.mark.parametrize("result", [False, True])
def test_a_value_is_not_traced_as_another_class(argument: str, recorded: str, shown: str, result: bool) -> None:
    value = "returnValue" if result else "x"
    text = GLOBALS.format("a") + (
        f"[group]\nfunction.name = f\nreturnType = {argument}\narg.type = {argument}\narg.name = x\n"
        f"trace.param.type = {recorded}\ntrace.param.name = {value}\ntrace.formatString = {shown}\n"
    )
    ((line, problem),) = messages(text)
    assert line == 10
    assert problem.startswith(f"trace parameter '{value}' is a")
    assert problem.endswith(f"({argument})")


def test_an_argument_does_not_hide_the_function() -> None:
    text = GOOD + "arg.type = int\narg.name = kfree\n"
    assert messages(text) == [(9, "arg.name 'kfree' is the name of the function")]


@pytest.mark.parametrize("data", [GOOD.encode("utf-8-sig"), GOOD.encode("utf-16")])
def test_a_byte_order_mark_is_named(data: bytes) -> None:
    ((line, problem),) = messages(data)
    assert line == 1
    assert problem in ("the file starts with a byte order mark", "the file is UTF-16")


def test_more_malformed_lines_than_are_looked_for_are_told() -> None:
    found = messages("junk\n" * 60 + GOOD)
    assert len(found) == 51
    assert found[-1] == (50, "more than 50 malformed lines")
    assert len(messages("junk\n" * 49 + GOOD)) == 49


def test_text_after_the_start_of_a_value_is_one_mistake() -> None:
    text = GOOD + "prologue =>> int x;\n\tx();\n\ty();\n<<\n"
    assert messages(text) == [(8, 'only whitespace characters are allowed after "=>>"')]


@pytest.mark.parametrize("mark", ["[Group]", "[ group ]", "[groups]", "  [group ]  "])
def test_what_is_nearly_a_group_begins_one(mark: str) -> None:
    (problem,) = read_payload(GOOD.replace("[group]", mark).encode(), "a.data").problems
    assert (problem.line, problem.text) == (4, "'=' is missing; did you mean '[group]'?")


@pytest.mark.parametrize(
    ("wrong", "meant"), [("siez", "size"), ("returnvalue", "returnValue"), ("Return_Value", "returnValue")]
)
def test_a_misspelt_trace_parameter_has_a_suggestion(wrong: str, meant: str) -> None:
    text = GLOBALS.format("a") + (
        "[group]\nfunction.name = vmalloc\nreturnType = void *\narg.type = long\narg.name = size\n"
        f"trace.param.type = long\ntrace.param.name = {wrong}\ntrace.formatString = %ld\n"
    )
    (problem,) = read_payload(text.encode(), "a.data").problems
    assert problem.suggestion == meant
    assert f"'{wrong}' is not a known value, did you mean '{meant}'?; allowed are size, returnValue and" in problem.text


def test_a_misspelt_licence_has_a_suggestion() -> None:
    (problem,) = read_payload(GOOD.replace("GPL", "gplv2").encode(), "a.data").problems
    assert problem.suggestion == "GPL v2"


# the parts of a message


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_of_the_user_is_taken_for_the_end_of_what_is_wrong(text: str) -> None:
    problem = Problem("a.data", 1, f"the kernel's value of {text!r}, did you mean '; '?; allowed are 'a; b' and c")
    parts = described(problem)
    assert parts["message"] == f"the kernel's value of {text!r}, did you mean '; '?"
    assert parts["allowed"] == "allowed are 'a; b' and c"


@given(st.binary())
def test_any_bytes_are_a_payload_or_mistakes_within_the_file(data: bytes) -> None:
    reading = read_payload(data, "a.data")
    assert (reading.payload is None) == bool(reading.problems)
    assert all(1 <= problem.line <= data.count(b"\n") + 1 for problem in reading.problems)


LINES = [*(GOOD + "prologue =>>\n\tx();\n<<\n").splitlines(), "[group] x", "\\", "\0", "{", "header =>>"]


@given(st.lists(st.sampled_from(LINES)))
def test_any_lines_are_a_payload_or_mistakes_within_the_file(lines: list[str]) -> None:
    reading = read_payload("\n".join(lines).encode(), "a.data")
    assert (reading.payload is None) == bool(reading.problems)
    assert all(1 <= problem.line <= max(len(lines), 1) for problem in reading.problems)
