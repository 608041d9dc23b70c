# SPDX-License-Identifier: GPL-3.0-or-later
"""The command: what it does with odd files, deep templates and streams that fail."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.mist import generate as mist_gen

from .conftest import PROGRAM, Generate, Outcome, write_files

PLAIN = {
    "t/document/document.tpl": b"<$block : join(,)$>",
    "t/block/block.tpl": b"<$a$>",
    "in": b"[group]\na = 1\n[group]\na = 2\n",
}


@pytest.mark.parametrize("name", ["mist_gen", "kedr_gen"])
@pytest.mark.parametrize("arguments", [[], ["--help"], ["t"]])
def test_too_few_arguments_show_the_usage_on_stdout(name: str, arguments: list[str]) -> None:
    ended = subprocess.run([PROGRAM.with_name(name), *arguments], capture_output=True, check=False)
    usage = f"Usage: {name} <template directory> <data file>\n".encode()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, usage, b"")


def test_further_arguments_are_ignored(folder: Path) -> None:
    write_files(folder, PLAIN)
    ended = subprocess.run([PROGRAM, "t/", "in", "more", "-x"], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"1,2", b"")


def test_program_works_through_a_symlink_from_elsewhere(folder: Path) -> None:
    write_files(folder, PLAIN)
    (folder / "kedr_gen").symlink_to(PROGRAM)
    ended = subprocess.run(["./kedr_gen", "t", "in"], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"1,2", b"")


def test_start_needs_few_modules() -> None:
    code = (
        "import os, sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]);"
        "import plugin_utils.mist.generate; print(*sorted(set(sys.modules) - before))"
    )
    plugins = PROGRAM.parents[1] / "plugins"
    ended = subprocess.run([sys.executable, "-IS", "-c", code, plugins], capture_output=True, check=True)
    loaded = {name for name in ended.stdout.decode().split() if not name.startswith("plugin_utils")}
    assert loaded <= {"__future__", "gc", "itertools", "operator", "_operator"}


def test_directory_as_data_file_is_an_error(folder: Path, generate: Generate) -> None:
    write_files(folder, PLAIN)
    (folder / "dir").mkdir()
    message = b"Failed to load dir: unable to read file dir: Is a directory\n"
    assert generate("t", "dir") == Outcome(1, b"", message)


def test_missing_template_directory_is_named_as_given(folder: Path, generate: Generate) -> None:
    write_files(folder, PLAIN)
    message = b"Failed to load templates from no/: directory does not exist or cannot be accessed: no/\n"
    assert generate("no/", "in") == Outcome(1, b"", message)


def test_empty_name_is_no_template_directory(folder: Path, generate: Generate) -> None:
    write_files(folder, PLAIN)
    message = b"Failed to load templates from : directory does not exist or cannot be accessed: \n"
    assert generate("", "in") == Outcome(1, b"", message)


def test_file_as_template_directory_is_an_error(folder: Path, generate: Generate) -> None:
    write_files(folder, PLAIN)
    message = b"Failed to load templates from in: directory does not exist or cannot be accessed: in\n"
    assert generate("in", "in") == Outcome(1, b"", message)


def test_file_in_place_of_a_group_is_no_group(folder: Path, generate: Generate) -> None:
    write_files(folder, {"t/document/document.tpl": b"", "t/block": b"", "in": b""})
    message = b'Failed to load templates from t: not found template group: "block"\n'
    assert generate("t", "in") == Outcome(1, b"", message)


def test_dangling_link_is_an_unreadable_template(folder: Path, generate: Generate) -> None:
    write_files(folder, PLAIN)
    (folder / "t/document/x.tpl").symlink_to("nowhere")
    message = b"Failed to load templates from t: unable to read file document/x.tpl\n"
    assert generate("t", "in") == Outcome(1, b"", message)


def test_link_to_a_template_is_followed(folder: Path, generate: Generate) -> None:
    write_files(folder, {**PLAIN, "t/document/document.tpl": b"<$x$>", "x": b"linked"})
    (folder / "t/document/x.tpl").symlink_to("../../x")
    assert generate("t", "in") == Outcome(0, b"linked", b"")


def test_directory_called_like_a_template_gives_the_original_message(
    folder: Path, generate: Generate
) -> None:
    write_files(folder, PLAIN)
    (folder / "t/block/x.tpl").mkdir()
    message = b"Error: basic_filebuf::underflow error reading the file: Is a directory\n"
    assert generate("t", "in") == Outcome(1, b"", message)


def test_values_and_templates_end_at_their_first_nul(folder: Path, generate: Generate) -> None:
    data = b"[group]\na = 1\0 2\nb =>>\nx\ny\0z\n<<\nc = \0\n" * 3
    files = {
        "t/document/document.tpl": b"<$block : join(,)$>\0<$broken",
        "t/block/block.tpl": b"<$a$><$b$><$if c$>yes<$else$>no<$endif$>",
        "in": data,
    }
    write_files(folder, files)
    assert generate("t", "in") == Outcome(0, b"1x\nyno,1x\nyno,1x\nyno", b"")


def test_data_comes_from_a_pipe_too(folder: Path) -> None:
    write_files(folder, PLAIN)
    ended = subprocess.run(
        [PROGRAM, "t", "/dev/stdin"], input=b"[group]\na=x\n", capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"x", b"")


def test_names_of_files_are_bytes(folder: Path) -> None:
    write_files(folder, PLAIN)
    name = b"\xff\xfe"
    ended = subprocess.run([PROGRAM, b"t", name], capture_output=True, check=False)
    assert ended.stderr == b"Failed to load %b: unable to open file %b\n" % (name, name)


def test_full_disk_is_an_error(folder: Path) -> None:
    write_files(folder, PLAIN)
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run([PROGRAM, "t", "in"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 1
    assert ended.stderr == b"Error: unable to write the output: No space left on device\n"


def test_closed_output_is_an_error(folder: Path) -> None:
    write_files(folder, PLAIN)
    command = f"exec '{PROGRAM}' t in >&-"
    ended = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 1
    assert ended.stderr == b"Error: unable to write the output: Bad file descriptor\n"


def test_mistake_in_the_data_comes_before_one_in_the_templates(folder: Path, generate: Generate) -> None:
    write_files(folder, {**PLAIN, "t/block/block.tpl": b"<$", "in": b"[group]\n" * 5000 + b"x"})
    assert generate("t", "in") == Outcome(1, b"", b"Failed to load in: line 5001: '=' is missing\n")


def test_mistake_in_the_data_comes_before_a_multi_valued_block(folder: Path, generate: Generate) -> None:
    write_files(folder, {**PLAIN, "in": b"[group]\na = 1\na = 2\n" * 5000 + b"= 1"})
    assert generate("t", "in") == Outcome(1, b"", b"Failed to load in: line 15001: name is missing\n")


def test_multi_valued_block_is_found_behind_many_good_ones(folder: Path, generate: Generate) -> None:
    write_files(folder, {**PLAIN, "in": b"[group]\na = 1\n" * 10 + b"[group]\na = 1\na = 1\n" * 2})
    message = b"Error: the main template is multi-valued, which is not allowed here\n"
    assert generate("t", "in") == Outcome(1, b"", message)


DEPTH = 20_000
DEEP = {
    "nested conditions": (
        {"t/block/block.tpl": b"<$if a$>x" * DEPTH + b"<$endif$>" * DEPTH, "in": b"[group]\na = 1\n"},
        b"x" * DEPTH,
    ),
    "nested conditions by the value": (
        {
            "t/block/block.tpl": b"<$deep : join(,)$>",
            "t/block/deep.tpl": b"<$if a$>x" * DEPTH + b"<$endif$>" * DEPTH,
            "in": b"[group]\na = 1\na =\na = 2\n",
        },
        b"x" * DEPTH + b",," + b"x" * DEPTH,
    ),
    "nested else branches": (
        {"t/block/block.tpl": b"<$if b$>y<$else$>x" * DEPTH + b"<$endif$>" * DEPTH, "in": b"[group]\n"},
        b"x" * DEPTH,
    ),
    "chained templates": (
        {f"t/block/t{number}.tpl": f"<$t{number + 1}$>.".encode() for number in range(DEPTH - 1)}
        | {f"t/block/t{DEPTH - 1}.tpl": b"end", "t/block/block.tpl": b"<$t0$>", "in": b"[group]\n"},
        b"end" + b"." * (DEPTH - 1),
    ),
    "chained templates with lists": (
        {f"t/block/t{number}.tpl": f"<$t{number + 1}$>.".encode() for number in range(DEPTH - 1)}
        | {f"t/block/t{DEPTH - 1}.tpl": b"<$a$>", "t/block/block.tpl": b"<$t0 : join(,)$>"}
        | {"in": b"[group]\na=1\na=2\n"},
        b"1" + b"." * (DEPTH - 1) + b",2" + b"." * (DEPTH - 1),
    ),
}


@pytest.mark.parametrize("shape", DEEP)
def test_depth_costs_no_quadratic_memory_and_meets_no_limit(shape: str, folder: Path) -> None:
    files, expected = DEEP[shape]
    write_files(folder, {"t/document/document.tpl": b"<$block$>", **files})
    # All intermediate strings together would be 200 MB at the least.
    room = 150 * 1024 * 1024
    ended = subprocess.run(
        [sys.executable, "-IS", PROGRAM, "t", "in"],
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (room, room)),
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, expected, b"")


def test_running_out_of_memory_is_one_line(
    folder: Path, generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_arguments: object) -> bytes:
        raise MemoryError

    write_files(folder, PLAIN)
    monkeypatch.setattr(mist_gen, "generate", exhausted)
    assert generate("t", "in") == Outcome(1, b"", b"Error: not enough memory\n")


def test_interrupt_ends_quietly(folder: Path) -> None:
    write_files(folder, PLAIN)
    os.mkfifo(folder / "pipe")
    with (
        subprocess.Popen(
            [PROGRAM, "t", "pipe"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # What a shell starts in the background ignores the signal, and so would what is started here.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as running,
        # The program reads the pipe once this open returns; it never gets to the end.
        (folder / "pipe").open("wb", buffering=0) as pipe,
    ):
        pipe.write(b"#")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (130, b"", b"")
